import HostMemory
import Synchronization
import Testing
import VmemmapEmulator

@Suite("Operations from several threads")
struct ConcurrencyTests {
    @Test(
        "Random ranges from four threads: no wrong read, exact figures at the end",
        arguments: [Shape(size: .twoMebibytes, pages: 128), Shape(size: .oneGibibyte, pages: 2)], [false, true])
    func overlapping(_ shape: Shape, _ isDisjoint: Bool) throws {
        let region = try shape.region()
        let seed = UInt64(HostKernel.monotonicNanoseconds())
        let walkers = try Walkers(1, over: region, seed: seed)
        defer { _ = walkers.stop() }
        let end = HostKernel.monotonicNanoseconds() + 2_000_000_000
        let failures = Mutex<[String]>([])
        var seeds = SplitMix64(seed: seed)
        let share = max(1, shape.pages / 4)
        var threads: [HostThread] = []
        for number in 0..<4 {
            let seed = seeds.next()
            let first = number * share
            // With fewer huge pages than threads there is none left for some.
            if isDisjoint, first >= shape.pages { continue }
            let own = isDisjoint ? first..<min(shape.pages, first + share) : 0..<shape.pages
            let thread = try HostThread {
                var generator = SplitMix64(seed: seed)
                while HostKernel.monotonicNanoseconds() < end {
                    let start = Int.random(in: own, using: &generator)
                    let range = region.pages(start..<Int.random(in: start...own.upperBound, using: &generator))
                    let writers: Writers = Bool.random(using: &generator) ? .present : .excluded
                    do throws(VmemmapError) {
                        if Bool.random(using: &generator) {
                            try region.optimize(range, writers: writers)
                        } else {
                            try region.restore(range, writers: writers)
                        }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
            }
            threads.append(thread)
        }
        for thread in threads { thread.join() }
        let seen = walkers.stop()
        #expect(failures.withLock { $0 }.isEmpty, "seed \(seed)")
        #expect(seen.wrong == 0, "seed \(seed): \(String(describing: seen.firstWrong))")
        #expect(seen.reads > 0)
        try region.expectWhole(region.states, "seed \(seed)")
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized, "seed \(seed)")
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored, "seed \(seed)")
    }
}
