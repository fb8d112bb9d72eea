import HostMemory
import Testing
import VmemmapEmulator

@Suite("Random pool operations")
struct MachineStateTests {
    static let configurations: [MachineConfiguration] = Backing.allCases.flatMap { backing in
        Scheme.allCases.flatMap { scheme in
            MachineConfiguration.Release.allCases.map { release in
                MachineConfiguration(
                    memory: .gibibytes(2), scheme: scheme, backing: backing,
                    tailRun: .frames(PageCount(scheme == .head ? 1 : 6)), optimizesAtBoot: true, release: release)
            }
        }
    }

    @Test(
        "Counts agree with a simple model, contents and frames with the counts, at every step",
        arguments: configurations.indices, [Seeds.all[0], Seeds.all[Seeds.all.count - 1]])
    func random(_ number: Int, _ seed: UInt64) throws {
        let machine = try EmulatedMachine(Self.configurations[number])
        let walkers = try Walkers(1, over: machine, seed: seed)
        defer { _ = walkers.stop() }
        var run = RandomPoolRun(machine, seed: seed)
        for step in 0..<85 {
            let operation = try run.step()
            let comment = "seed \(seed), step \(step): \(operation)"
            machine.flush()
            for size in EmulatedMachine.sizes {
                let info = machine.hugePages(size)
                let expected = run.model[size] ?? PoolModel()
                #expect(info.total.rawValue == expected.total, "\(comment), \(size.bytes)")
                #expect(info.free.rawValue == expected.total - expected.active, "\(comment), \(size.bytes)")
                #expect(info.surplus.rawValue == expected.surplus, "\(comment), \(size.bytes)")
                #expect(info.reserved.rawValue == expected.reserved, "\(comment), \(size.bytes)")
            }
            #expect(machine.memmap().freePages == run.freePages, "\(comment)")
            #expect(try FrameCount.count(in: machine.range).distinct == machine.expectedFrames(), "\(comment)")
            if step.isMultiple(of: 30) { try machine.expectWhole() }
        }
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "seed \(seed): \(String(describing: seen.firstWrong))")
        #expect(seen.reads > 0)
        try machine.expectWhole()
    }
}

/// The counts of one pool, as the documentation has them.
struct PoolModel {
    var total = 0
    var active = 0
    var surplus = 0
    var reserved = 0
    var overcommit = 0

    var available: Int { total - active - reserved }
    var persistent: Int { total - surplus }
}

/// Draws operations from a seed, carries them out, and keeps the counts that they make one expect.
struct RandomPoolRun {
    private let machine: EmulatedMachine
    private var generator: SplitMix64
    private var held: [HugePage] = []
    private var errors: Set<PageFrameNumber> = []
    var model: [HugePageSize: PoolModel] = [:]

    init(_ machine: EmulatedMachine, seed: UInt64) {
        self.machine = machine
        generator = SplitMix64(seed: seed)
        for size in EmulatedMachine.sizes { model[size] = PoolModel() }
    }

    /// Base pages that are in no huge page and have no error.
    var freePages: Int {
        let used = model.reduce(0) { $0 + $1.value.total * ($1.key.bytes.rawValue >> 12) }
        return machine.configuration.memory.rawValue >> 12 - used - errors.count { machine.hugePage(of: $0) == nil }
    }

    /// One operation; returns what it was.
    mutating func step() throws -> String {
        let size: HugePageSize = Int.random(in: 0..<8, using: &generator) == 0 ? .oneGibibyte : .twoMebibytes
        switch Int.random(in: 0..<12, using: &generator) {
        case 0, 1: return try resize(size)
        case 2, 3, 4: return allocate(size)
        case 5, 6: return try free()
        case 7: return try reserve(size)
        case 8:
            let count = Int.random(in: 0...3, using: &generator)
            try machine.setOvercommit(size, HugePageCount(count))
            model[size]?.overcommit = count
            return "overcommit \(count)"
        case 9: return poison()
        case 10: return dissolveOrDemote()
        default:
            let isOptimizing = Bool.random(using: &generator)
            machine.setOptimizing(isOptimizing)
            return "sysctl \(isOptimizing)"
        }
    }

