/// What is told at a report: what was done since the last one, and the result as it is then, made when it is asked for.
typealias StressProgressSink = @Sendable (StressProgress, _ soFar: () -> StressResult) -> Void

/// What a run had done by some moment.
struct StressMoment: Hashable, Sendable, Codable {
    /// Since the run began.
    let elapsedNanoseconds: Int
    /// Huge pages optimized, and huge pages restored.
    let remaps: Int
    /// compound_heads and whole vmemmap pages read and checked.
    let reads: Int
    /// Faults survived, injected or the host's.
    let faults: Int

    init(_ figures: StressFigures) {
        elapsedNanoseconds = figures.elapsedNanoseconds
        remaps = figures.remaps
        reads = figures.headReads + figures.pageReads
        faults = figures.faultedOperations + figures.hostRefusals
    }
}

/// Moments of a run, evenly spaced, and no more than a page can show: where there would be more, every second one goes.
struct StressHistory: Sendable {
    static let most = 192

    /// In order.
    private(set) var moments: [StressMoment] = []
    private var intervalNanoseconds = 1_000_000_000

    /// Whether so long after the start it is time for the next.
    func isDue(_ elapsedNanoseconds: Int) -> Bool {
        elapsedNanoseconds - (moments.last?.elapsedNanoseconds ?? 0) >= intervalNanoseconds
    }

    /// Takes a moment in.
    mutating func note(_ figures: StressFigures) {
        moments.append(StressMoment(figures))
        guard moments.count > Self.most else { return }
        moments = stride(from: 1, to: moments.count, by: 2).map { moments[$0] }
        intervalNanoseconds *= 2
    }

    /// Takes the last one in.
    mutating func end(_ figures: StressFigures) {
        if figures.elapsedNanoseconds > moments.last?.elapsedNanoseconds ?? 0 { moments.append(StressMoment(figures)) }
    }
}
