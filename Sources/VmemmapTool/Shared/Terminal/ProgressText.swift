/// How far a piece of work is, in one line. Pure.
enum ProgressText {
    /// `optimized: 4 096 of 65 536 huge pages, 20 480/s, 3.0 s to go`.
    ///
    /// - Parameters:
    ///   - work: what is done.
    ///   - done: how many of `total` are through.
    ///   - unit: what they are.
    ///   - nanoseconds: since the work began.
    static func line(_ work: String, _ done: Int, of total: Int, unit: String, nanoseconds: Int) -> String {
        var line = "\(work): \(Format.count(done)) of \(Format.count(total)) \(unit)"
        if done > 0, nanoseconds > 0 {
            let rate = Double(done) * 1e9 / Double(nanoseconds)
            line += ", \(rate < 10 ? tenths(rate) : Format.count(Int(rate)))/s"
            if done < total {
                let rest = Double(nanoseconds) / Double(done) * Double(total - done)
                line += ", \(Format.duration(nanoseconds: Int(rest))) to go"
            }
        }
        return line
    }

    /// `under walkers: 0.5 of 3.0 s, 2.5 s to go`.
    ///
    /// - Parameters:
    ///   - work: what is done for so long.
    ///   - nanoseconds: since it began.
    ///   - total: for how long it is done.
    ///   - rate: how fast it goes, if that is known.
    static func line(_ work: String, nanoseconds: Int, of total: Int, rate: String? = nil) -> String {
        let elapsed = min(nanoseconds, total)
        let seconds = "\(tenths(Double(elapsed) / 1e9)) of \(tenths(Double(total) / 1e9)) s"
        let rest = elapsed < total ? ", \(tenths(Double(total - elapsed) / 1e9)) s to go" : ""
        return "\(work): \(seconds)" + (rate.map { ", " + $0 } ?? "") + rest
    }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
