import Synchronization
import Testing

@testable import HostMemory

@Suite("The budget of mappings")
struct MappingBudgetTests {
    /// A process whose mappings are a number.
    private final class Host: Sendable {
        let inUse: Mutex<Int>
        let limit: Mutex<Int>
        let counts = Atomic(0)

        init(limit: Int, inUse: Int) {
            self.limit = Mutex(limit)
            self.inUse = Mutex(inUse)
        }

        func budget() -> MappingBudget {
            MappingBudget(
                limit: { () throws(HostError) in MappingCount(self.limit.withLock { $0 }) },
                inUse: { () throws(HostError) in
                    self.counts.add(1, ordering: .relaxed)
                    return MappingCount(self.inUse.withLock { $0 })
                })
        }

        var counted: Int { counts.load(ordering: .relaxed) }
    }

    private let slack = MappingAccount.slack.rawValue

    @Test("It counts once, then keeps an account until they run low")
    func account() throws {
        let host = Host(limit: 10_000, inUse: 1000)
        let budget = host.budget()
        try budget.take(MappingCount(100))
        #expect(host.counted == 1)
        let left = 10_000 - 1000 - 100 - slack
        for _ in 0..<left / 10 { try budget.take(MappingCount(10)) }
        try budget.take(MappingCount(left % 10))
        #expect(host.counted == 1)
        host.inUse.withLock { $0 = 10_000 - slack }
        try budget.take(MappingCount(1))
        #expect(host.counted == 2)
    }

    @Test("Near the limit it counts every time")
    func nearLimit() throws {
        let host = Host(limit: 10_000, inUse: 10_000 - slack)
        let budget = host.budget()
        for reservation in 1...5 {
            try budget.take(MappingCount(10))
            host.inUse.withLock { $0 += 10 }
            #expect(host.counted == reservation)
        }
    }

    @Test("It grants all that is free, and refuses one more with its figures")
    func refuses() throws {
        let host = Host(limit: 1000, inUse: 900)
        let budget = host.budget()
        let free = 100
        do throws(MappingBudget.Refusal) {
            try budget.take(MappingCount(free + 1))
            Issue.record("granted")
        } catch {
            let exceeded = MappingBudget.Exceeded(
                asked: MappingCount(free + 1), inUse: MappingCount(900), limit: MappingCount(1000))
            #expect(error == .exceeded(exceeded))
            #expect(exceeded.free == MappingCount(free))
        }
        try budget.take(MappingCount(free))
    }

    @Test("With the limit reached or passed, nothing is free and none are granted", arguments: [1000, 1200])
    func nothingFree(inUse: Int) {
        let budget = Host(limit: 1000, inUse: inUse).budget()
        let refusal = #expect(throws: MappingBudget.Refusal.self) { try budget.take(MappingCount(1)) }
        let figures = MappingBudget.Exceeded(
            asked: MappingCount(1), inUse: MappingCount(inUse), limit: MappingCount(1000))
        #expect(refusal == .exceeded(figures))
        #expect(figures.free == .zero)
    }

    @Test("A refusal takes nothing from the account")
    func refusalIsFree() throws {
        let host = Host(limit: 10_000, inUse: 1000)
        let budget = host.budget()
        try budget.take(MappingCount(1))
        #expect(throws: MappingBudget.Refusal.self) { try budget.take(MappingCount(20_000)) }
        try budget.take(MappingCount(10_000 - 1000 - 1 - slack))
        #expect(host.counted == 2)
    }

    @Test("What is given back can be had again without a count")
    func release() throws {
        let host = Host(limit: 10_000, inUse: 1000)
        let budget = host.budget()
        try budget.take(MappingCount(8000))
        for _ in 0..<10 {
            budget.giveBack(MappingCount(8000))
            try budget.take(MappingCount(8000))
        }
        #expect(host.counted == 1)
    }

    @Test("A count does not forget what was granted and is not mapped yet")
    func outstanding() throws {
        let host = Host(limit: 1000, inUse: 100)
        let budget = host.budget()
        let free = 1000 - 100
        let large = try budget.reserve(MappingCount(free - 10))
        #expect(throws: MappingBudget.Refusal.self) { _ = try budget.reserve(MappingCount(11)) }
        let small = try budget.reserve(MappingCount(10))
        #expect(host.counted == 3)
        large.end()
        try budget.reserve(MappingCount(free - 10)).end()
        small.end()
    }

