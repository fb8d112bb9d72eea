import HostMemory
import Testing
import VmemmapEmulator

@Suite("Random pool operations", .serialized)
struct MachineStateTests {
    /// Machines with room for 32 huge pages of 2 MiB, so that there is often none left, and with two gigantic pages.
    static let configurations: [MachineConfiguration] = [ByteCount.mebibytes(64), .gibibytes(2)].flatMap { memory in
        Backing.allCases.flatMap { backing in
            Scheme.ofHugeTLB.flatMap { scheme in
                MachineConfiguration.Release.allCases.map { release in
                    MachineConfiguration(
                        memory: memory, scheme: scheme, backing: backing,
                        tailFrames: .frames(PageCount(scheme == .head ? 1 : 3)), optimizesAtBoot: true,
                        release: release,
                        restoreFailure: release == .deferred ? .wait : .surplus)
                }
            }
        }
    }

    /// The small ones by two seeds, of which one is new each time; the large ones by one.
    static let runs: [(number: Int, seed: UInt64)] = configurations.indices.flatMap { number in
        let seeds = [Seeds.all[0]] + Seeds.all.dropFirst().suffix(1)
        return number < 12 ? seeds.map { (number, $0) } : [(number, seeds[number % seeds.count])]
    }

    @Test(
        "Every operation does, or is refused, what a second pool says; contents and frames agree with it",
        arguments: runs)
    func random(_ number: Int, _ seed: UInt64) throws {
        let machine = try EmulatedMachine(Self.configurations[number])
        let isSmall = machine.configuration.memory < .gibibytes(1)
        let walkers = try Walkers(1, over: machine, seed: seed)
        defer { _ = walkers.stop() }
        var run = RandomPoolRun(machine, seed: seed)
        for step in 0..<(FaultCase.isFull ? 500 : isSmall ? 100 : 20) {
            let operation = run.step()
            let comment = "seed \(seed), step \(step): \(operation)"
            machine.flush()
            let disagreements = try run.disagreements(countingFrames: step.isMultiple(of: isSmall ? 4 : 9))
            #expect(disagreements.isEmpty, "\(comment)")
            // From here on everything would disagree.
            if !disagreements.isEmpty { return }
        }
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "seed \(seed): \(String(describing: seen.firstWrong))")
        #expect(seen.reads > 0)
        let disagreements = try run.disagreements(countingFrames: true)
        #expect(disagreements.isEmpty, "seed \(seed), at the end")
        try machine.expectWhole()
    }

    @Test("Among the operations that are drawn each refusal occurs")
    func everyRefusalOccurs() throws {
        var seen: Set<String> = []
        for number in [0, 1, 12, 13] {
            for seed in [1, 2, 5] {
                var run = RandomPoolRun(try EmulatedMachine(Self.configurations[number]), seed: UInt64(seed))
                for _ in 0..<(number < 12 ? 160 : 60) { _ = run.step() }
                seen.formUnion(run.refusals)
            }
        }
        let all: Set = [
            "poolEmpty", "noContiguousMemory", "frameBudget", "pageTables", "notAHugePage", "inUse", "alreadyFree",
            "reserved", "noSuchSize", "alreadyPoisoned",
        ]
        // Poisoned gigantic pages are rarely free and asked for (MachineTests has one).
        #expect(seen.isSuperset(of: all), "missing: \(all.subtracting(seen).sorted())")
    }
}

/// Draws operations from a seed, carries them out on a machine and on the model, and says where the two disagree.
struct RandomPoolRun {
    private let machine: EmulatedMachine
    private var model: PoolModel
    private var generator: SplitMix64
    private var held: [HugePage] = []
    private var found: [String] = []
    /// The kinds of refusal that there have been.
    private(set) var refusals: Set<String> = []

    init(_ machine: EmulatedMachine, seed: UInt64) {
        self.machine = machine
        model = PoolModel(machine)
        generator = SplitMix64(seed: seed)
    }

