import HostLab
import HostMemory
import Synchronization
import Testing
import VmemmapEmulator

@Suite("Writers lose no update")
struct WriterTests {
    @Test(
        "Sums are exact after hundreds of cycles under writers",
        arguments: [Shape(size: .twoMebibytes, pages: 4), Shape(size: .oneGibibyte, pages: 1)], Seeds.all)
    func exactSums(_ shape: Shape, _ seed: UInt64) throws {
        let region = try shape.region()
        let writers = try RefcountWriters(2, over: region, seed: seed)
        let isGigantic = region.plan.geometry.isGigantic
        var cycles = 0
        let areEnough = try HostProcess.eventually {
            try region.optimize(region.all, writers: .present)
            try region.restore(region.all, writers: .present)
            cycles += 1
            return cycles >= (isGigantic ? 10 : 300) && writers.writes > (isGigantic ? 100 : 10_000)
        }
        let sums = writers.stop()
        #expect(areEnough, "\(cycles) cycles, \(sums.writes) writes")
        #expect(sums.failures.isEmpty, "seed \(seed): \(sums.failures)")
        #expect(try sums.lost(in: region) == 0, "seed \(seed)")
        #expect(region.wrongHeads().isEmpty)
    }

    @Test("Sums are exact after refused optimizes have been put back under writers")
    func putBack() throws {
        let region = try Shape(size: .twoMebibytes, pages: 1).region()
        let writers = try RefcountWriters(1, over: region, seed: 5)
        // Page 1 is replaced by then, and copied once more.
        let fault = InjectedFault(first: 2, failures: 1, operations: [.mapFile])
        var refusals = 0
        let areEnough = HostProcess.eventually {
            let (error, _) = Operation.optimize.run(on: region, .present, under: fault)
            if let error, error.residue.isEmpty { refusals += 1 }
            return refusals >= 2000 && writers.writes > 10_000
        }
        let sums = writers.stop()
        #expect(areEnough, "\(refusals) refusals, \(sums.writes) writes")
        #expect(sums.failures.isEmpty, "\(sums.failures)")
        #expect(try sums.lost(in: region) == 0)
        #expect(region.wrongHeads().isEmpty)
    }

    @Test(
        "A writer of the head page loses no update while restores move a gigantic page in as a whole",
        .enabled(if: HostProcess.mapsByPmds, "no transparent huge pages, or Linux before 6.7"),
        arguments: [
            Shape(size: .oneGibibyte, pages: 1, tailFrames: 16, mapping: .pmd),
            Shape(size: .oneGibibyte, pages: 1, scheme: .sharedTail, tailFrames: 512, mapping: .pmd),
        ])
    func mergedHead(_ shape: Shape) throws {
        let region = try shape.region()
        let frame = region.frame(inVmemmapPage: 0, of: 0).advanced(by: 5)
        let shouldStop = SharedFlag()
        let outcome = Mutex((written: Int32(0), failures: 0))
        let writer = try HostThread {
            while !shouldStop.isSet {
                let isWritten = (try? region.addToRefcount(of: frame, 1)) != nil
                outcome.withLock { if isWritten { $0.written += 1 } else { $0.failures += 1 } }
            }
        }
        var cycles = 0
        let areEnough = try HostProcess.eventually {
            try region.optimize(region.all, writers: .present)
            try region.restore(region.all, writers: .present)
            cycles += 1
            return cycles >= 10 && outcome.withLock { $0.written } > 1000
        }
        shouldStop.set()
        writer.join()
        let seen = outcome.withLock { $0 }
        #expect(region.plan.mergesOnRestore && areEnough && seen.failures == 0)
        #expect(try region.refcount(of: frame) == seen.written)
    }

    @Test("The check can fail: with writers about and operations told that there are none, updates are lost")
    func excludedLoses() throws {
        // 64 huge pages are copied in one call and then replaced one after the other: a wide gap.
        let region = try Shape(size: .twoMebibytes, pages: 64).region()
        var before = RefcountWriters.Sums()
        let areLost = try HostProcess.eventually {
            let writers = try RefcountWriters(1, over: region, seed: 1)
            let end = HostKernel.monotonicNanoseconds() + 500_000_000
            while HostKernel.monotonicNanoseconds() < end {
                try region.optimize(region.all, writers: .excluded)
                try region.restore(region.all, writers: .excluded)
            }
            before.merge(writers.stop())
            return try before.lost(in: region) > 0
        }
        #expect(areLost)
        #expect(region.wrongHeads().isEmpty)
    }

    @Test("A write that has to wait for a restore is made afterwards")
    func waits() throws {
        let region = try Shape(size: .oneGibibyte, pages: 1).region()
        let frame = region.frame(inVmemmapPage: 1, of: 0)
        let shouldStop = SharedFlag()
        let outcome = Mutex((written: Int32(0), longest: 0, failures: 0))
        let writer = try HostThread {
            while !shouldStop.isSet {
                let start = HostKernel.monotonicNanoseconds()
                let isWritten = (try? region.addToRefcount(of: frame, 1)) != nil
                let duration = HostKernel.monotonicNanoseconds() - start
                outcome.withLock {
                    $0.longest = max($0.longest, duration)
                    if isWritten { $0.written += 1 } else { $0.failures += 1 }
                }
            }
        }
        // Page 1 is write-protected while 16 MiB are filled.
        let hasWaited = try HostProcess.eventually {
            try region.optimize(region.all, writers: .present)
            try region.restore(region.all, writers: .present)
            return outcome.withLock { $0.longest } > 500_000
        }
        shouldStop.set()
        writer.join()
        let seen = outcome.withLock { $0 }
        #expect(seen.failures == 0)
        #expect(try region.refcount(of: frame) == seen.written)
        #expect(hasWaited)
    }

