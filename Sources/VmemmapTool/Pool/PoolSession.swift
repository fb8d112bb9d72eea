import HostMemory
import VmemmapEmulator

/// Why a script's line could not be carried out at all.
enum PoolSessionError: Error, Sendable {
    /// It is no statement, or names a huge page that there is not.
    case script(PoolScriptError)
    /// The host could not do it.
    case host(ExperimentError)
}

/// A machine and what a script has done with it so far.
final class PoolSession {
    private(set) var machine: EmulatedMachine?
    private var user: PoolUser
    private var defaultSize = HugePageSize.twoMebibytes
    private var lastOutcome = "ok"
    private var walkers: Walkers?
    /// What the host had before the machine came.
    private var roomBefore: HostRoom?
    /// Reads of removed memory that the walkers made which were stopped last.
    private(set) var removedReads = 0
    /// Told how far a line is that takes long.
    private let progress: ProgressSink

    /// A session without a machine; `boot` makes one.
    ///
    /// - Parameter progress: told how far a line is that takes long.
    init(progress: @escaping ProgressSink = { _ in }) {
        self.progress = progress
        user = PoolUser(progress: progress)
    }

    deinit { machine?.flush() }

    /// Reads a line and does what it says; nil for one that says nothing.
    func run(_ line: Substring) throws(PoolSessionError) -> PoolOutcome? {
        let statement: PoolStatement?
        do throws(PoolScriptError) {
            statement = try PoolScript.parse(line, machine?.configuration.sizes ?? .x86)
        } catch {
            throw .script(error)
        }
        guard let statement else { return nil }
        switch statement {
        case .boot(let boot): return try self.boot(boot)
        case .expectOutcome(let name):
            _ = try booted()
            return .expected("outcome", expected: name, found: lastOutcome)
        default:
            let outcome = try run(statement, try booted())
            if statement.isOperation { lastOutcome = outcome.refusal ?? "ok" }
            return outcome
        }
    }

    /// Sees to it that nothing is left unsaid: what walkers have seen is told by `walkers off`.
    func end() throws(PoolSessionError) {
        if walkers != nil {
            throw .script(PoolScriptError(found: "walkers that still walk", expected: "walkers off before the end"))
        }
    }

    private func boot(_ boot: PoolBoot) throws(PoolSessionError) -> PoolOutcome {
        try end()
        // The old machine goes before the new one comes, with what it had put off done.
        machine?.flush()
        machine = nil
        try checkRoom(boot.configuration)
        roomBefore = try? HostRoom.current()
        user = PoolUser(progress: progress)
        defaultSize = boot.defaultSize
        lastOutcome = "ok"
        removedReads = 0
        do throws(VmemmapError) {
            let machine = try EmulatedMachine(boot.configuration, budget: .process) { [progress] in
                progress(.count("boot", $0.rawValue, of: $1.rawValue, unit: "vmemmap pages"))
            }
            self.machine = machine
            let outcome = attempt { () throws(HugeTLBError) in
                var got: [PoolSized] = []
                // Gigantic pages come first: they take memory in large pieces.
                for pool in boot.pools.sorted(by: { $0.size.bytes > $1.size.bytes }) {
                    got.append(try setPool(machine, pool.size, to: pool.count, node: pool.node, isAtBoot: true))
                }
                return .booted(boot, got)
            }
            lastOutcome = outcome.refusal ?? "ok"
            return outcome
        } catch {
            throw .host(.vmemmap(error))
        }
    }

    /// Refuses a machine whose struct pages do not fit this host.
    private func checkRoom(_ configuration: MachineConfiguration) throws(PoolSessionError) {
        // More than an address space holds has no plan: that of a part is refused for all of it.
        var part = configuration
        part.memory = min(configuration.memory, ByteCount(1 << 44))
        let size = configuration.sizes.block
        guard let plan = part.plan(size) else { return }
        do throws(ExperimentError) {
            // Optimizing is the script's business, and so are its mappings.
            try HostRoom.current().withoutMappingLimit.check(
                plan, asked: HugePageCount(configuration.memory.rawValue / size.bytes.rawValue))
        } catch {
            throw .host(error)
        }
    }

    private func booted() throws(PoolSessionError) -> EmulatedMachine {
        guard let machine else {
            throw .script(PoolScriptError(found: "no machine", expected: "boot memory=SIZE before anything else"))
        }
        return machine
    }

    // MARK: Statements

