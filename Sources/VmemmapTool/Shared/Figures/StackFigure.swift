/// Bars made of parts, with a key: what a whole consists of at each step.
struct StackFigure {
    /// A bar.
    struct Row {
        let name: String
        /// What is written at its right.
        let text: String
        /// A value for each part of the key, in the axis's own unit, and as it is written.
        let parts: [(value: Double, text: String)]
    }

    let key: FigureKey
    let rows: [Row]
    let axis: Axis
    let axisName: String

    /// Draws them for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let scale = BarScale(axis, axisName, layout)
        var drawing = Drawing(height: 0)
        let top = key.draw(&drawing, layout)
        let bottom = rows.reduce(top) { $0 + scale.labelHeight($1.name, $1.text) + 25 }
        drawing.height = scale.draw(&drawing, from: top, to: bottom)
        var y = top
        for row in rows {
            y = scale.label(&drawing, row.name, row.text, at: y)
            var start = 0.0
            for (part, (value, text)) in zip(key.names, row.parts) where value > 0 {
                drawing.rect(
                    "bar " + part.style, scale.x(start), y + 2, scale.x(start + value) - scale.x(start), 14,
                    title: "\(row.name), \(part.name): \(text)")
                start += value
            }
            y += 25
        }
        return drawing
    }
}