    private mutating func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    /// Notes what the machine answered and what it must answer.
    private mutating func compare(_ answer: HugeTLBError.Cause?, _ expected: HugeTLBError.Cause?) {
        if let expected { refusals.insert(String("\(expected)".prefix { $0 != "(" })) }
        if answer != expected {
            found.append("refused: \(String(describing: answer)), must be: \(String(describing: expected))")
        }
    }

    private func refusal(_ body: () throws(HugeTLBError) -> Void) -> HugeTLBError.Cause? {
        do throws(HugeTLBError) {
            try body()
            return nil
        } catch {
            return error.cause
        }
    }

    /// One operation; returns what it was.
    mutating func step() -> String {
        found = []
        let size: HugePageSize = draw(0...(model.blocks < 512 ? 7 : 2)) == 0 ? .oneGibibyte : .twoMebibytes
        switch draw(0...14) {
        case 0, 1: return resize(size)
        case 2, 3, 4: return allocate(size)
        case 5, 6: return free()
        case 7, 8: return reserve(size)
        case 9: return overcommit(size)
        case 10: return poison()
        case 11, 12: return dissolveOrDemote()
        case 13: return setBudget()
        default:
            model.isOptimizing = draw(0...3) > 0
            machine.setOptimizing(model.isOptimizing)
            return "sysctl \(model.isOptimizing)"
        }
    }

    private mutating func resize(_ size: HugePageSize) -> String {
        let asked = draw(0...(size == .oneGibibyte ? 2 : 40))
        var change: PoolChange?
        let error = refusal { () throws(HugeTLBError) in change = try machine.setPool(size, to: HugePageCount(asked)) }
        if model.pools[size] == nil {
            compare(error, .noSuchSize(size))
        } else {
            compare(error ?? change?.refusal?.cause, model.setPool(size, to: asked))
            machine.flush()
            if change?.got.rawValue != model.pools[size]?.persistent {
                found.append("got \(String(describing: change))")
            }
        }
        return "pool of \(size.bytes) to \(asked)"
    }

    private mutating func allocate(_ size: HugePageSize) -> String {
        let isReserved = (model.pools[size]?.reserved ?? 0) > 0 && draw(0...1) == 0
        let answer = Result { () throws(HugeTLBError) in try machine.allocate(size, isReserved: isReserved) }
        let expected = Result { () throws(HugeTLBError) in try model.allocate(size, isReserved: isReserved) }
        switch (answer, expected) {
        case (.success(let page), .success(let index)):
            if page.index.rawValue != index || page.size != size { found.append("\(page), must be \(index)") }
            held.append(page)
        case (.failure(let answer), .failure(let expected)): compare(answer.cause, expected.cause)
        case (.success(let page), .failure(let expected)): found.append("\(page), must be refused: \(expected)")
        case (.failure(let answer), .success): found.append("refused wrongly: \(answer)")
        }
        return "allocate \(size.bytes), reserved \(isReserved)"
    }

    private mutating func free() -> String {
        guard let index = held.indices.randomElement(using: &generator) else { return "nothing to free" }
        let page = held.remove(at: index)
        let answer = refusal { () throws(HugeTLBError) in try machine.free(page) }
        compare(answer, model.free(page.index.rawValue, page.size))
        // PageID twice.
        if draw(0...3) == 0 {
            let answer = refusal { () throws(HugeTLBError) in try machine.free(page) }
            compare(answer, model.free(page.index.rawValue, page.size))
        }
        return "free \(page)"
    }

    private mutating func reserve(_ size: HugePageSize) -> String {
        if let pool = model.pools[size], pool.reserved > 0, draw(0...1) == 0 {
            // Sometimes more than was promised.
            let count = draw(1...(pool.reserved + 1))
            machine.unreserve(size, HugePageCount(count))
            model.unreserve(size, count)
            return "unreserve \(count) of \(size.bytes)"
        }
        // As often as not more than are free, so that surplus pages are gathered, and refused half-way.
        let count = draw(1...3) + (draw(0...1) == 0 ? max(0, model.pools[size]?.available ?? 0) : 0)
        let answer = refusal { () throws(HugeTLBError) in try machine.reserve(size, HugePageCount(count)) }
        compare(answer, model.reserve(size, count))
        return "reserve \(count) of \(size.bytes)"
    }

