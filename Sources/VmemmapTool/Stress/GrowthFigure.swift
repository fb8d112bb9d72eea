/// What a process has each time that something was built and taken down again: a panel a measure, all over the same buildings.
struct GrowthFigure {
    /// A measure.
    struct Panel {
        /// What it is; with its axis's unit, if that has one.
        let name: String
        let axis: Axis
        /// After which building, counted from 1, and how much.
        let values: [(building: Int, value: Double)]
        /// A value as it is written.
        let text: (Double) -> String
    }

    /// Buildings of one kind, in order.
    struct Stretch {
        let name: String
        let buildings: ClosedRange<Int>
    }

    let panels: [Panel]
    let stretches: [Stretch]
    /// How many buildings there were.
    let count: Int

    private let top = 24.0
    private let panelHeight = 132.0
    private let plotHeight = 84.0

    /// Draws it for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let place = Place(left: 52, right: layout.width - 10, count: count)
        let bottom = top + Double(panels.count) * panelHeight - 16
        var drawing = Drawing(height: bottom + 44)
        drawStretches(&drawing, place, to: bottom)
        for (number, panel) in panels.enumerated() {
            draw(panel, &drawing, place, layout, bottom: top + Double(number + 1) * panelHeight - 16)
        }
        for tick in Axis.numbers(upTo: count, count: min(count, layout == .wide ? 8 : 4)).ticks where tick.value > 0 {
            let x = place.x(tick.value)
            drawing.line("axis", x, bottom, x, bottom + 5)
            drawing.text("soft mid", min(x, layout.width - Drawing.width(of: tick.label) / 2), bottom + 20, tick.label)
        }
        drawing.text("soft mid", (place.left + place.right) / 2, bottom + 40, "building")
        return drawing
    }

    /// Where a building stands along the axis; each has the room around its number.
    private struct Place {
        let left: Double
        let right: Double
        let count: Int

        func x(_ building: Double) -> Double {
            left + (right - left) * (building - 0.5) / Double(max(1, count))
        }
    }

    /// Every second one is shaded, all under their numbers.
    private func drawStretches(_ drawing: inout Drawing, _ place: Place, to bottom: Double) {
        if stretches.count < 2 { return }
        let edges = stretches.map {
            (place.x(Double($0.buildings.lowerBound) - 0.5), place.x(Double($0.buildings.upperBound) + 0.5))
        }
        let places = LabelPlacement.spread(
            edges.enumerated().map { (($1.0 + $1.1) / 2, Drawing.width(of: "\($0 + 1)") + 4) },
            in: place.left...place.right)
        for (number, (start, end)) in edges.enumerated() {
            if number.isMultiple(of: 2) {
                drawing.rect("band", start, top, end - start, bottom - top, title: stretches[number].name)
            }
            drawing.text("soft mid", places[number], 14, "\(number + 1)")
        }
    }

    private func draw(
        _ panel: Panel, _ drawing: inout Drawing, _ place: Place, _ layout: Figure.Layout, bottom: Double
    ) {
        func y(_ value: Double) -> Double { bottom - plotHeight * value / panel.axis.end }
        for tick in panel.axis.ticks {
            drawing.line(tick.value == 0 ? "axis" : "grid", place.left, y(tick.value), place.right, y(tick.value))
            drawing.text("soft end", place.left - 8, y(tick.value) + 4.5, tick.label)
        }
        let title = bottom - plotHeight - 16
        let unit = panel.axis.unit
        drawing.text("strong", 0, title, panel.name + (unit.isEmpty ? "" : ", \(unit)"))
        if let first = panel.values.first, let last = panel.values.last {
            drawing.text(
                "end soft", layout.width - 2, title, "first \(panel.text(first.value)), last \(panel.text(last.value))")
        }
        drawing.curve("line pss", panel.values.map { (place.x(Double($0.building)), y($0.value)) })
        // With more of them they would be a line again.
        guard panel.values.count <= 40 else { return }
        for (building, value) in panel.values {
            drawing.dot(
                "dot own", place.x(Double(building)), y(value), radius: 2.5,
                title: "\(panel.name) after building \(building): \(panel.text(value))")
        }
    }
}