    @Test("A write that is refused although nobody is at the page ends with an error")
    func unexplained() throws {
        let region = try Shape(size: .twoMebibytes, pages: 1).region()
        let frame = region.frame(inVmemmapPage: 0, of: 0)
        try HostKernel.protect(region.vmemmapPage(0, of: 0), .readOnly)
        let error = #expect(throws: VmemmapError.self) { try region.addToRefcount(of: frame, 1) }
        #expect(error?.cause == .fault("refused", frame: frame))
        try HostKernel.protect(region.vmemmapPage(0, of: 0), .readWrite)
        try region.addToRefcount(of: frame, 1)
        #expect(try region.refcount(of: frame) == 2)
    }

    @Test("Writes to other tails are refused while optimized, made before and after, and never lost in between")
    func sharedTails() throws {
        let region = try Shape(size: .twoMebibytes, pages: 2).region()
        let shouldStop = SharedFlag()
        let outcome = Mutex((refused: 0, others: [String]()))
        let frame = region.frame(inVmemmapPage: 4, of: 1)
        try region.optimize(region.all, writers: .excluded)
        let writer = try HostThread {
            while !shouldStop.isSet {
                do throws(VmemmapError) {
                    try region.addToRefcount(of: frame, 0)
                } catch {
                    outcome.withLock {
                        if error.cause == .sharedTail(frame: frame) {
                            $0.refused += 1
                        } else {
                            $0.others.append("\(error)")
                        }
                    }
                }
            }
        }
        var cycles = 0
        let hasRefused = try HostProcess.eventually {
            try region.restore(region.all, writers: .present)
            try region.optimize(region.all, writers: .present)
            cycles += 1
            return cycles >= 300 && outcome.withLock { $0.refused } > 0
        }
        shouldStop.set()
        writer.join()
        #expect(hasRefused)
        #expect(outcome.withLock { $0.others }.isEmpty)
        #expect(throws: VmemmapError.self) { try region.addToRefcount(of: frame, 1) }
        try region.expectAll(.optimized)
    }
}

/// A flag that threads look at.
final class SharedFlag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// Threads that add to the reference counts of random struct pages in the first vmemmap pages of huge pages, and keep
/// their own sums.
final class RefcountWriters: Sendable {
    struct Sums: Sendable {
        var writes = 0
        var added: [PageFrameNumber: Int32] = [:]
        var failures: [String] = []

        mutating func merge(_ other: Sums) {
            writes += other.writes
            failures += other.failures
            added.merge(other.added, uniquingKeysWith: &+)
        }

        /// How many struct pages, of the vmemmap pages that were written to, do not hold what was added to them.
        func lost(in region: VmemmapRegion, vmemmapPages: Int = 2) throws -> Int {
            let perPage = vmemmapPages * region.plan.geometry.structPagesPerVmemmapPage
            return try region.all.reduce(0) { lost, page in
                let head = region.plan.geometry.headFrame(of: page)
                return lost
                    + (try (0..<perPage).count { offset in
                        let frame = head.advanced(by: offset)
                        let atFirst: Int32 = offset == 0 ? 1 : 0
                        return try region.refcount(of: frame) != atFirst &+ added[frame, default: 0]
                    })
            }
        }
    }

    private let sums = Mutex(Sums())
    private let shouldStop = SharedFlag()
    private let count = Atomic(0)
    private let threads = Mutex<[HostThread]>([])

    /// - Parameter vmemmapPages: how many of each huge page are written to, from the first on.
    init(_ count: Int, over region: VmemmapRegion, seed: UInt64, vmemmapPages: Int = 2) throws {
        var seeds = SplitMix64(seed: seed)
        for _ in 0..<count {
            let seed = seeds.next()
            let thread = try HostThread { [self] in write(region, vmemmapPages, SplitMix64(seed: seed)) }
            threads.withLock { $0.append(thread) }
        }
    }

    /// Writes made so far.
    var writes: Int { count.load(ordering: .relaxed) }

    func stop() -> Sums {
        shouldStop.set()
        for thread in threads.withLock({ $0 }) { thread.join() }
        return sums.withLock { $0 }
    }

    private func write(_ region: VmemmapRegion, _ vmemmapPages: Int, _ generator: SplitMix64) {
        var generator = generator
        var own = Sums()
        let geometry = region.plan.geometry
        while !shouldStop.isSet {
            let page = HugePageIndex(Int.random(in: 0..<region.plan.hugePages.rawValue, using: &generator))
            let offset = Int.random(in: 0..<(vmemmapPages * geometry.structPagesPerVmemmapPage), using: &generator)
            let frame = geometry.headFrame(of: page).advanced(by: offset)
            let delta = Int32.random(in: -3...3, using: &generator)
            do throws(VmemmapError) {
                try region.addToRefcount(of: frame, delta)
                own.added[frame, default: 0] &+= delta
                own.writes += 1
                count.add(1, ordering: .relaxed)
            } catch {
                own.failures.append("\(error)")
            }
        }
        sums.withLock { $0.merge(own) }
    }
}
