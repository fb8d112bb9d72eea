/// Lines over a common axis, one panel below the other, with what happened meanwhile as bands.
struct LineFigure {
    /// A line of steps: a value holds until the next point. What is known at points alone is not drawn between them.
    struct Series {
        /// How it is drawn.
        let style: String
        /// Its name, written at its end; empty for none.
        var name = ""
        let points: [(x: Double, y: Double)]
        /// What is told of each point, which then gets a dot; empty for none.
        var titles: [String] = []

        /// What is drawn: a corner before each point. Of many points at most two a pixel or so: of those that fall
        /// together the lowest and the highest stay.
        var corners: [(x: Double, y: Double)] {
            let points = thinned
            return zip(points, points.dropFirst()).reduce(into: Array(points.prefix(1))) { line, ends in
                line += [(ends.1.x, ends.0.y), ends.1]
            }
        }

        private var thinned: [(x: Double, y: Double)] {
            guard points.count > 400 else { return points }
            let size = points.count / 200
            return stride(from: 0, to: points.count, by: size).flatMap { start in
                let together = points[start..<min(points.count, start + size)]
                let ends = [together.min { $0.y < $1.y }, together.max { $0.y < $1.y }].compactMap { $0 }
                return ends.sorted { $0.x < $1.x }
            }
        }
    }

    /// Lines over one axis of values.
    struct Panel {
        /// What it is; with its axis's unit, if that has one.
        let name: String
        let axis: Axis
        let series: [Series]
        /// What is written at the right above it.
        var note = ""
    }

    /// A stretch of the common axis.
    struct Band {
        let from: Double
        let to: Double
        /// What is written above it.
        let name: String
        let title: String
        var isShaded = true
    }

    let panels: [Panel]
    let bands: [Band]
    /// The marks of the common axis.
    let axis: Axis
    let axisName: String
    let range: ClosedRange<Double>

    /// Draws it for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let plot = Plot(self, layout)
        var drawing = Drawing(height: plot.bottom(panels.count - 1) + 44)
        plot.drawBands(&drawing)
        for number in panels.indices { plot.drawPanel(number, &drawing) }
        plot.drawAxis(&drawing)
        return drawing
    }
}

/// The figure's places.
private struct Plot {
    let figure: LineFigure
    let width: Double
    let left = 52.0
    let right: Double
    let top: Double
    let height: Double

    init(_ figure: LineFigure, _ layout: Figure.Layout) {
        self.figure = figure
        width = layout.width
        right = width - (figure.panels.contains { $0.series.contains { !$0.name.isEmpty } } ? 58 : 10)
        top = figure.bands.isEmpty ? 0 : 40
        height = figure.panels.count == 1 ? 224 : 84
    }

    func bottom(_ panel: Int) -> Double { top + Double(panel) * (height + 48) + 28 + height }

    func x(_ value: Double) -> Double {
        let share = (value - figure.range.lowerBound) / (figure.range.upperBound - figure.range.lowerBound)
        return left + (right - left) * min(1, max(0, share))
    }

    /// The bands, shaded, under their names.
    func drawBands(_ drawing: inout Drawing) {
        let centers = figure.bands.map { (x($0.from) + x($0.to)) / 2 }
        let places = LabelPlacement.spread(
            zip(centers, figure.bands).map { ($0, Drawing.width(of: $1.name) + 4) }, in: left...width)
        for (index, band) in figure.bands.enumerated() {
            if band.isShaded {
                drawing.rect(
                    "band", x(band.from), top, max(1, x(band.to) - x(band.from)),
                    bottom(figure.panels.count - 1) - top, title: band.title)
            }
            drawing.polyline("lead", [(places[index], 20), (centers[index], top - 6), (centers[index], top)])
            drawing.text("mid", places[index], 14, band.name)
        }
    }

    func drawPanel(_ number: Int, _ drawing: inout Drawing) {
        let panel = figure.panels[number]
        let bottom = bottom(number)
        func y(_ value: Double) -> Double { bottom - height * value / panel.axis.end }
        for tick in panel.axis.ticks {
            drawing.line(tick.value == 0 ? "axis" : "grid", left, y(tick.value), right, y(tick.value))
            drawing.text("soft end", left - 8, y(tick.value) + 4.5, tick.label)
        }
        let unit = panel.axis.unit
        drawing.text("strong", 0, bottom - height - 12, panel.name + (unit.isEmpty ? "" : ", \(unit)"))
        if !panel.note.isEmpty { drawing.text("end soft", width - 2, bottom - height - 12, panel.note) }
        for series in panel.series {
            drawing.polyline("line " + series.style, series.corners.map { (x($0.x), y($0.y)) })
            for (point, title) in zip(series.points, series.titles) {
                drawing.dot("dot", x(point.x), y(point.y), radius: 3, title: title)
            }
        }
        let named = panel.series.filter { !$0.name.isEmpty }
            .compactMap { series in series.points.last.map { (series: series, place: y($0.y)) } }
            .sorted { $0.place < $1.place }
        let places = LabelPlacement.spread(named.map { ($0.place, 17) }, in: bottom - height...bottom + 8)
        for (name, place) in zip(named, places) {
            drawing.text(name.series.style, right + 8, place + 4.5, name.series.name)
        }
    }

    func drawAxis(_ drawing: inout Drawing) {
        let bottom = bottom(figure.panels.count - 1)
        // As many marks as their labels have room for.
        let widest = figure.axis.ticks.map { Drawing.width(of: $0.label) + 12 }.max() ?? 1
        let each = max(1, Int((Double(figure.axis.ticks.count) * widest / (right - left)).rounded(.up)))
        for (number, tick) in figure.axis.ticks.enumerated()
        where number.isMultiple(of: each) && figure.range.contains(tick.value) {
            drawing.line("axis", x(tick.value), bottom, x(tick.value), bottom + 5)
            let half = Drawing.width(of: tick.label) / 2
            drawing.text("soft mid", min(x(tick.value), width - half), bottom + 20, tick.label)
        }
        let unit = figure.axis.unit
        drawing.text("soft mid", (left + right) / 2, bottom + 40, figure.axisName + (unit.isEmpty ? "" : ", \(unit)"))
    }
}
