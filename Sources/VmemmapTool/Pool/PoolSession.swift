import HostMemory
import VmemmapEmulator

/// What a line of a pool script did.
enum PoolOutcome: Hashable, Sendable {
    /// A machine came up; how many huge pages its pool got of those asked for.
    case booted(MachineConfiguration, PoolChange?, HugePageSize)
    /// A pool changed its size, or as near as it got.
    case pool(PoolChange, HugePageSize)
    /// Huge pages were allocated: their numbers in the script, and their first frames.
    case allocated([PoolSession.Allocated])
    /// Done, with nothing to show.
    case done
    /// Refused, as the kernel would with that errno.
    case refused(HugeTLBError)
    /// What /proc/meminfo would say, of each size.
    case meminfo([HugePagesInfo], PoolHostFigures)
    /// What /proc/vmstat would say.
    case vmstat(MemmapInfo, PoolHostFigures)
    /// A struct page.
    case page(StructPageView)
    /// What walkers saw until they were stopped.
    case walked(Walkers.Tally)
    /// A figure held against a value.
    case expected(String, expected: String, found: String)
}

/// What the host measured of the machine's struct pages.
struct PoolHostFigures: Hashable, Sendable, Codable {
    /// Different frames behind the region.
    let distinctFrames: PageCount
    /// How they were told apart.
    let countingMethod: FrameCount.Method
    /// Frames that the counters make one expect.
    let expectedFrames: PageCount
    /// Mappings of the region.
    let mappings: MappingCount
    /// VmPTE of the process.
    let pageTableBytes: ByteCount
}

/// Why a script's line could not be carried out at all.
enum PoolSessionError: Error, Sendable {
    /// It is no statement, or names a huge page that there is not.
    case script(PoolScriptError)
    /// The host could not do it.
    case host(ExperimentError)
}

/// A machine and what a script has done with it so far.
final class PoolSession {
    /// A huge page that the script has allocated.
    struct Allocated: Hashable, Sendable {
        /// Its number in the script, from 1.
        let number: Int
        /// The huge page.
        let page: HugePage
    }

    private var machine: EmulatedMachine?
    private var allocated: [Allocated] = []
    private var held: Set<Int> = []
    private var lastRefusal: HugeTLBError?
    private var walkers: Walkers?
    /// Told how far a line is that takes long.
    private let progress: ProgressSink

    /// A session without a machine; `boot` makes one.
    ///
    /// - Parameter progress: told how far a line is that takes long.
    init(progress: @escaping ProgressSink = { _ in }) { self.progress = progress }

    deinit { machine?.flush() }

    /// Reads a line and does what it says; nil for one that says nothing.
    func run(_ line: Substring) throws(PoolSessionError) -> PoolOutcome? {
        let statement: PoolStatement?
        do throws(PoolScriptError) {
            statement = try PoolScript.parse(line)
        } catch {
            throw .script(error)
        }
        guard let statement else { return nil }
        switch statement {
        case .boot(let configuration, let size, let pages): return try boot(configuration, size, pages)
        case .expectOutcome(let name):
            _ = try booted()
            return .expected("outcome", expected: name, found: lastRefusal?.errnoName ?? "ok")
        default: return try run(statement, try booted())
        }
    }

    /// Sees to it that nothing is left unsaid: what walkers have seen is told by `walkers off`.
    func end() throws(PoolSessionError) {
        if walkers != nil {
            throw .script(PoolScriptError(found: "walkers that still walk", expected: "walkers off before the end"))
        }
    }

