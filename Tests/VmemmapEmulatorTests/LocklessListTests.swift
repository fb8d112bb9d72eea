import HostMemory
import Synchronization
import Testing

@testable import VmemmapEmulator

@Suite("Work put off")
struct LocklessListTests {
    @Test("Everything comes out once, in order, and who adds to an empty list is told")
    func order() {
        let list = LocklessList<Int>()
        #expect(list.isEmpty && list.takeAll().isEmpty)
        #expect(list.add(1))
        #expect(!list.add(2) && !list.add(3))
        #expect(list.takeAll() == [1, 2, 3])
        #expect(list.isEmpty)
        #expect(list.add(4))
    }

    @Test("Threads that add while others take lose nothing; as many are told that it was empty as find something")
    func threads() throws {
        let list = LocklessList<Int>()
        let wasEmpty = Atomic(0)
        let adders = try (0..<3).map { adder throws(HostError) in
            try HostThread {
                for number in 0..<20_000 where list.add(adder * 20_000 + number) {
                    wasEmpty.add(1, ordering: .relaxed)
                }
            }
        }
        var taken: [Int] = []
        var takes = 0
        while taken.count < 60_000 {
            let some = list.takeAll()
            if !some.isEmpty { takes += 1 }
            taken += some
        }
        for adder in adders { adder.join() }
        #expect(Set(taken).count == 60_000)
        #expect(takes == wasEmpty.load(ordering: .relaxed))
        // Each adder's own stay in order.
        for adder in 0..<3 {
            let own = taken.filter { $0 / 20_000 == adder }
            #expect(own == own.sorted())
        }
    }

    @Test("What is left in a list goes with it")
    func lifetime() {
        final class Token: Sendable {}
        weak var kept: Token?
        do {
            let list = LocklessList<Token>()
            let token = Token()
            kept = token
            _ = list.add(token)
        }
        #expect(kept == nil)
    }

    @Test("A flush waits for all that was added before")
    func flush() {
        let worker = DeferredWorker<Int>()
        let done = Mutex<[Int]>([])
        for number in 0..<1000 {
            worker.add(number) { number in
                if number.isMultiple(of: 100) { HostKernel.sleep(nanoseconds: 1_000_000) }
                done.withLock { $0.append(number) }
            }
        }
        worker.flush()
        #expect(done.withLock { $0 } == Array(0..<1000))
        worker.flush()
    }
}