    private mutating func overcommit(_ size: HugePageSize) -> String {
        let count = draw(0...3)
        let answer = refusal { () throws(HugeTLBError) in try machine.setOvercommit(size, HugePageCount(count)) }
        compare(answer, model.pools[size] == nil ? .noSuchSize(size) : nil)
        model.pools[size]?.overcommit = count
        return "overcommit \(count)"
    }

    /// An error anywhere: in a huge page in use or free, or in free memory.
    private mutating func poison() -> String {
        guard model.errors.count < 12 else { return "nothing more to poison" }
        // As often as not beside an error that there is: one huge page may have several.
        let error = model.errors.sorted().randomElement(using: &generator)
        let beside = draw(0...511)
        let frame = draw(0...1) == 0 ? drawFrame() : error.map { $0 / 512 * 512 + beside } ?? drawFrame()
        let answer = refusal { () throws(HugeTLBError) in try machine.poison(PageFrameNumber(frame)) }
        compare(answer, model.poison(frame))
        return "poison \(frame)"
    }

    private mutating func dissolveOrDemote() -> String {
        let isDemoted = draw(0...2) == 0
        // One with an error, now and then.
        let error = model.errors.sorted().randomElement(using: &generator)
        let frame = draw(0...3) == 0 ? error ?? drawFrame() : drawFrame()
        let answer = refusal { () throws(HugeTLBError) in
            let frame = PageFrameNumber(frame)
            if isDemoted { try machine.demote(frame) } else { try machine.dissolve(frame) }
        }
        compare(answer, isDemoted ? model.demote(frame) : model.dissolve(frame))
        return "\(isDemoted ? "demote" : "dissolve") \(frame)"
    }

    /// A frame of any huge page there is, or of all memory.
    private mutating func drawFrame() -> Int {
        let pages = model.pools.flatMap { size, pool in (pool.free + pool.active).map { model.frames($0, size) } }
            .sorted { $0.lowerBound < $1.lowerBound }
        if let frames = pages.randomElement(using: &generator), draw(0...2) > 0 {
            return draw(frames.lowerBound...(frames.upperBound - 1))
        }
        return draw(0...(model.blocks * 512 - 1))
    }

    /// Little or nothing, so that splits and restores are refused; what is put off, or waits, always has enough.
    private mutating func setBudget() -> String {
        if model.manner == .wait, draw(0...1) == 0 { return growWithoutBudget() }
        let isShort = model.manner == .surplus
        model.budget = draw(0...2) == 0 ? nil : isShort ? draw(0...30) : 1 << 20
        machine.setFrameBudget(model.budget.map { PageCount($0) })
        return "budget \(String(describing: model.budget))"
    }

    /// The pool is to grow by some, and there is nothing for the page tables of a split.
    private mutating func growWithoutBudget() -> String {
        machine.setFrameBudget(.zero)
        model.budget = 0
        let asked = (model.pools[.twoMebibytes]?.persistent ?? 0) + draw(1...3)
        let answer = Result { () throws(HugeTLBError) in
            try machine.setPool(.twoMebibytes, to: HugePageCount(asked))
        }
        compare((try? answer.get())?.refusal?.cause, model.setPool(.twoMebibytes, to: asked))
        if machine.memmap().frameBudget?.rawValue != model.budget { found.append("another budget is left") }
        machine.setFrameBudget(nil)
        model.budget = nil
        return "pool to \(asked) without page tables"
    }

    // MARK: The two beside each other

