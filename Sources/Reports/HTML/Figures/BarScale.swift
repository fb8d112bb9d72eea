/// The common scale of horizontal bars: marks below them, names and values above each.
struct BarScale {
    let axis: Axis
    /// What the axis measures, with its unit.
    let name: String
    let layout: Figure.Layout
    let left = 8.0
    /// Where the scale ends: room for values may be left beside it.
    let right: Double

    init(_ axis: Axis, _ name: String, _ layout: Figure.Layout, margin: Double = 8) {
        self.axis = axis
        self.name = name
        self.layout = layout
        right = layout.width - margin
    }

    /// The place of a value.
    func x(_ value: Double) -> Double { left + (right - left) * min(1, max(0, value / axis.end)) }

    /// The marks, from the first bar to the last, and what they mean. Returns the drawing's height.
    func draw(_ drawing: inout Drawing, from top: Double, to bottom: Double) -> Double {
        for tick in axis.ticks {
            drawing.line(tick.value == 0 ? "axis" : "grid", x(tick.value), top, x(tick.value), bottom)
            let half = Drawing.width(of: tick.label) / 2
            drawing.text("soft mid", min(max(x(tick.value), half), layout.width - half), bottom + 18, tick.label)
        }
        drawing.text("soft mid", (left + right) / 2, bottom + 38, name)
        return bottom + 44
    }

    /// A name at the left and a value at the right: on one line, or on two where one is too short. Returns where they end.
    func label(_ drawing: inout Drawing, _ name: String, _ value: String, at y: Double) -> Double {
        let end = lines(name, value) == 2 ? y + 37 : y + 19
        ground(&drawing, left + 1, y + 3, name)
        drawing.text("", left + 4, y + 15, name)
        if !value.isEmpty {
            ground(&drawing, layout.width - 8 - Drawing.width(of: value), end - 16, value)
            drawing.text("end strong", layout.width - 8, end - 4, value)
        }
        return end
    }

    /// The height of ``label(_:_:_:at:)``.
    func labelHeight(_ name: String, _ value: String) -> Double { lines(name, value) == 2 ? 37 : 19 }

    private func lines(_ name: String, _ value: String) -> Int {
        Drawing.width(of: name) + Drawing.width(of: value) + 24 > layout.width ? 2 : 1
    }

    /// Covers the marks under a text.
    private func ground(_ drawing: inout Drawing, _ x: Double, _ y: Double, _ text: String) {
        drawing.rect("ground", x, y, min(Drawing.width(of: text), layout.width - x), 16)
    }
}

/// What the parts of bars mean.
struct FigureKey {
    let names: [(name: String, style: String)]

    /// As many on a line as fit. Returns where they end.
    func draw(_ drawing: inout Drawing, _ layout: Figure.Layout) -> Double {
        var x = 0.0
        var y = 4.0
        for (name, style) in names {
            let size = 18 + Drawing.width(of: name) + 8
            if x > 0, x + size > layout.width {
                x = 0
                y += 22
            }
            drawing.rect("bar " + style, x, y, 12, 12)
            drawing.text("soft", x + 18, y + 11, name)
            x += size
        }
        return y + 24
    }
}
