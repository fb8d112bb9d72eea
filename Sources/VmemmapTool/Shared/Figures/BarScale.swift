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

    /// A name at the left, on as many lines as it needs, and a value at the right: beside its last line, or on a line
    /// of its own. Returns where they end.
    func label(_ drawing: inout Drawing, _ name: String, _ value: String, at y: Double) -> Double {
        var end = y
        for line in lines(name) {
            ground(&drawing, left + 1, end + 3, line)
            drawing.text("", left + 4, end + 15, line)
            end += lineHeight
        }
        if !isBeside(name, value) { end += lineHeight }
        if !value.isEmpty {
            ground(&drawing, layout.width - 8 - Drawing.width(of: value), end - 15, value)
            drawing.text("end strong", layout.width - 8, end - 3, value)
        }
        return end + 1
    }

    /// The height of ``label(_:_:_:at:)``.
    func labelHeight(_ name: String, _ value: String) -> Double {
        Double(lines(name).count + (isBeside(name, value) ? 0 : 1)) * lineHeight + 1
    }

    private var lineHeight: Double { 18 }

    private func isBeside(_ name: String, _ value: String) -> Bool {
        value.isEmpty
            || Drawing.width(of: lines(name).last ?? "") + Drawing.width(of: value) + 24 <= layout.width
    }

    /// A name broken between words, and within a word that is longer than a line.
    private func lines(_ name: String) -> [String] {
        let most = Int((layout.width - 16) / Drawing.width(of: "m"))
        return name.split(separator: " ").reduce(into: []) { lines, word in
            var word = word
            if let last = lines.last, last.count + 1 + word.count <= most {
                lines[lines.count - 1] += " " + word
                return
            }
            while word.count > most {
                lines.append(String(word.prefix(most)))
                word = word.dropFirst(most)
            }
            lines.append(String(word))
        }
    }

    /// Covers the marks under a text.
    private func ground(_ drawing: inout Drawing, _ x: Double, _ y: Double, _ text: String) {
        drawing.rect("ground", max(0, x), y, min(Drawing.width(of: text), layout.width - max(0, x)), 16)
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
