/// Two things timed in turn, in one run of the program: the engine and what stands beside it.
struct PairedRuns: Hashable, Sendable, Codable {
    /// One run of each, one right after the other.
    struct Pair: Hashable, Sendable, Codable {
        /// The engine's time for all huge pages.
        let engineNanoseconds: Int
        /// The other's time for as many.
        let peerNanoseconds: Int

        /// One pair: the engine's time and the other's.
        init(_ engineNanoseconds: Int, _ peerNanoseconds: Int) {
            self.engineNanoseconds = engineNanoseconds
            self.peerNanoseconds = peerNanoseconds
        }

        /// Engine over other.
        var ratio: Double { Double(engineNanoseconds) / Double(peerNanoseconds) }
    }

    /// The engine's time for one huge page.
    let engineNanoseconds: Spread
    /// The other's.
    let peerNanoseconds: Spread
    /// Engine over other, pair by pair.
    let ratio: Spread
    /// Every pair, in the order of the run.
    let pairs: [Pair]

    /// What is said of `pairs`, each over so many huge pages.
    init(_ pairs: [Pair], pages: Int) {
        engineNanoseconds = Spread(pairs.map { Double($0.engineNanoseconds) / Double(pages) })
        peerNanoseconds = Spread(pairs.map { Double($0.peerNanoseconds) / Double(pages) })
        ratio = Spread(pairs.map(\.ratio))
        self.pairs = pairs
    }

    /// Runs two things `runs` times each. Who goes first changes with every pair, so that a drift of the host weighs on
    /// both.
    ///
    /// - Parameter isThrough: called after every pair; false ends it with those that there are.
    static func alternate<Value>(
        _ runs: Int, _ first: () throws -> Value, _ second: () throws -> Value, isThrough: () -> Bool = { true }
    ) rethrows -> [(first: Value, second: Value)] {
        var pairs: [(first: Value, second: Value)] = []
        for run in 0..<runs {
            if run.isMultiple(of: 2) {
                let one = try first()
                pairs.append((one, try second()))
            } else {
                let other = try second()
                pairs.append((try first(), other))
            }
            if !isThrough() { break }
        }
        return pairs
    }
}

/// What is said of several pairs: the middle, the smallest and the largest value, and which stand far out.
struct Spread: Hashable, Sendable, Codable {
    /// The middle value, or the mean of the two in the middle.
    let median: Double
    /// The smallest.
    let min: Double
    /// The largest.
    let max: Double
    /// The numbers of the pairs that stand far out, from 1: see ``Statistics/outliers(_:)``.
    let outlierPairs: [Int]

    /// The spread of `values`, one a pair, in the order of the run; NaN of none.
    init(_ values: [Double]) {
        median = Statistics.median(values)
        min = values.min() ?? .nan
        max = values.max() ?? .nan
        outlierPairs = Statistics.outliers(values).map { $0 + 1 }
    }
}

/// What is said of several values.
enum Statistics {
    /// The middle value, or the mean of the two in the middle; NaN of nothing.
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        if sorted.isEmpty { return .nan }
        let upper = sorted[sorted.count / 2]
        return sorted.count.isMultiple(of: 2) ? (sorted[sorted.count / 2 - 1] + upper) / 2 : upper
    }

    /// Which values stand far out: more than three times the distance of the quartiles away from the nearer one, as
    /// Tukey's rule has it. None of fewer than 5 values, whose quartiles say nothing.
    ///
    /// The quartiles are the medians of the lower and the upper half, the middle value in both.
    static func outliers(_ values: [Double]) -> [Int] {
        if values.count < 5 { return [] }
        let sorted = values.sorted()
        let half = (sorted.count + 1) / 2
        let (lower, upper) = (median(Array(sorted.prefix(half))), median(Array(sorted.suffix(half))))
        let reach = 3 * (upper - lower)
        return values.indices.filter { values[$0] < lower - reach || values[$0] > upper + reach }
    }
}