    private mutating func resize(_ size: HugePageSize) throws -> String {
        let asked = Int.random(in: 0...(size == .oneGibibyte ? 2 : 40), using: &generator)
        var pool = model[size] ?? PoolModel()
        let change = try machine.setPool(size, to: HugePageCount(asked))
        if asked > pool.persistent {
            pool.surplus -= min(pool.surplus, asked - pool.persistent)
            // Whether a gigantic page finds room is a matter of where the small ones lie.
            let got = size == .oneGibibyte ? change.got.rawValue : asked
            pool.total += got - pool.persistent
        } else {
            let given = min(pool.available, pool.total - asked)
            let surplus = min(given, pool.surplus)
            pool.surplus -= surplus
            pool.total -= given
            pool.surplus += max(0, pool.persistent - asked)
        }
        model[size] = pool
        return "pool of \(size.bytes) to \(asked)"
    }

    private mutating func allocate(_ size: HugePageSize) -> String {
        var pool = model[size] ?? PoolModel()
        let isReserved = pool.reserved > 0 && Bool.random(using: &generator)
        let mayMakeSurplus = pool.surplus < pool.overcommit
        // A free page with a memory error is not handed out.
        let isOneSound = pool.total - pool.active > poisonedFreePages(size)
        let expected = isOneSound && (isReserved || pool.available > 0)
        guard let page = try? machine.allocate(size, isReserved: isReserved) else {
            return "allocate \(size.bytes), refused" + (expected ? " wrongly" : "")
        }
        if isReserved { pool.reserved -= 1 }
        if !expected {
            pool.total += 1
            pool.surplus += mayMakeSurplus ? 1 : 1000
        }
        pool.active += 1
        held.append(page)
        model[size] = pool
        return "allocate \(size.bytes)"
    }

    private func poisonedFreePages(_ size: HugePageSize) -> Int {
        let pages = errors.compactMap(machine.hugePage).filter { $0.size == size && !held.contains($0) }
        return Set(pages).count
    }

    private mutating func free() throws -> String {
        guard let index = held.indices.randomElement(using: &generator) else { return "nothing to free" }
        let page = held.remove(at: index)
        try machine.free(page)
        model[page.size]?.active -= 1
        if let surplus = model[page.size]?.surplus, surplus > 0 {
            model[page.size]?.surplus -= 1
            model[page.size]?.total -= 1
        }
        return "free \(page)"
    }

    private mutating func reserve(_ size: HugePageSize) throws -> String {
        var pool = model[size] ?? PoolModel()
        if pool.reserved > 0, Bool.random(using: &generator) {
            let count = Int.random(in: 1...pool.reserved, using: &generator)
            machine.unreserve(size, HugePageCount(count))
            pool.reserved -= count
            let returned = min(count, pool.surplus, pool.available)
            pool.surplus -= returned
            pool.total -= returned
            model[size] = pool
            return "unreserve \(count) of \(size.bytes)"
        }
        let count = Int.random(in: 1...3, using: &generator)
        let missing = max(0, count - pool.available)
        let isAllowed = missing == 0 || pool.surplus + missing <= pool.overcommit
        do throws(HugeTLBError) {
            try machine.reserve(size, HugePageCount(count))
            pool.reserved += count
            pool.total += missing
            pool.surplus += isAllowed ? missing : 1000
        } catch {
            // Whether surplus pages find room is a matter of where the others lie.
            let isExpected = isAllowed ? missing > 0 && error.cause == .noContiguousMemory(size) : missing > 0
            #expect(isExpected, "reserve \(count) of \(size.bytes): \(error)")
        }
        model[size] = pool
        return "reserve \(count) of \(size.bytes)"
    }

    private mutating func poison() -> String {
        guard errors.count < 20, let page = held.randomElement(using: &generator) else { return "nothing to poison" }
        let frame = page.head.advanced(by: Int.random(in: 0..<(page.size.bytes.rawValue >> 12), using: &generator))
        try? machine.poison(frame)
        errors.insert(frame)
        return "poison \(frame)"
    }

    private mutating func dissolveOrDemote() -> String {
        let frame = PageFrameNumber(
            Int.random(in: 0..<(machine.configuration.memory.rawValue >> 12), using: &generator))
        guard let page = machine.hugePage(of: frame) else { return "no huge page at \(frame)" }
        if page.size == .oneGibibyte, Bool.random(using: &generator) {
            if (try? machine.demote(frame)) != nil {
                remove(.oneGibibyte)
                model[.twoMebibytes]?.total += 512
            }
            return "demote \(frame)"
        }
        if (try? machine.dissolve(frame)) != nil { remove(page.size) }
        return "dissolve \(frame)"
    }

    /// A free page is taken out of a pool: as a surplus one while there are any.
    private mutating func remove(_ size: HugePageSize) {
        model[size]?.total -= 1
        if let surplus = model[size]?.surplus, surplus > 0 { model[size]?.surplus -= 1 }
    }
}
