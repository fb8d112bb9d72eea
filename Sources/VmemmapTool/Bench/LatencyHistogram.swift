/// How long single operations took, in powers of two of nanoseconds, as bpftrace's `hist()` counts them.
struct LatencyHistogram: Hashable, Sendable, Codable {
    /// Operations that took from one power of two up to, and not including, the next.
    struct Bucket: Hashable, Sendable, Codable {
        /// The shortest time that falls into it.
        let fromNanoseconds: Int
        /// The shortest that is too long for it.
        let belowNanoseconds: Int
        /// How many did.
        let count: Int
    }

    /// From the first bucket with something in it to the last, the empty ones between included.
    let buckets: [Bucket]
    /// How many operations there were.
    let count: Int
    /// The shortest.
    let minNanoseconds: Int
    /// So long or shorter were half of them.
    let p50Nanoseconds: Int
    /// 90 of 100.
    let p90Nanoseconds: Int
    /// 99 of 100.
    let p99Nanoseconds: Int
    /// 999 of 1000.
    let p999Nanoseconds: Int
    /// The longest.
    let maxNanoseconds: Int

    /// The histogram of some durations; nil of none.
    init?(nanoseconds durations: [Int]) {
        // A clock may stand still; time below zero is none.
        let durations = durations.map { max(0, $0) }.sorted()
        guard let shortest = durations.first, let longest = durations.last else { return nil }
        var counts = [Int](repeating: 0, count: Self.bucket(of: longest) + 1)
        for duration in durations { counts[Self.bucket(of: duration)] += 1 }
        buckets = (Self.bucket(of: shortest)..<counts.count).map { bucket in
            Bucket(
                fromNanoseconds: bucket == 0 ? 0 : 1 << (bucket - 1), belowNanoseconds: Self.end(of: bucket),
                count: counts[bucket])
        }
        count = durations.count
        minNanoseconds = shortest
        maxNanoseconds = longest
        // The shortest that at least so many of a thousand do not exceed.
        func percentile(_ perMille: Int) -> Int { durations[(durations.count * perMille + 999) / 1000 - 1] }
        p50Nanoseconds = percentile(500)
        p90Nanoseconds = percentile(900)
        p99Nanoseconds = percentile(990)
        p999Nanoseconds = percentile(999)
    }

    /// 0 for nothing, and then one for each power of two: the number of bits that the duration takes.
    private static func bucket(of duration: Int) -> Int { Int.bitWidth - duration.leadingZeroBitCount }

    /// The last bucket ends where the numbers do.
    private static func end(of bucket: Int) -> Int { bucket < Int.bitWidth - 1 ? 1 << bucket : .max }
}
