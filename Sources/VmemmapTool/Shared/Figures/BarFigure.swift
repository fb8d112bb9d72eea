/// Horizontal bars under their names: what is compared, and how large it is.
struct BarFigure {
    /// A bar.
    struct Bar {
        let name: String
        let value: Double
        /// The value as it is written.
        let text: String
        /// How it is filled: `accent` for what was measured in this run, nothing for the rest.
        var style = ""
        /// Where it might lie as well, drawn as a line with ends.
        var range: ClosedRange<Double>?
    }

    let bars: [Bar]
    let axis: Axis
    /// What the axis measures, with its unit.
    let axisName: String
    /// A value to hold the bars against, drawn across.
    var mark: (value: Double, name: String)?

    /// Draws them for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let scale = BarScale(axis, axisName, layout)
        var drawing = Drawing(height: 0)
        let top = mark == nil ? 0.0 : 22
        let bottom = bars.reduce(top) { $0 + scale.labelHeight($1.name, $1.text) + 25 }
        drawing.height = scale.draw(&drawing, from: top, to: bottom)
        if let mark {
            drawing.line("mark1", scale.x(mark.value), top - 4, scale.x(mark.value), bottom)
            let half = Drawing.width(of: mark.name) / 2
            drawing.text("soft mid", min(max(scale.x(mark.value), half), layout.width - half), 13, mark.name)
        }
        var y = top
        for bar in bars {
            y = scale.label(&drawing, bar.name, bar.text, at: y)
            drawing.rect(
                "bar " + bar.style, scale.left, y + 2, scale.x(bar.value) - scale.left, 14,
                title: "\(bar.name): \(bar.text)")
            if let range = bar.range {
                drawing.line("range", scale.x(range.lowerBound), y + 9, scale.x(range.upperBound), y + 9)
                // One that goes on beyond the scale has no end.
                for end in [range.lowerBound, range.upperBound] where end <= axis.end {
                    drawing.line("range", scale.x(end), y + 4, scale.x(end), y + 14)
                }
            }
            y += 25
        }
        return drawing
    }
}

/// Rows of several bars each, one for every part of the key: the same things measured for each row.
struct GroupedBarFigure {
    /// A row.
    struct Row {
        let name: String
        /// A bar for each part of the key; nil where nothing was measured.
        let bars: [(value: Double, text: String)?]
    }

    let key: FigureKey
    let rows: [Row]
    let axis: Axis
    let axisName: String

    /// Draws them for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let widest = rows.flatMap(\.bars).map { Drawing.width(of: $0?.text ?? "") }.max() ?? 0
        let scale = BarScale(axis, axisName, layout, margin: widest + 12)
        var drawing = Drawing(height: 0)
        let top = key.draw(&drawing, layout)
        let height = Double(key.names.count) * 18
        let bottom = rows.reduce(top) { $0 + scale.labelHeight($1.name, "") + height + 10 }
        drawing.height = scale.draw(&drawing, from: top, to: bottom)
        var y = top
        for row in rows {
            y = scale.label(&drawing, row.name, "", at: y)
            for (part, bar) in zip(key.names, row.bars) {
                if let bar, bar.value > 0 {
                    drawing.rect(
                        "bar " + part.style, scale.left, y + 2, max(1, scale.x(bar.value) - scale.left), 13,
                        title: "\(row.name), \(part.name): \(bar.text)")
                }
                drawing.text("end" + (bar == nil ? " soft" : ""), layout.width - 2, y + 13, bar?.text ?? "\u{2013}")
                y += 18
            }
            y += 10
        }
        return drawing
    }
}
