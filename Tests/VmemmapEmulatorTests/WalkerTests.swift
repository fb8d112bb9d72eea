import CSystemShims
import HostLab
import HostMemory
import Synchronization
import SystemPackage
import Testing

@testable import VmemmapEmulator

@Suite("Walkers see the right compound_head at every moment")
struct WalkerTests {
    /// A shape and for how long to walk it.
    struct Run: Sendable, CustomTestStringConvertible {
        let shape: Shape
        let seconds: Int
        let writers: Writers

        var testDescription: String { "\(shape.testDescription), \(seconds) s, writers \(writers)" }

        static let all = [
            Run(shape: Shape(size: .twoMebibytes, pages: 256), seconds: 5, writers: .excluded),
            Run(shape: Shape(size: .twoMebibytes, pages: 64), seconds: 2, writers: .present),
            Run(shape: Shape(size: .oneGibibyte, pages: 2), seconds: 2, writers: .excluded),
        ]
    }

    @Test("No wrong read during cycles, and every figure back after each", arguments: Run.all)
    func cycles(_ run: Run) throws {
        let region = try run.shape.region()
        let plan = region.plan
        let seed = UInt64(HostKernel.monotonicNanoseconds())
        let walkers = try Walkers(2, over: region, seed: seed)
        defer { _ = walkers.stop() }
        let end = HostKernel.monotonicNanoseconds() + run.seconds * 1_000_000_000
        var cycles = 0
        while HostKernel.monotonicNanoseconds() < end || cycles < 2 {
            try region.optimize(region.all, writers: run.writers)
            #expect(
                try region.sharedFrameBytes()
                    == plan.fileFrames(optimized: plan.hugePages).bytes(pageSize: plan.geometry.basePageSize))
            #expect(try FrameCount.count(in: region.range).distinct == plan.framesOptimized)
            try region.restore(region.all, writers: run.writers)
            #expect(try region.sharedFrameBytes() == .zero)
            #expect(try FrameCount.count(in: region.range).distinct == plan.framesPopulated)
            #expect(try ProcMaps.count(overlapping: region.range) == plan.regionMappings(.restored))
            cycles += 1
        }
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "seed \(seed): \(String(describing: seen.firstWrong))")
        #expect(seen.firstWrong == nil)
        #expect(seen.reads > 0)
        try region.expectAll(.restored)
    }

    @Test("The check can fail: tails that show zeros for a moment are noticed", arguments: Shape.single)
    func naiveRestore(_ shape: Shape) throws {
        let region = try shape.region()
        let tails = region.layout.tails(of: HugePageIndex(0))
        var seen = Walkers.Tally()
        let isNoticed = try HostProcess.eventually {
            let walkers = try Walkers(2, over: region, seed: 1)
            defer { _ = walkers.stop() }
            // As mmap of fresh memory in place and copying afterwards would: the tails are zeros until they are filled.
            let end = HostKernel.monotonicNanoseconds() + 300_000_000
            while HostKernel.monotonicNanoseconds() < end {
                try region.optimize(region.all, writers: .excluded)
                let fresh = try HostKernel.mapAnonymous(length: tails.length)
                try HostKernel.populate(fresh)
                try HostKernel.move(fresh, to: tails.start)
                HostKernel.yield()
                try region.fillTails(of: HugePageIndex(0))
                #expect(region.wrongHeads(in: region.layout.frames.prefix(1024)).isEmpty)
                try region.restore(region.all, writers: .excluded)
            }
            seen = walkers.stop()
            return seen.wrong > 0
        }
        #expect(isNoticed)
        let first = try #require(seen.firstWrong)
        #expect(first.word == 0)
        #expect(region.layout.head(of: first.frame) == first.expectedHead)
        #expect(region.plan.geometry.vmemmapPage(of: first.frame) >= VmemmapPageIndex(1))
    }

    @Test("The check can fail: a single wrong word is found")
    func singleWord() throws {
        let region = try Shape(size: .twoMebibytes, pages: 1).region()
        let frame = PageFrameNumber(100)
        let address = region.layout.structPage(of: frame) + StructPage.compoundHeadOffset
        // SAFETY: the word lies in the region, which is mapped read-write throughout.
        #expect(unsafe MemoryAccess.tryStore(0xbad1, at: address) == .done)
        #expect(region.wrongHeads() == [frame])
        var seen = Walkers.Tally()
        let isFound = try HostProcess.eventually {
            let walkers = try Walkers(1, over: region, seed: 7)
            HostKernel.sleep(nanoseconds: 20_000_000)
            seen = walkers.stop()
            return seen.wrong > 0
        }
        #expect(isFound)
        #expect(seen.wrong < seen.reads)
        #expect(seen.firstWrong?.frame == frame)
        #expect(seen.firstWrong?.word == 0xbad1)
    }

    @Test("Walkers stop once, and say the same when asked again; none at all see nothing")
    func stopping() throws {
        let region = try Shape(size: .twoMebibytes, pages: 1).region()
        let none = try Walkers(0, over: region, seed: 1)
        #expect(none.stop() == Walkers.Tally())
        let walkers = try Walkers(2, over: region, seed: 1)
        let first = walkers.stop()
        #expect(walkers.stop() == first)
    }

    /// Frames that can be made to hold their readers up.
    private final class Gate: Walkable {
        let walkedFrames = 64
        let isShut = Atomic(false)

        func visit(_ frame: PageFrameNumber, _ seen: inout Walkers.Tally) {
            while isShut.load(ordering: .acquiring) { HostKernel.sleep(nanoseconds: 100_000) }
            seen.reads += 1
        }
    }

    @Test("Whoever stops walkers waits until they have stopped, the second too")
    func stoppedTwiceAtOnce() throws {
        let gate = Gate()
        let walkers = try Walkers(2, walking: gate, seed: 1)
        gate.isShut.store(true, ordering: .releasing)
        let tallies = Guarded<[Walkers.Tally]>([])
        let returned = Holder(tallies)
        let stoppers = try (0..<2).map { _ in
            try HostThread {
                let tally = walkers.stop()
                returned.tallies.withLock { $0.append(tally) }
            }
        }
        // As long as the gate is shut nobody has seen everything. One that does not wait is back long before this is
        // over.
        for _ in 0..<100 where returned.tallies.withLock({ $0.isEmpty }) { HostKernel.sleep(nanoseconds: 1_000_000) }
        #expect(returned.tallies.withLock { $0.isEmpty })
        gate.isShut.store(false, ordering: .releasing)
        for stopper in stoppers { stopper.join() }
        let seen = returned.tallies.withLock { $0 }
        #expect(seen.count == 2 && seen[0] == seen[1] && seen[0].reads > 0)
    }

    private final class Holder: Sendable {
        let tallies: Guarded<[Walkers.Tally]>
        init(_ tallies: consuming sending Guarded<[Walkers.Tally]>) { self.tallies = tallies }
    }

    @Test("Walkers that nobody holds any more leave no mapping and no stack")
    func dropped() async {
        await #expect(processExitsWith: .success) {
            let region = try Shape(size: .twoMebibytes, pages: 1).region()
            func turn() throws { _ = try Walkers(3, over: region, seed: 1) }
            try turn()
            let before = try (ProcMaps.count(), Statm.current().size)
            for _ in 0..<50 { try turn() }
            #expect(try ProcMaps.count() - before.0 < MappingCount(50))
            #expect(try Statm.current().size - before.1 < PageCount(25_600))
        }
    }

    @Test("A number of walkers below 0 is refused as invalid", arguments: [-1, Int.min])
    func negative(count: Int) throws {
        let region = try Shape(size: .twoMebibytes, pages: 1).region()
        let error = #expect(throws: HostError.self) { _ = try Walkers(count, over: region, seed: 1) }
        #expect(error?.code == .invalid && error?.operation == .startThread)
    }

    @Test("A walker whose thread the host refuses is reported, and those started before it are stopped")
    func threadRefused() throws {
        let region = try Shape(size: .twoMebibytes, pages: 1).region()
        let (result, outcome) = InjectedFault(
            first: 2, errno: .resourceTemporarilyUnavailable, operations: [.startThread]
        )
        .during { Result { try Walkers(3, over: region, seed: 1) } }
        #expect(outcome.failed == 1)
        let error = try #require(throws: HostError.self) { _ = try result.get() }
        #expect(error.operation == .startThread)
        #expect(error.code == .tooManyThreads)
    }
}

extension VmemmapRegion {
    /// Writes what the prep leaves into every tail of a huge page, which must be mapped read-write.
    fileprivate func fillTails(of page: HugePageIndex) throws {
        let source = plan.geometry.headFrame(of: page).advanced(by: 2)
        let tail = try structPage(source)
        let first = plan.geometry.structPagesPerVmemmapPage
        for offset in first..<plan.geometry.basePagesPerHugePage {
            let frame = plan.geometry.headFrame(of: page).advanced(by: offset)
            // SAFETY: the struct page lies in the region; the test has mapped memory of its own there, and owns it but
            // for readers.
            unsafe layout.structPage(of: frame).pointer(as: vme_page.self)?.pointee = tail
        }
    }
}
