@testable import HostLab
import Synchronization
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Turns of those who map and those who move")
struct MappingTurnTests {
    /// What maps or unmaps memory of the process.
    enum Action: CaseIterable {
        case map, unmapRegion, startThread, joinThread, dropThread, startProcess, fillHeap

        /// Makes what the action needs, and returns the action.
        func prepared() throws(HostError) -> @Sendable () -> Void {
            switch self {
            case .map:
                return { _ = try? HostKernel.mapAnonymous(length: HostLimits.pageSize) }
            case .unmapRegion:
                let region = try HostKernel.mapRegion(length: HostLimits.pageSize, alignment: HostLimits.pageSize)
                return { try? HostKernel.unmapRegion(region) }
            case .startThread:
                return { (try? HostThread {})?.join() }
            case .joinThread:
                let thread = try HostThread {}
                return { thread.join() }
            case .dropThread:
                let thread = Guarded<HostThread?>(try HostThread {})
                let holder = Holder(thread)
                return { holder.thread.withLock { $0 = nil } }
            case .startProcess:
                return { _ = try? ChildProcess("/bin/true", []).end() }
            case .fillHeap:
                return { HeapReserve.fill() }
            }
        }

        private final class Holder: Sendable {
            let thread: Guarded<HostThread?>
            init(_ thread: consuming sending Guarded<HostThread?>) { self.thread = thread }
        }
    }

    @Test(
        "While a mapping is moved nobody maps, starts or joins a thread, or starts a process",
        arguments: Action.allCases)
    func nobodyMaps(_ action: Action) async {
        await #expect(processExitsWith: .success) { [action] in
            let act = try action.prepared()
            let mayGo = Atomic(false)
            let other = try WatchedThread {
                while !mayGo.load(ordering: .acquiring) { HostKernel.yield() }
                act()
            }
            let isDoneDuringMove = Mutex(false)
            _ = try HostKernel.moveCall(.move, .process) {
                mayGo.store(true, ordering: .releasing)
                other.waitUntilItSleepsOrEnds()
                isDoneDuringMove.withLock { $0 = other.hasEnded }
                return 0
            }
            other.thread.join()
            #expect(other.hasEnded)
            #expect(!isDoneDuringMove.withLock { $0 })
        }
    }

    @Test("Whoever joins a thread keeps nobody from moving, the thread itself included")
    func joinerHasNoTurn() throws {
        let (source, target) = (try ScratchRegion(pages: 1), try ScratchRegion(pages: 1))
        let mayGo = Atomic(false)
        let thread = try HostThread {
            while !mayGo.load(ordering: .acquiring) { HostKernel.yield() }
            try? HostKernel.move(source.pages(0..<1), to: target.page(0))
        }
        let joiner = try WatchedThread { thread.join() }
        joiner.waitUntilItSleepsOrEnds()
        mayGo.store(true, ordering: .releasing)
        joiner.thread.join()
        #expect(target.store(1, page: 0) == .done)
    }
}

extension MappingTurnTests.Action: Codable {}
