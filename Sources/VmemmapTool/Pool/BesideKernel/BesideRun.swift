import HostMemory
import VmemmapEmulator

/// What a line did on both sides.
struct BesideOutcome: Hashable, Sendable, Codable {
    /// What it did on one side.
    struct Side: Hashable, Sendable, Codable {
        /// `ok`, or an errno's name; null where it was not done there.
        let outcome: Measured<String>
        /// What is counted after it.
        let counts: PoolCounts
    }

    /// The line's number in the script, from 1.
    let number: Int
    /// What it says.
    let statement: String
    /// The emulated machine's.
    let emulator: Side
    /// The other's.
    let peer: Side
    /// What differs that did not differ, or not by as much, after the line before.
    let differences: [String]
    /// What differs and may: see ``KernelDifference``.
    let listed: [String]
    /// Whether what it expects is so; null where it expects nothing.
    let holds: Measured<Bool>

    /// Whether all is as it must be.
    var isRight: Bool { differences.isEmpty && holds.value != false }
}

/// A script done on an emulated machine and on another HugeTLB layer, line by line.
final class BesideRun {
    private let peer: any PoolPeer
    private let listed: [KernelDifference]
    private var session = PoolSession()
    private var memmapAtStart = 0
    private var freePagesAtStart = 0
    /// The number that the peer has for a huge page, by the number that the script has for it.
    private var numbers: [Int: Int] = [:]
    private var heads: [Int: PageFrameNumber] = [:]
    private var takenByPeer = 0
    private var offsets: [String: Int] = [:]
    /// Why nothing is compared any more.
    private var end: String?
    /// What a line of the emulated machine's alone has to say.
    private(set) var said: [String] = []
    /// The number in the script of the huge page taken last.
    private(set) var lastNumber = 0

    /// A run that has done nothing yet.
    ///
    /// - Parameter listed: what the peer may do otherwise.
    init(_ peer: any PoolPeer, listed: [KernelDifference] = []) {
        self.peer = peer
        self.listed = listed
    }

    /// Does a line on both sides.
    func run(_ line: BesideLine) throws(PoolSessionError) -> BesideOutcome {
        said = []
        var differences: [String] = []
        var passed: [String] = []
        var outcomes: (emulator: String?, peer: String?) = (nil, nil)
        var holds: Bool?
        for step in line.steps {
            outcomes = try run(step, &passed, &holds)
            if let emulator = outcomes.emulator, let peer = outcomes.peer, end == nil, step.frame == nil,
                Self.seenByProcess(emulator, step.action) != peer
            {
                differences.append("the outcome is \(emulator), and \(peer) in \(self.peer.name)")
            }
            if outcomes.emulator != "ok", step.action != nil { break }
        }
        let counts = try self.counts()
        let theirs = try host { () throws(ExperimentError) in try peer.counts(expecting: counts) }
        let found = counts.offsets(to: theirs)
        let new = Set(found.filter { offsets[$0.key] != $0.value }.keys)
        offsets = found
        if end == nil {
            differences += counts.differences(to: theirs, of: peer.name, in: new)
        } else if let end, !new.isEmpty {
            passed.append(end)
        }
        return BesideOutcome(
            number: line.number, statement: line.statement,
            emulator: .init(outcome: Measured(outcomes.emulator), counts: counts),
            peer: .init(outcome: Measured(outcomes.peer), counts: theirs), differences: differences, listed: passed,
            holds: Measured(holds))
    }

    /// Sees to it that nothing is left unsaid.
    func finish() throws(PoolSessionError) { try session.end() }

    /// The machine under way.
    var emulated: EmulatedMachine? { session.machine }

    /// Back to nothing on both sides: the machine that there is, where it comes back to nothing, and otherwise the one
    /// that `boot` makes.
    ///
    /// - Parameter isNew: whether to boot in any case.
    func reset(_ boot: BesideLine, isNew: Bool) throws(PoolSessionError) {
        if !isNew, try isEmptied() {
            forget()
            _ = try perform(.reset)
            return
        }
        session = PoolSession()
        lastNumber = 0
        _ = try run(boot)
    }

    private func isEmptied() throws(PoolSessionError) -> Bool {
        guard let machine = session.machine else { return false }
        _ = try session.run("free all")
        for size in ["2M", "1G"] {
            let reserved = machine.pool(size == "1G" ? .oneGibibyte : .twoMebibytes).reserved
            _ = try session.run("unreserve \(size) \(reserved.rawValue)"[...])
            _ = try session.run("nr_overcommit_hugepages \(size) 0"[...])
            _ = try session.run("nr_hugepages \(size) 0"[...])
        }
        _ = try session.run("sysctl hugetlb_optimize_vmemmap=0")
        machine.flush()
        return try counts() == .zero && machine.memmap().freePages == freePagesAtStart
    }

    // MARK: A step

