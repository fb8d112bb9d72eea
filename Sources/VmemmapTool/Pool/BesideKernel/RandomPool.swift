import HostMemory
import VmemmapEmulator

/// Scripts drawn from a seed, done on the emulated machine and on another HugeTLB layer, and the first difference
/// shrunk to the fewest lines.
final class RandomPool {
    /// A line that is drawn. What it names is found only when it is run, so that lines before it can be left out.
    enum Step: Hashable, Sendable {
        /// A line as it is.
        case line(String)
        /// Takes a huge page, which is called `id` among the drawn lines.
        case take(id: Int, String)
        /// Gives it back, if it was taken.
        case free(id: Int)
    }

    /// What became of a sequence.
    struct Sequence: Hashable, Sendable {
        /// The lines that were run, as a script has them.
        var script: [String] = []
        /// What differs after the last one; empty: nothing.
        var differences: [String] = []
        /// What differs and may.
        var listed: Set<String> = []
    }

    /// Whether 1 GiB pages are drawn, too.
    let hasGigantic: Bool
    private let run: BesideRun
    private let scheme: Scheme
    private var sequences = 0
    /// Lines that were run so far.
    private(set) var linesRun = 0

    /// The machine that every script is for: room for the gigantic pages that are drawn, wherever small ones lie.
    static let memory = ByteCount.gibibytes(4)
    /// Huge pages that a script asks for at most, of each size.
    static let mostPages: [HugePageSize: Int] = [.twoMebibytes: 6, .oneGibibyte: 2]
    /// A machine is booted anew after so many sequences: it numbers every huge page that it has handed out.
    private static let sequencesPerMachine = 100

    /// What can be drawn is known; nothing is run yet.
    init(_ run: BesideRun, scheme: Scheme, hasGigantic: Bool) {
        self.run = run
        self.scheme = scheme
        self.hasGigantic = hasGigantic
    }

    /// The first line of every script.
    private var boot: String { "boot memory=4G scheme=\(scheme.rawValue)" }

    // MARK: Drawing

    /// The lines of a sequence. They follow from the two numbers alone.
    func draw(_ seed: UInt64, _ sequence: Int) -> [Step] {
        // Mixed: with seeds that are a step of the generator apart, each sequence would be the one before, shifted.
        var mixer = SplitMix64(seed: UInt64(sequence))
        var generator = SplitMix64(seed: seed ^ mixer.next())
        // Gigantic pages take the kernel long: one sequence in eight has them.
        let isGigantic = hasGigantic && Int.random(in: 0..<8, using: &generator) == 0
        var steps: [Step] = []
        for id in 0..<Int.random(in: 5...25, using: &generator) {
            let isOfGigantic = isGigantic && Int.random(in: 0..<3, using: &generator) == 0
            steps.append(
                isOfGigantic ? drawGigantic(id, &generator) : drawSmall(id, steps, &generator))
        }
        return steps
    }

    private func drawSmall(_ id: Int, _ steps: [Step], _ generator: inout SplitMix64) -> Step {
        func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
        switch number(0...22) {
        case 0...2: return .line("nr_hugepages 2M \(number(0...6))")
        case 3: return .line("nr_hugepages 2M \(number(0...6)) node=0")
        case 4...5: return .line("nr_overcommit_hugepages 2M \(number(0...4))")
        case 6...9: return .take(id: id, "alloc 2M")
        case 10...12:
            let taken = steps.compactMap { step in if case .take(let id, _) = step { id } else { nil } }
            guard let id = taken.randomElement(using: &generator) else { return .take(id: id, "alloc 2M") }
            return .free(id: id)
        case 13: return .line("free all")
        case 14: return .line("reserve 2M \(number(1...4))")
        case 15: return .line("reserve 2M \(number(1...4)) shared")
        case 18...20: return .take(id: id, "touch 2M")
        case 16...17: return .line("unreserve 2M \(number(1...4))")
        default: return .line("sysctl hugetlb_optimize_vmemmap=\(number(0...1))")
        }
    }

    private func drawGigantic(_ id: Int, _ generator: inout SplitMix64) -> Step {
        func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
        switch number(0...19) {
        case 0...6: return .line("nr_hugepages 1G \(number(0...2))")
        case 7: return .line("nr_overcommit_hugepages 1G \(number(0...1))")
        case 8...10: return .line("reserve 1G 1")
        case 11...12: return .line("unreserve 1G 1")
        // It takes the kernel a second or more to clear one.
        case 13: return .take(id: id, "alloc 1G")
        default: return .line("demote 1G \(number(1...2))")
        }
    }

    // MARK: Running

    /// Runs a sequence, until something differs.
    ///
    /// - Parameter isNew: whether on a machine of its own.
    func run(_ steps: [Step], isNew: Bool = false) throws(PoolSessionError) -> Sequence {
        sequences += 1
        let start = try line(boot)
        try run.reset(start, isNew: isNew || sequences % Self.sequencesPerMachine == 1)
        let first = run.lastNumber
        var taken: [Int: Int] = [:]
        var sequence = Sequence(script: [boot])
        for step in steps {
            guard let text = text(step, taken) else { continue }
            let outcome = try run.run(try line(text))
            linesRun += 1
            if case .take(let id, _) = step, outcome.emulator.outcome.value == "ok" { taken[id] = run.lastNumber }
            // In a script of its own the numbers begin with 1.
            if case .free(let id) = step, let number = taken[id] {
                sequence.script.append("free #\(number - first)")
            } else {
                sequence.script.append(text)
            }
            sequence.listed.formUnion(outcome.listed)
            if case .free(let id) = step { taken[id] = nil }
            if text == "free all" { taken = [:] }
            if !outcome.differences.isEmpty {
                sequence.differences = outcome.differences
                break
            }
        }
        return sequence
    }

    /// The same; nil where the host has no memory in one piece for what is drawn.
    func runIfPossible(_ steps: [Step]) throws(PoolSessionError) -> Sequence? {
        do throws(PoolSessionError) {
            return try run(steps)
        } catch {
            if case .host(.shortage) = error { return nil }
            throw error
        }
    }

    private func line(_ text: String) throws(PoolSessionError) -> BesideLine {
        do throws(BesideScriptError) {
            if let line = try BesideScript([text], scheme: scheme).lines.first { return line }
        } catch {
            throw .script(error.error)
        }
        throw .host(.unexpected("'\(text)' was drawn and cannot be run"))
    }

    /// The line that a step is now; nil where what it names is not there.
    private func text(_ step: Step, _ taken: [Int: Int]) -> String? {
        switch step {
        case .line(let line), .take(_, let line): line
        case .free(let id): taken[id].map { "free #\($0)" }
        }
    }

    // MARK: Shrinking

    /// The fewest lines that still differ, and what they do: parts of the sequence are left out, ever smaller ones,
    /// until no line can be. Nil if they do not differ any more when they are run again.
    func shrink(_ steps: [Step]) throws(PoolSessionError) -> Sequence? {
        var best = steps
        // What differs may have left the machine with something that there must not be.
        var sequence = try run(steps, isNew: true)
        if sequence.differences.isEmpty { return nil }
        var part = max(1, best.count / 2)
        while true {
            var isShorter = false
            var start = 0
            while start < best.count {
                let candidate = Array(best[..<start] + best[min(best.count, start + part)...])
                let outcome = try runIfPossible(candidate) ?? Sequence()
                if outcome.differences.isEmpty {
                    start += part
                } else {
                    (best, sequence, isShorter) = (candidate, outcome, true)
                }
            }
            if part == 1, !isShorter { return sequence }
            part = max(1, part / 2)
        }
    }
}
