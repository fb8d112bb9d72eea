/// Horizontal bars under their names: one a row, several of the same kinds in each, or the parts of a whole.
struct BarFigure {
    /// A bar, or a part of one.
    struct Bar {
        let value: Double
        /// The value as it is written.
        let text: String
        /// How it is filled where there is no key: `accent` for what was measured in this run, nothing for the rest.
        var style = ""
        /// Where it might lie as well, drawn as a line with ends.
        var range: ClosedRange<Double>?
    }

    /// A row.
    struct Row {
        let name: String
        /// What is written at its right, above the bars.
        var text = ""
        /// A bar for each part of the key; nil where nothing was measured.
        let bars: [Bar?]

        /// A row of one bar.
        init(_ name: String, _ bar: Bar) {
            self.name = name
            text = bar.text
            bars = [bar]
        }

        /// A row of several bars or parts.
        init(_ name: String, text: String = "", _ bars: [(value: Double, text: String)?]) {
            self.name = name
            self.text = text
            self.bars = bars.map { $0.map { Bar(value: $0.value, text: $0.text) } }
        }
    }

    let rows: [Row]
    let axis: Axis
    /// What the axis measures, with its unit.
    let axisName: String
    /// What the bars of a row mean; nil where there is one in each.
    var key: FigureKey?
    /// Whether the bars of a row are the parts of a whole: one behind the other, not one below the other.
    var isStacked = false
    /// A value to hold the bars against, drawn across.
    var mark: (value: Double, name: String)?

    /// All of it in words.
    var description: String {
        rows.map { row in
            "\(row.name): "
                + row.bars.enumerated().map { number, bar in
                    (key.map { $0.names[number].name + " " } ?? "") + (bar?.text ?? "not measured")
                }.joined(separator: ", ")
        }.joined(separator: "; ")
    }

    /// Draws them for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        // The values of several bars stand beside them, that of one above it.
        let isGrouped = key != nil && !isStacked
        let widest = isGrouped ? rows.flatMap(\.bars).map { Drawing.width(of: $0?.text ?? "") }.max() ?? 0 : -4
        let scale = BarScale(axis, axisName, layout, margin: widest + 12)
        var drawing = Drawing(height: 0)
        let top = key?.draw(&drawing, layout) ?? (mark == nil ? 0 : 22)
        let barHeight = isGrouped ? 18.0 : 25
        let rowHeight = isGrouped ? Double(key?.names.count ?? 0) * barHeight + 10 : barHeight
        let bottom = rows.reduce(top) { $0 + scale.labelHeight($1.name, $1.text) + rowHeight }
        drawing.height = scale.draw(&drawing, from: top, to: bottom)
        if let mark {
            drawing.line("mark1", scale.x(mark.value), top - 4, scale.x(mark.value), bottom)
            let half = Drawing.width(of: mark.name) / 2
            drawing.text("soft mid", min(max(scale.x(mark.value), half), layout.width - half), 13, mark.name)
        }
        var y = top
        for row in rows {
            y = scale.label(&drawing, row.name, row.text, at: y)
            var start = 0.0
            for (number, bar) in row.bars.enumerated() {
                let place = isGrouped ? y + Double(number) * barHeight : y
                let part = key?.names[number]
                if let bar, bar.value > 0 || key == nil {
                    let width = scale.x(start + bar.value) - scale.x(start)
                    drawing.rect(
                        "bar " + (part?.style ?? bar.style), scale.x(start), place + 2,
                        isGrouped ? max(1, width) : width,
                        isGrouped ? 13 : 14, title: row.name + (part.map { ", \($0.name)" } ?? "") + ": \(bar.text)")
                    draw(bar.range, &drawing, scale, at: place + 9)
                    if isStacked { start += bar.value }
                }
                if isGrouped {
                    drawing.text(
                        "end" + (bar == nil ? " soft" : ""), layout.width - 2, place + 13, bar?.text ?? "\u{2013}")
                }
            }
            y += rowHeight
        }
        return drawing
    }

    private func draw(_ range: ClosedRange<Double>?, _ drawing: inout Drawing, _ scale: BarScale, at y: Double) {
        guard let range else { return }
        drawing.line("range", scale.x(range.lowerBound), y, scale.x(range.upperBound), y)
        // One that goes on beyond the scale has no end.
        for end in [range.lowerBound, range.upperBound] where end <= axis.end {
            drawing.line("range", scale.x(end), y - 5, scale.x(end), y + 5)
        }
    }
}