    /// What disagrees after the last operation.
    mutating func disagreements(countingFrames: Bool) throws -> [String] {
        func check(_ what: String, _ found: Int?, _ expected: Int?) {
            if found != expected {
                self.found.append("\(what): \(String(describing: found)), must be \(String(describing: expected))")
            }
        }
        for size in MachineSizes.x86.hugePages {
            let info = machine.hugePages(size)
            let pool = model.pools[size] ?? PoolModel.Pool()
            check("\(size.bytes) total", info.total.rawValue, pool.total)
            check("\(size.bytes) free", info.free.rawValue, pool.free.count)
            check("\(size.bytes) surplus", info.surplus.rawValue, pool.surplus)
            check("\(size.bytes) reserved", info.reserved.rawValue, pool.reserved)
            check("\(size.bytes) overcommit", info.overcommit.rawValue, pool.overcommit)
            check("\(size.bytes) optimized", info.optimized.rawValue, model.optimized[size]?.count ?? 0)
            let states = machine.region(size)?.hugePageStates ?? []
            for page in pool.free + pool.active {
                let isOptimized = states[page] == .optimized
                check("\(size.bytes) page \(page) optimized", isOptimized ? 1 : 0, isModelled(page, size) ? 1 : 0)
            }
        }
        let memmap = machine.memmap()
        let templates = MachineSizes.x86.hugePages.reduce(0) {
            $0 + (machine.region($1)?.plan.templates.rawValue ?? 0)
        }
        check("boot pages", memmap.bootPages.rawValue, model.bootPages)
        check(
            "allocator pages", memmap.allocatorPages.rawValue,
            model.withoutBootFrame.count - model.freedPages + templates)
        check("split page tables", memmap.splitPageTables, model.splitPmds.count)
        check("optimize failures", memmap.optimizeFailures, model.optimizeFailures)
        check("restore failures", memmap.restoreFailures, model.restoreFailures)
        check("set aside", memmap.setAsidePages, 0)
        check("budget", memmap.frameBudget?.rawValue, model.budget)
        check("free pages", memmap.freePages, model.freePages)
        checkPages()
        if countingFrames { try checkFrames() }
        return found
    }

    private func isModelled(_ page: Int, _ size: HugePageSize) -> Bool {
        model.optimized[size]?.contains(page) == true
    }

    /// Which huge page every so many blocks are in, and where memory errors are.
    private mutating func checkPages() {
        let stride = model.blocks > 64 ? 37 : 1
        for block in Swift.stride(from: 0, to: model.blocks, by: stride) {
            let page = machine.hugePage(of: PageFrameNumber(block * 512))
            let expected = model.hugePage(of: block * 512)
            if page?.size != expected?.size || page?.index.rawValue != expected?.page {
                found.append("block \(block): \(String(describing: page)), must be \(String(describing: expected))")
            }
        }
        for error in model.errors {
            let page = model.hugePage(of: error)
            // The head carries it for the whole huge page.
            let frame = page.map { model.frames($0.page, $0.size).lowerBound } ?? error
            if !machine.isPoisoned(PageFrameNumber(frame)) { found.append("the error of frame \(error) is lost") }
        }
    }

    /// The frames behind the machine's memory, and what its memory files hold.
    private mutating func checkFrames() throws {
        let views = MachineSizes.x86.hugePages.compactMap { machine.region($0) }
        var frames = model.blocks * 8 - model.freedPages
        var files: [Int] = []
        for view in views {
            let size = view.plan.geometry.hugePageSize
            let optimized = model.optimized[size] ?? []
            let zones = Set(optimized.map { view.plan.zone(of: HugePageIndex($0)) })
            frames += view.plan.templatesPerZone.rawValue * zones.count
            files.append(optimized.count * view.plan.sharedFramesPerHugePage.rawValue + view.plan.templates.rawValue)
        }
        let counted = try FrameCount.count(in: machine.range).distinct.rawValue
        if counted != frames { found.append("\(counted) frames, must be \(frames)") }
        let held = try views.map { try $0.sharedFrameBytes().rawValue / HostLimits.pageSize.rawValue }
        if machine.configuration.backing == .memfd {
            // One file for all of them.
            let templates = views.reduce(0) { $0 + $1.plan.templates.rawValue }
            files = views.map { _ in model.blocks * 8 - model.freedPages + templates }
        }
        if held != files { found.append("the memory files hold \(held) pages, must be \(files)") }
    }
}
