import HostLab
import HostMemory
import Synchronization
import SystemPackage
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

    @Test("A flush waits for what was added between another's addition and the waking of the worker")
    func flushBeforeWaking() {
        final class Setting: Sendable {
            let worker = Guarded<DeferredWorker<Int>?>(nil)
            let done = Guarded<[Int]>([])
            let seen = Guarded<[Int]?>(nil)

            /// Another's addition and flush, when the first has been added and nobody is told yet.
            func interfere() {
                guard seen.withLock({ $0 == nil }), let worker = worker.withLock({ $0 }) else { return }
                seen.withLock { $0 = [] }
                worker.add(2, note)
                worker.flush()
                let done = done.withLock { $0 }
                seen.withLock { $0 = done }
            }

            func note(_ number: Int) { done.withLock { $0.append(number) } }
        }
        let setting = Setting()
        let worker = DeferredWorker<Int>(beforeWaking: setting.interfere)
        setting.worker.withLock { $0 = worker }
        worker.add(1, setting.note)
        #expect(setting.seen.withLock { $0 } == [1, 2])
        worker.flush()
        #expect(setting.done.withLock { $0 } == [1, 2])
        setting.worker.withLock { $0 = nil }
    }

    @Test("What is put off is done at once where the host refuses the worker its thread, and its next one works")
    func noThread() {
        let worker = DeferredWorker<Int>()
        let done = Guarded<[Int]>([])
        let box = Holder(done)
        let (_, outcome) = InjectedFault(first: 1, errno: .resourceTemporarilyUnavailable, operations: [.startThread])
            .during { worker.add(1) { number in box.done.withLock { $0.append(number) } } }
        #expect(outcome.failed == 1)
        #expect(box.done.withLock { $0 } == [1])
        worker.add(2) { number in box.done.withLock { $0.append(number) } }
        worker.flush()
        #expect(box.done.withLock { $0 } == [1, 2])
    }

    private final class Holder: Sendable {
        let done: Guarded<[Int]>
        init(_ done: consuming sending Guarded<[Int]>) { self.done = done }
    }

    @Test("A worker's thread ends with it, at work or not")
    func workerEnds() async {
        await #expect(processExitsWith: .success) {
            func turn(_ number: Int) {
                let worker = DeferredWorker<Int>()
                for element in 0..<number { worker.add(element) { _ in HostKernel.yield() } }
                if number.isMultiple(of: 2) { worker.flush() }
            }
            turn(1)
            let before = try Statm.current().size
            for number in 1...100 { turn(number % 4 + 1) }
            #expect(try Statm.current().size - before < PageCount(25_600))
        }
    }
}