    private func run(
        _ step: BesideLine.Step, _ passed: inout [String], _ holds: inout Bool?
    ) throws(PoolSessionError) -> (emulator: String?, peer: String?) {
        guard let action = try translated(step) else {
            let outcome = try session.run(step.line[...])
            if step.action == nil { said += outcome.map { PoolScriptReport.lines($0, nanoseconds: 0) } ?? [] }
            if outcome?.holds == false { holds = false } else if holds == nil { holds = outcome?.holds }
            return (outcome.map(Self.name), nil)
        }
        if let known = listed.first(where: { $0.kind == .refusesGiganticOvercommit }), let counts = try? counts(),
            known.concerns(action, counts)
        {
            let theirs = try perform(action)
            if theirs == "EINVAL" {
                passed.append(known.line)
                return (nil, theirs)
            }
            return (try emulate(step, action, nil), theirs)
        }
        if let known = listed.first(where: { $0.kind == .shrinksByAnotherCount }), let counts = try? counts(),
            known.concerns(action, counts)
        {
            end = known.line
        }
        let outcome = try emulate(step, action, takenByPeer + 1)
        return (outcome, try perform(action))
    }

    /// What the peer is asked; nil where it is asked nothing.
    private func translated(_ step: BesideLine.Step) throws(PoolSessionError) -> PoolAction? {
        switch step.action {
        case .free(let number):
            guard let theirs = numbers[number] else { return nil }
            return .free(theirs)
        default:
            guard let frame = step.frame else { return step.action }
            return isFreeGigantic(frame) ? step.action : nil
        }
    }

    private func isFreeGigantic(_ place: PoolFrame) -> Bool {
        let frame: PageFrameNumber? =
            switch place {
            case .frame(let frame): frame
            case .allocated(let number, _): heads[number]
            }
        guard let machine = session.machine, let frame, let page = machine.hugePage(of: frame),
            page.size == .oneGibibyte, let view = try? machine.structPage(of: frame)
        else { return false }
        return !view.isActive
    }

    private func emulate(
        _ step: BesideLine.Step, _ action: PoolAction, _ next: Int?
    ) throws(PoolSessionError) -> String {
        guard let outcome = try session.run(step.line[...]) else { return "ok" }
        if case .allocated(let pages) = outcome {
            for page in pages {
                lastNumber = page.number
                numbers[page.number] = next
                heads[page.number] = page.page.head
            }
        }
        if action == .reset { start() }
        session.machine?.flush()
        return Self.name(outcome)
    }

    /// What was taken and compared is of no matter any more.
    private func forget() { (numbers, heads, takenByPeer, offsets, end) = ([:], [:], 0, [:], nil) }

    private func start() {
        forget()
        guard let memmap = session.machine?.memmap() else { return }
        memmapAtStart = (memmap.allocatorPages + memmap.bootPages).rawValue
        freePagesAtStart = memmap.freePages
    }

    private func perform(_ action: PoolAction) throws(PoolSessionError) -> String {
        let outcome = try host { () throws(ExperimentError) in try peer.perform(action) }
        switch action {
        case .allocate, .touch: if outcome == "ok" { takenByPeer += 1 }
        default: break
        }
        return outcome
    }

    private func host<Value>(_ body: () throws(ExperimentError) -> Value) throws(PoolSessionError) -> Value {
        do throws(ExperimentError) { return try body() } catch { throw .host(error) }
    }

    // MARK: Names and counters

    /// What the emulated layer answered. That a pool did not get to its size is no refusal: the write succeeds.
    private static func name(_ outcome: PoolOutcome) -> String {
        outcome.refusal ?? "ok"
    }

    /// An allocation that finds no huge page is ENOMEM inside of the kernel, and SIGBUS to the process that touches
    /// it.
    private static func seenByProcess(_ outcome: String, _ action: PoolAction?) -> String {
        switch action {
        case .allocate, .touch: outcome == "ENOMEM" ? "SIGBUS" : outcome
        default: outcome
        }
    }

    private func counts() throws(PoolSessionError) -> PoolCounts {
        var counts = PoolCounts.zero
        guard let machine = session.machine else {
            throw .script(PoolScriptError(found: "no machine", expected: "boot memory=SIZE before anything else"))
        }
        for (index, size) in MachineSizes.x86.hugePages.enumerated() {
            let pool = machine.pool(size)
            counts.pools[index].totalPages = pool.total.rawValue
            counts.pools[index].freePages = pool.free.rawValue
            counts.pools[index].reservedPages = pool.reserved.rawValue
            counts.pools[index].surplusPages = pool.surplus.rawValue
            counts.pools[index].nodes = pool.nodes.map {
                .init(
                    totalPages: $0.total.rawValue, freePages: $0.free.rawValue, surplusPages: $0.surplus.rawValue)
            }
        }
        let memmap = machine.memmap()
        counts.memmapChangePages = .value((memmap.allocatorPages + memmap.bootPages).rawValue - memmapAtStart)
        return counts
    }
}
