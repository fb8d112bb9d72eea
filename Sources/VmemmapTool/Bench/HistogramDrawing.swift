/// A latency histogram as bpftrace draws it: `[8K, 16K)            8360 |@@@@@@@@@@|`.
enum HistogramDrawing {
    /// The widest bar.
    private static let barWidth = 52

    /// A line for each bucket, in nanoseconds; K, M, G and T stand for powers of 1024.
    ///
    /// - Parameter width: the columns that the lines fit; nil: as many as there are.
    static func lines(_ histogram: LatencyHistogram, width: Int? = nil) -> [String] {
        // Beside the bar stand a label, a count, and what separates them.
        let barWidth = min(Self.barWidth, max(1, (width ?? .max) - 27))
        let largest = histogram.buckets.map(\.count).max() ?? 0
        return histogram.buckets.map { bucket in
            let bar = largest == 0 ? 0 : bucket.count * barWidth / largest
            return pad(label(bucket), 16) + padFront("\(bucket.count)", 8) + " |"
                + pad(String(repeating: "@", count: bar), barWidth) + "|"
        }
    }

    /// `[4, 8)`; a bucket of one value names that.
    private static func label(_ bucket: LatencyHistogram.Bucket) -> String {
        if bucket.belowNanoseconds - bucket.fromNanoseconds == 1 { return "[\(bucket.fromNanoseconds)]" }
        let end = bucket.belowNanoseconds == .max ? "..." : number(bucket.belowNanoseconds)
        return "[\(number(bucket.fromNanoseconds)), \(end))"
    }

    /// A power of two in the largest unit that divides it.
    private static func number(_ value: Int) -> String {
        let units = ["", "K", "M", "G", "T", "P", "E"]
        let unit = value == 0 ? 0 : value.trailingZeroBitCount / 10
        return "\(value >> (unit * 10))\(units[unit])"
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func padFront(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