    @Test("However an operation ends, what it has reserved and not made is had again, and what it has made is not")
    func thrown() throws {
        struct Stop: Error {}
        let budget = Host(limit: 10_000, inUse: 100).budget()
        try budget.take(MappingCount(1))
        let balance = budget.balance
        func operation() throws {
            var mappings = try budget.reserve(MappingCount(100))
            mappings.note(made: MappingCount(30))
            try mappings.reserve(MappingCount(50))
            mappings.note(made: MappingCount(-10))
            #expect(mappings.made == MappingCount(20))
            #expect(budget.balance == balance - MappingCount(150))
            throw Stop()
        }
        #expect(throws: Stop.self) { try operation() }
        #expect(budget.balance == balance - MappingCount(20))
    }

    @Test("A count that falls into a restore leaves what the restore has removed for it to be put back")
    func countDuringRestore() throws {
        let host = Host(limit: 1000, inUse: 800)
        let budget = host.budget()
        var restore = budget.begin()
        restore.note(made: MappingCount(-500))
        host.inUse.withLock { $0 = 300 }
        #expect(throws: MappingBudget.Refusal.self) { _ = try budget.reserve(MappingCount(201)) }
        let before = try budget.reserve(MappingCount(200))
        // The restore is done, and what it removed is had once.
        restore.end()
        let after = try budget.reserve(MappingCount(500))
        #expect(throws: MappingBudget.Refusal.self) { _ = try budget.reserve(MappingCount(1)) }
        before.end()
        after.end()
    }

    @Test("A count that falls into an optimize takes what is made already for once, not twice")
    func countDuringOptimize() throws {
        let host = Host(limit: 1000, inUse: 100)
        let budget = host.budget()
        var optimize = try budget.reserve(MappingCount(700))
        optimize.note(made: MappingCount(600))
        host.inUse.withLock { $0 = 700 }
        #expect(throws: MappingBudget.Refusal.self) { _ = try budget.reserve(MappingCount(201)) }
        let before = try budget.reserve(MappingCount(200))
        // It is put back: what it made is had again, and what it had reserved.
        optimize.note(made: MappingCount(-600))
        optimize.end()
        let after = try budget.reserve(MappingCount(700))
        host.inUse.withLock { $0 = 100 }
        #expect(throws: MappingBudget.Refusal.self) { _ = try budget.reserve(MappingCount(1)) }
        before.end()
        after.end()
    }

    @Test("A raised limit is noticed at the next count")
    func raisedLimit() throws {
        let host = Host(limit: 1000, inUse: 990)
        let budget = host.budget()
        #expect(throws: MappingBudget.Refusal.self) { try budget.take(MappingCount(100)) }
        host.limit.withLock { $0 = 65530 }
        try budget.take(MappingCount(100))
    }

    @Test("Where the count or the limit cannot be read, that is the refusal", arguments: [true, false])
    func unknown(limitReads: Bool) {
        let failure = HostError(unreadable: "/proc/sys/vm/max_map_count")
        let budget = MappingBudget(
            limit: { () throws(HostError) in
                if !limitReads { throw failure }
                return MappingCount(1000)
            },
            inUse: { () throws(HostError) in
                if limitReads { throw failure }
                return MappingCount(1)
            })
        #expect(throws: MappingBudget.Refusal.unknown(failure)) { try budget.take(MappingCount(1)) }
    }

    @Test("Threads that keep account at once spend them to the last mapping, and none twice")
    func threads() throws {
        let host = Host(limit: 10_000, inUse: 1000)
        let budget = host.budget()
        try budget.take(MappingCount(1))
        let refused = Atomic(0)
        let threads = try (0..<4).map { _ throws(HostError) in
            try HostThread {
                for _ in 0..<1000 where (try? budget.take(MappingCount(2))) == nil {
                    refused.add(1, ordering: .relaxed)
                }
                budget.giveBack(MappingCount(500))
            }
        }
        for thread in threads { thread.join() }
        #expect(refused.load(ordering: .relaxed) == 0)
        try budget.take(MappingCount(10_000 - 1000 - 1 - slack - 4 * (2000 - 500)))
        #expect(host.counted == 1)
        try budget.take(MappingCount(1))
        #expect(host.counted == 2)
    }

    @Test("The process's own budget grants what any process has")
    func process() throws {
        _ = try MappingBudget.process.reserve(MappingCount(8))
    }
}

extension MappingBudget.Reservation {
    /// Ends the operation here.
    fileprivate consuming func end() {}
}

extension MappingBudget {
    /// An operation that makes what it reserves.
    fileprivate func take(_ count: MappingCount) throws(Refusal) {
        var mappings = try reserve(count)
        mappings.note(made: count)
    }

    /// An operation that removes mappings.
    fileprivate func giveBack(_ count: MappingCount) {
        var mappings = begin()
        mappings.note(made: .zero - count)
    }
}