    private func run(_ statement: PoolStatement, _ machine: EmulatedMachine) throws(PoolSessionError) -> PoolOutcome {
        let sizes = machine.configuration.sizes
        switch statement {
        case .boot, .expectOutcome: return .done
        case .optimize(let isOptimizing): machine.setOptimizing(isOptimizing)
        case .pool(let size, let count, let node):
            return attempt { () throws(HugeTLBError) in .pool(try setPool(machine, size, to: count, node: node)) }
        case .overcommit(let size, let count):
            return carryOut { () throws(HugeTLBError) in try machine.setOvercommit(size, count) }
        case .allocate(let size, let count):
            return attempt { () throws(HugeTLBError) in .allocated(try user.allocate(size, count, from: machine)) }
        case .free(nil): return carryOut { () throws(HugeTLBError) in try user.free(nil, of: machine) }
        case .free(let frame?):
            return try on(frame) { (head) throws(HugeTLBError) in try user.free(head, of: machine) }
        case .reserve(let size, let count, let kind):
            return carryOut { () throws(HugeTLBError) in try user.reserve(size, count, kind, from: machine) }
        case .unreserve(let size, let count): user.unreserve(size, count, of: machine)
        case .touch(let size, let count): return user.touch(size, count, from: machine)
        case .poison(let frame): return try on(frame, machine.poison)
        case .dissolve(let frame): return try on(frame, machine.dissolve)
        case .demote(let frame): return try on(frame, machine.demote)
        case .demotePages(let size, let count, let node):
            return carryOut { () throws(HugeTLBError) in
                // Only the larger size has the file.
                guard size == sizes.gigantic else { throw HugeTLBError(.noDemotion(size, to: size)) }
                try machine.demote(count, onNode: node)
            }
        case .demoteSize(let size, let smaller):
            return carryOut { () throws(HugeTLBError) in
                guard size == sizes.gigantic, smaller == sizes.block, machine.region(size) != nil else {
                    throw HugeTLBError(.noDemotion(size, to: smaller))
                }
            }
        case .budget(let frames, let isShared): machine.setFrameBudget(frames, isShared: isShared)
        case .cgroup(let size, let limit, let isOfReservations):
            return carryOut { () throws(HugeTLBError) in
                try machine.setCgroup(size) {
                    if isOfReservations { $0.reservationLimit = limit } else { $0.limit = limit }
                }
            }
        case .flush: machine.flush()
        case .hotplug(let bytes, let isSelfHosted):
            return attempt { () throws(HugeTLBError) in .memory(try machine.plug(bytes, isSelfHosted: isSelfHosted)) }
        case .offline(let bytes, let waits):
            return attempt { () throws(HugeTLBError) in .memory(try machine.offline(bytes, waitsForReaders: waits)) }
        case .walk(let count, let isSleeping): try walk(count, isSleeping: isSleeping, machine)
        case .stopWalking:
            guard let walkers else {
                throw .script(PoolScriptError(found: "no walkers", expected: "walkers N before walkers off"))
            }
            self.walkers = nil
            let seen = walkers.stop()
            removedReads = seen.removed
            return .walked(seen)
        case .meminfo:
            let ordered = [defaultSize] + machine.sizes.filter { $0 != defaultSize }
            return .meminfo(ordered.map(machine.hugePages), try figures(machine))
        case .vmstat: return .vmstat(machine.memmap(), try figures(machine))
        case .page(let frame):
            let number = try self.frame(frame)
            return attempt { () throws(HugeTLBError) in .page(try machine.structPage(of: number)) }
        case .expect(let figure, let value): return try expect(figure, value, machine)
        }
        return .done
    }

    /// Does what has no figures to tell.
    private func carryOut(_ body: () throws(HugeTLBError) -> Void) -> PoolOutcome {
        attempt { () throws(HugeTLBError) -> PoolOutcome in
            try body()
            return .done
        }
    }

    private func attempt(_ body: () throws(HugeTLBError) -> PoolOutcome) -> PoolOutcome {
        do throws(HugeTLBError) {
            return try body()
        } catch {
            return .refused(error)
        }
    }

    private func setPool(
        _ machine: EmulatedMachine, _ size: HugePageSize, to asked: HugePageCount, node: Int?,
        isAtBoot: Bool = false
    ) throws(HugeTLBError) -> PoolSized {
        let before = machine.hugePages(size).total.rawValue
        let total = abs(asked.rawValue - before)
        let tell = { [progress] (pages: HugePageCount) in
            progress(.count("nr_hugepages", min(total, abs(pages.rawValue - before)), of: total, unit: "huge pages"))
        }
        let change =
            isAtBoot
            ? try machine.setPoolAtBoot(size, to: asked, onNode: node, progress: tell)
            : try machine.setPool(size, to: asked, onNode: node, progress: tell)
        var sized = PoolSized(size: size, node: node, change: change)
        if change.notOptimized > .zero {
            sized.optimized = machine.hugePages(size).optimized
            adviseTailFrames(machine.configuration, &sized)
        }
        return sized
    }

    /// How many tail frames would do with the mappings that the host had before the machine came, or would do most.
    private func adviseTailFrames(_ configuration: MachineConfiguration, _ sized: inout PoolSized) {
        guard sized.change.optimizeRefusal?.isMappingLimit == true, let room = roomBefore else { return }
        let memory = EmulatedMemory(
            pages: sized.change.got, pageSize: sized.size, basePageSize: configuration.sizes.basePage,
            scheme: configuration.scheme, backing: configuration.backing, tailFrames: configuration.tailFrames)
        sized.fittingTailFrames = memory.fittingTailFrames(on: room)
        if sized.fittingTailFrames == nil { sized.furthestTailFrames = memory.reach(on: room) }
    }

    private func on(
        _ frame: PoolFrame, _ operation: (PageFrameNumber) throws(HugeTLBError) -> Void
    ) throws(PoolSessionError) -> PoolOutcome {
        let number = try self.frame(frame)
        return carryOut { () throws(HugeTLBError) in try operation(number) }
    }

    private func frame(_ frame: PoolFrame) throws(PoolSessionError) -> PageFrameNumber {
        let sizes = try booted().configuration.sizes
        do throws(PoolScriptError) {
            return try user.frame(frame, sizes)
        } catch {
            throw .script(error)
        }
    }

    /// How long a sleeping walker sleeps between finding a struct page and reading it.
    private static let pauseNanoseconds = 1_000_000

    private func walk(_ count: Int, isSleeping: Bool, _ machine: EmulatedMachine) throws(PoolSessionError) {
        guard walkers == nil else {
            throw .script(
                PoolScriptError(found: "walkers that walk already", expected: "walkers off before more of them"))
        }
        removedReads = 0
        do throws(HostError) {
            walkers = try Walkers(
                count, over: machine, seed: 1, pauseNanoseconds: isSleeping ? Self.pauseNanoseconds : 0)
        } catch {
            throw .host(.host(error))
        }
    }
}
