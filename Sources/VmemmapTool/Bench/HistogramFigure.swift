/// Counts in buckets of powers of two, as latencies are kept. Narrow: two of them fit side by side.
struct HistogramFigure {
    /// A bucket: from its lower bound to twice that, nanoseconds.
    struct Bucket {
        let lowerNanoseconds: Int
        let count: Int
    }

    /// Those that are missing hold nothing.
    let buckets: [Bucket]
    /// The first and the last bucket to show.
    let range: ClosedRange<Int>
    /// What was counted.
    let what: String

    private let width = 352.0
    private let left = 50.0
    private let right = 344.0
    private let top = 28.0
    private let bottom = 172.0

    /// Draws it.
    func draw() -> Drawing {
        var drawing = Drawing(height: 216)
        let filled = buckets.filter { $0.count > 0 }
        let low = Self.exponent(range.lowerBound)
        let slots = Self.exponent(range.upperBound) - low + 1
        let slot = (right - left) / Double(slots)
        let axis = Axis.count(upTo: filled.map(\.count).max() ?? 1, count: 4)
        for tick in axis.ticks {
            let y = bottom - (bottom - top) * tick.value / axis.end
            drawing.line(tick.value == 0 ? "axis" : "grid", left, y, right, y)
            drawing.text("soft end", left - 8, y + 4.5, Self.short(tick.value))
        }
        drawing.text("soft", 0, 13, what)
        for bucket in filled {
            let x = left + slot * Double(Self.exponent(bucket.lowerNanoseconds) - low)
            let height = max(1, (bottom - top) * Double(bucket.count) / axis.end)
            drawing.rect(
                "bar accent", x + min(1, slot / 8), bottom - height, slot - 2 * min(1, slot / 8), height,
                title:
                    "\(Self.time(bucket.lowerNanoseconds)) to "
                    + "\(Self.time(1 << (Self.exponent(bucket.lowerNanoseconds) + 1))): "
                    + Format.count(bucket.count))
        }
        drawEdges(&drawing, low: low, slots: slots, slot: slot)
        drawing.text("soft mid", (left + right) / 2, bottom + 40, "time of one, in powers of two")
        return drawing
    }

    /// The buckets' bounds, as many as fit.
    private func drawEdges(_ drawing: inout Drawing, low: Int, slots: Int, slot: Double) {
        let stride = max(1, Int((62 / slot).rounded(.up)))
        for edge in Swift.stride(from: 0, through: slots, by: stride) {
            let x = left + slot * Double(edge)
            drawing.line("axis", x, bottom, x, bottom + 5)
            drawing.text(
                "soft mid", min(x, width - 28), bottom + 20, Self.time(low + edge == 0 ? 0 : 1 << (low + edge)))
        }
    }

    private static func exponent(_ nanoseconds: Int) -> Int {
        nanoseconds <= 1 ? 0 : min(Int.bitWidth - 3, Int.bitWidth - 1 - nanoseconds.leadingZeroBitCount)
    }

    private static func short(_ count: Double) -> String {
        let (size, name) =
            count >= 1e9 ? (1e9, "G") : count >= 1e6 ? (1e6, "M") : count >= 1e4 ? (1e3, "k") : (1, "")
        return Format.decimal(count / size, 1, isTrimmed: true) + name
    }

    /// A power of two in nanoseconds, short: `1 us` for 1024 ns.
    private static func time(_ nanoseconds: Int) -> String {
        let (size, name) =
            nanoseconds >= 1 << 30
            ? (1e9, "s") : nanoseconds >= 1 << 20 ? (1e6, "ms") : nanoseconds >= 1 << 10 ? (1e3, "us") : (1, "ns")
        let number = Double(nanoseconds) / size
        return Format.decimal(number, number < 10 ? 1 : 0, isTrimmed: true) + " \(name)"
    }
}