    private func boot(
        _ configuration: MachineConfiguration, _ size: HugePageSize, _ pages: HugePageCount
    ) throws(PoolSessionError) -> PoolOutcome {
        try end()
        // The old machine goes before the new one comes, with what it had put off done.
        machine?.flush()
        machine = nil
        try checkRoom(configuration)
        allocated = []
        held = []
        do throws(VmemmapError) {
            let machine = try EmulatedMachine(configuration, budget: .process) { [progress] in
                progress(.count("boot", $0.rawValue, of: $1.rawValue, unit: "vmemmap pages"))
            }
            self.machine = machine
            lastRefusal = nil
            guard pages > .zero else { return .booted(configuration, nil, size) }
            let outcome = attempt { () throws(HugeTLBError) in
                .booted(configuration, try setPool(machine, size, to: pages), size)
            }
            if case .booted(_, let change?, _) = outcome { lastRefusal = change.refusal }
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
        let size = HugePageSize.twoMebibytes
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
        switch statement {
        case .boot, .expectOutcome: return .done
        case .optimize(let isOptimizing): machine.setOptimizing(isOptimizing)
        case .pool(let size, let count):
            return attempt { () throws(HugeTLBError) in
                let change = try setPool(machine, size, to: count)
                lastRefusal = change.refusal
                return .pool(change, size)
            }
        case .overcommit(let size, let count):
            return attempt { () throws(HugeTLBError) in
                try machine.setOvercommit(size, count)
                return .done
            }
        case .allocate(let size, let count): return allocate(size, count, machine)
        case .free(let frame): return try free(frame, machine)
        case .reserve(let size, let count):
            return attempt { () throws(HugeTLBError) in
                try machine.reserve(size, count)
                return .done
            }
        case .unreserve(let size, let count): machine.unreserve(size, count)
        case .poison(let frame): return try on(frame, machine.poison)
        case .dissolve(let frame): return try on(frame, machine.dissolve)
        case .demote(let frame): return try on(frame, machine.demote)
        case .budget(let frames): machine.setFrameBudget(frames)
        case .flush: machine.flush()
        case .walk(let count): try walk(count, machine)
        case .stopWalking:
            guard let walkers else {
                throw .script(PoolScriptError(found: "no walkers", expected: "walkers N before walkers off"))
            }
            self.walkers = nil
            return .walked(walkers.stop())
        case .meminfo:
            return .meminfo(EmulatedMachine.sizes.map(machine.hugePages), try figures(machine))
        case .vmstat: return .vmstat(machine.memmap(), try figures(machine))
        case .page(let frame):
            let number = try self.frame(frame)
            return attempt { () throws(HugeTLBError) in .page(try machine.structPage(of: number)) }
        case .expect(let figure, let value): return try expect(figure, value, machine)
        }
        return .done
    }

    private func attempt(_ body: () throws(HugeTLBError) -> PoolOutcome) -> PoolOutcome {
        do throws(HugeTLBError) {
            lastRefusal = nil
            return try body()
        } catch {
            lastRefusal = error
            return .refused(error)
        }
    }

    private func setPool(
        _ machine: EmulatedMachine, _ size: HugePageSize, to asked: HugePageCount
    ) throws(HugeTLBError) -> PoolChange {
        let before = machine.hugePages(size).total.rawValue
        let total = abs(asked.rawValue - before)
        return try machine.setPool(size, to: asked) { [progress] pages in
            progress(.count("nr_hugepages", min(total, abs(pages.rawValue - before)), of: total, unit: "huge pages"))
        }
    }

    private func allocate(_ size: HugePageSize, _ count: HugePageCount, _ machine: EmulatedMachine) -> PoolOutcome {
        attempt { () throws(HugeTLBError) in
            var made: [Allocated] = []
            for done in 0..<count.rawValue {
                progress(.count("alloc", done, of: count.rawValue, unit: "huge pages"))
                let page = Allocated(number: allocated.count + 1, page: try machine.allocate(size))
                allocated.append(page)
                held.insert(page.number)
                made.append(page)
            }
            return .allocated(made)
        }
    }

    private func free(_ frame: PoolFrame?, _ machine: EmulatedMachine) throws(PoolSessionError) -> PoolOutcome {
        let pages: [Allocated]
        if let frame {
            let number = try self.frame(frame)
            guard let page = allocated.last(where: { held.contains($0.number) && $0.page.head == number }) else {
                return attempt { () throws(HugeTLBError) in throw HugeTLBError(.notAHugePage(number)) }
            }
            pages = [page]
        } else {
            pages = allocated.filter { held.contains($0.number) }
        }
        return attempt { () throws(HugeTLBError) in
            for (done, page) in pages.enumerated() {
                progress(.count("free", done, of: pages.count, unit: "huge pages"))
                try machine.free(page.page)
                held.remove(page.number)
            }
            return .done
        }
    }

    private func on(
        _ frame: PoolFrame, _ operation: (PageFrameNumber) throws(HugeTLBError) -> Void
    ) throws(PoolSessionError) -> PoolOutcome {
        let number = try self.frame(frame)
        return attempt { () throws(HugeTLBError) in
            try operation(number)
            return .done
        }
    }

    private func frame(_ frame: PoolFrame) throws(PoolSessionError) -> PageFrameNumber {
        switch frame {
        case .frame(let number): return number
        case .allocated(let number, let offset):
            guard let page = allocated.first(where: { $0.number == number }) else {
                throw .script(
                    PoolScriptError(
                        found: "#\(number)",
                        expected: allocated.isEmpty
                            ? "an alloc before it" : "#1 to #\(allocated.count), the huge pages allocated so far"))
            }
            // What no number tells is as far beyond the memory as any frame can be.
            let (sum, overflow) = page.page.head.rawValue.addingReportingOverflow(offset)
            return PageFrameNumber(overflow ? .max : sum)
        }
    }

    private func walk(_ count: Int, _ machine: EmulatedMachine) throws(PoolSessionError) {
        guard walkers == nil else {
            throw .script(
                PoolScriptError(found: "walkers that walk already", expected: "walkers off before more of them"))
        }
        do throws(HostError) {
            walkers = try Walkers(count, over: machine, seed: 1)
        } catch {
            throw .host(.host(error))
        }
    }

    // MARK: Figures

    /// What the machine counts now, and what the host measures of it; nil while there is none.
    func snapshot() throws(PoolSessionError) -> PoolFigures? {
        guard let machine else { return nil }
        let memmap = machine.memmap()
        return PoolFigures(
            pools: EmulatedMachine.sizes.map { size in
                let info = machine.hugePages(size)
                return PoolFigures.Pool(
                    hugePageBytes: size.bytes, totalPages: info.total.rawValue, freePages: info.free.rawValue,
                    reservedPages: info.reserved.rawValue, surplusPages: info.surplus.rawValue,
                    optimizedPages: info.optimized.rawValue)
            },
            memmapPages: memmap.allocatorPages, memmapBootPages: memmap.bootPages,
            splitPageTables: memmap.splitPageTables, frameBudgetPages: Measured(memmap.frameBudget),
            measured: try figures(machine))
    }

    private func figures(_ machine: EmulatedMachine) throws(PoolSessionError) -> PoolHostFigures {
        do throws(HostError) {
            let frames = try FrameCount.count(in: machine.range)
            return PoolHostFigures(
                distinctFrames: frames.distinct, countingMethod: frames.method,
                expectedFrames: machine.expectedFrames(), mappings: try ProcMaps.count(overlapping: machine.range),
                pageTableBytes: try ProcessStatus.current().pageTables)
        } catch {
            throw .host(.host(error))
        }
    }

    private func expect(
        _ figure: PoolFigure, _ value: Int, _ machine: EmulatedMachine
    ) throws(PoolSessionError) -> PoolOutcome {
        switch figure {
        case .hugePages(let name, let size):
            let info = machine.hugePages(size)
            let found =
                switch name {
                case "HugePages_Total": info.total
                case "HugePages_Free": info.free
                case "HugePages_Rsvd": info.reserved
                case "HugePages_Surp": info.surplus
                default: info.optimized
                }
            return .expected(name, expected: "\(value)", found: "\(found)")
        case .machine(let name):
            let info = machine.memmap()
            let found =
                switch name {
                case "nr_memmap_pages": info.allocatorPages.rawValue
                case "nr_memmap_boot_pages": info.bootPages.rawValue
                case "nr_memmap_sum": info.allocatorPages.rawValue + info.bootPages.rawValue
                case "split_page_tables": info.splitPageTables
                case "free_pages": info.freePages
                default: try figures(machine).distinctFrames.rawValue
                }
            return .expected(name, expected: "\(value)", found: "\(found)")
        }
    }
}
