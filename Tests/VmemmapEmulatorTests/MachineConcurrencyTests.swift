import HostMemory
import Testing
import VmemmapEmulator

@Suite("A machine that several threads use")
struct MachineConcurrencyTests {
    @Test(
        "Threads use one pool at once: nobody gets another's page, no count goes below 0, and all is back at the end",
        arguments: MachineConfiguration.Release.allCases, Seeds.all)
    func together(_ release: MachineConfiguration.Release, _ seed: UInt64) throws {
        // Little memory: that there is none left is to happen often.
        let machine = try EmulatedMachine(
            MachineConfiguration(memory: .mebibytes(32), optimizesAtBoot: true, release: release))
        let walkers = try Walkers(1, over: machine, seed: seed)
        defer { _ = walkers.stop() }
        let crowd = Crowd(machine)
        var seeds = SplitMix64(seed: seed)
        let threads = try (0..<3).map { number throws(HostError) in
            let seed = seeds.next()
            return try HostThread {
                var generator = SplitMix64(seed: seed)
                if number == 0 { crowd.manage(&generator) } else { crowd.use(&generator) }
            }
        }
        for thread in threads { thread.join() }
        machine.flush()
        #expect(crowd.problems.isEmpty, "seed \(seed): \(crowd.problems.prefix(3))")
        let (held, reserved) = crowd.state.withLock { ($0.held, $0.reserved) }
        let info = machine.hugePages(.twoMebibytes)
        #expect(
            info.total - info.free == HugePageCount(held.count) && info.reserved.rawValue == reserved, "seed \(seed)")
        #expect(info.free >= info.reserved && info.surplus <= info.total, "seed \(seed)")
        #expect(machine.memmap().freePages == (16 - info.total.rawValue) * 512, "seed \(seed)")
        try machine.expectWhole()
        machine.unreserve(.twoMebibytes, HugePageCount(reserved))
        for page in held { try machine.free(page) }
        // A pool that was shrunk while a reservation made surplus pages may have free ones that nobody is promised. As
        // in the kernel they go once the pool has made them its own.
        #expect(try machine.empty(.twoMebibytes).refusal == nil, "seed \(seed)")
        machine.flush()
        let left = machine.hugePages(.twoMebibytes)
        #expect(left.total == .zero && left.surplus == .zero && left.reserved == .zero, "seed \(seed)")
        #expect(machine.memmap().freePages == 16 * 512, "seed \(seed)")
        try machine.expectWhole()
        let seen = walkers.stop()
        #expect(seen.reads > 0 && seen.wrong == 0, "seed \(seed): \(String(describing: seen.firstWrong))")
    }

    @Test("Who takes a promise back takes no page that another has been promised meanwhile")
    func promisesAreKept() throws {
        let machine = try EmulatedMachine(MachineConfiguration(memory: .mebibytes(32)))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(16))
        let broken = Guarded<[HState]>([])
        let threads = try (0..<3).map { _ throws(HostError) in
            try HostThread {
                for _ in 0..<2000 where (try? machine.reserve(.twoMebibytes, HugePageCount(1))) != nil {
                    for _ in 0..<4 {
                        let state = machine.pool(.twoMebibytes)
                        if state.free < state.reserved { broken.withLock { $0.append(state) } }
                    }
                    machine.unreserve(.twoMebibytes, HugePageCount(1))
                }
            }
        }
        for thread in threads { thread.join() }
        let states = broken.withLock { $0 }
        #expect(states.isEmpty, "\(states.count), the first: \(String(describing: states.first))")
        #expect(machine.hugePages(.twoMebibytes).total == .zero)
    }

    @Test("A huge page that is freed while the pool shrinks is one of those that are too many")
    func freedDuringAShrink() throws {
        let machine = try EmulatedMachine(MachineConfiguration(memory: .mebibytes(32), optimizesAtBoot: true))
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        var page: HugePage? = try machine.allocate(.twoMebibytes)
        try machine.setPool(.twoMebibytes, to: .zero) { _ in
            if let held = page { _ = try? machine.free(held) }
            page = nil
        }
        #expect(page == nil)
        #expect(machine.hugePages(.twoMebibytes).total == .zero)
        #expect(machine.memmap().freePages == 16 * 512)
        try machine.expectWhole()
    }

    @Test("Threads together get no more than their cgroup may have")
    func cgroup() throws {
        let machine = try EmulatedMachine(MachineConfiguration(memory: .mebibytes(32), optimizesAtBoot: true))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(16))
        try machine.setCgroup(.twoMebibytes) {
            $0.limit = 1
            $0.reservationLimit = 2
        }
        // What they have at least, and the most of it that there was.
        let had = Guarded((used: 0, reserved: 0, mostUsed: 0, most: 0))
        @Sendable func note(used: Int = 0, reserved: Int = 0) {
            had.withLock { had in
                had.used += used
                had.reserved += reserved
                had.mostUsed = max(had.mostUsed, had.used)
                had.most = max(had.most, had.used + had.reserved)
            }
        }
        let threads = try (0..<3).map { number throws(HostError) in
            try HostThread {
                for step in 0..<400 {
                    if (step + number).isMultiple(of: 2) {
                        guard let page = try? machine.allocate(.twoMebibytes) else { continue }
                        note(used: 1)
                        _ = machine.hugePages(.twoMebibytes)
                        note(used: -1)
                        _ = try? machine.free(page)
                    } else if (try? machine.reserve(.twoMebibytes, HugePageCount(2))) != nil {
                        note(reserved: 2)
                        _ = machine.hugePages(.twoMebibytes)
                        note(reserved: -2)
                        machine.unreserve(.twoMebibytes, HugePageCount(2))
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        let (mostUsed, most) = had.withLock { ($0.mostUsed, $0.most) }
        #expect(mostUsed == 1 && most == 2)
        #expect(machine.hugePages(.twoMebibytes).total == .zero)
        try machine.expectWhole()
    }
}

/// What the threads do, and what they must have together.
private final class Crowd: Sendable {
    struct State {
        var held: Set<HugePage> = []
        var reserved = 0
        var problems: [String] = []
    }

    let machine: EmulatedMachine
    let state = Guarded(State())

    init(_ machine: EmulatedMachine) { self.machine = machine }

    var problems: [String] { state.withLock { $0.problems } }

    /// Resizes the pool and dissolves what is free.
    func manage(_ generator: inout SplitMix64) {
        for _ in 0..<1000 {
            switch Int.random(in: 0..<6, using: &generator) {
            case 0, 1:
                _ = try? machine.setPool(.twoMebibytes, to: HugePageCount(.random(in: 0...18, using: &generator)))
            case 2: try? machine.setOvercommit(.twoMebibytes, HugePageCount(.random(in: 0...6, using: &generator)))
            case 3: try? machine.dissolve(PageFrameNumber(.random(in: 0..<(16 * 512), using: &generator)))
            case 4: machine.setOptimizing(Bool.random(using: &generator))
            default: machine.flush()
            }
            let info = machine.hugePages(.twoMebibytes)
            if info.surplus < .zero || info.reserved < .zero || info.persistentPages < .zero
                || info.free < info.reserved
            {
                state.withLock { $0.problems.append("\(info)") }
            }
        }
    }

    /// Allocates, reserves and frees.
    func use(_ generator: inout SplitMix64) {
        for _ in 0..<1600 {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0, 1, 2: allocate(isReserved: false)
            case 3, 4: free()
            case 5:
                let count = Int.random(in: 1...4, using: &generator)
                if (try? machine.reserve(.twoMebibytes, HugePageCount(count))) != nil {
                    state.withLock { $0.reserved += count }
                }
            case 6: if takeReservation() { machine.unreserve(.twoMebibytes, HugePageCount(1)) }
            default: if takeReservation() { allocate(isReserved: true) }
            }
        }
    }

    private func takeReservation() -> Bool {
        state.withLock { state in
            if state.reserved == 0 { return false }
            state.reserved -= 1
            return true
        }
    }

    private func allocate(isReserved: Bool) {
        do throws(HugeTLBError) {
            let page = try machine.allocate(.twoMebibytes, isReserved: isReserved)
            state.withLock { state in
                if !state.held.insert(page).inserted { state.problems.append("\(page) was given out twice") }
            }
        } catch {
            if isReserved { state.withLock { $0.problems.append("what was promised was not there: \(error)") } }
        }
    }

    private func free() {
        guard let page = state.withLock({ $0.held.popFirst() }) else { return }
        do throws(HugeTLBError) {
            try machine.free(page)
        } catch {
            state.withLock { $0.problems.append("\(error)") }
        }
    }
}

extension HugePagesInfo {
    /// The pool's size.
    fileprivate var persistentPages: HugePageCount { total - surplus }
}
