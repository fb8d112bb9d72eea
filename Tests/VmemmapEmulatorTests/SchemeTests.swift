import HostLab
import HostMemory
import Synchronization
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("Every scheme on every backing")
struct SchemeTests {
    @Test("Frames, mappings, memory file and contents are as planned in every state", arguments: Shape.matrix)
    func cycle(_ shape: Shape) throws {
        let region = try shape.region()
        try region.expectAll(.populated)
        for cycle in 0..<2 {
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
            if cycle == 1 { #expect(region.visitEveryStructPage().wrong == 0) }
            try region.restore(region.all, writers: .excluded)
            try region.expectAll(.restored)
        }
    }

    @Test("Walkers see only the right heads while single huge pages and ranges come and go", arguments: Shape.matrix)
    func walkers(_ shape: Shape) throws {
        let region = try shape.region()
        let walkers = try Walkers(2, over: region, seed: 11)
        let start = HostKernel.monotonicNanoseconds()
        var generator = SplitMix64(seed: 12)
        var cycles = 0
        let nanoseconds = FaultCase.isFull ? 400_000_000 : 100_000_000
        while HostKernel.monotonicNanoseconds() - start < nanoseconds || cycles < 2 {
            let first = Int.random(in: 0..<shape.pages, using: &generator)
            let end = Int.random(in: first..<shape.pages, using: &generator) + 1
            let writers: Writers = cycles.isMultiple(of: 2) ? .present : .excluded
            try region.optimize(region.pages(first..<end), writers: writers)
            try region.restore(region.pages(0..<end), writers: writers)
            cycles += 1
        }
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "\(String(describing: seen.firstWrong))")
        #expect(seen.reads > 0)
        try region.expectWhole(region.states)
    }

    @Test("Counters of the pages that stay writable are exact after optimizing under writers", arguments: Shape.matrix)
    func writers(_ shape: Shape) throws {
        let region = try shape.region()
        let geometry = region.plan.geometry
        let frames = (0..<min(4, shape.pages)).flatMap { page in
            [7, geometry.structPagesPerVmemmapPage * region.plan.writablePages.count - 1].map {
                geometry.headFrame(of: HugePageIndex(page)).advanced(by: $0)
            }
        }
        let shouldStop = Atomic(false)
        let rounds = Mutex(Int32(0))
        let threads = try (0..<2).map { _ throws(HostError) in
            try HostThread {
                var made: Int32 = 0
                repeat {
                    for frame in frames { try? region.addToRefcount(of: frame, 1) }
                    made += 1
                } while !shouldStop.load(ordering: .acquiring)
                rounds.withLock { $0 += made }
            }
        }
        for _ in 0..<(geometry.isGigantic ? 4 : 20) {
            try region.optimize(region.pages(0..<min(4, shape.pages)), writers: .present)
            try region.restore(region.pages(0..<min(4, shape.pages)), writers: .present)
        }
        shouldStop.store(true, ordering: .releasing)
        for thread in threads { thread.join() }
        let made = rounds.withLock { $0 }
        #expect(made > 0)
        for frame in frames { #expect(try region.refcount(of: frame) == made, "frame \(frame)") }
    }

    @Test(
        "The n-th call fails once: everything or nothing, and the retry succeeds",
        arguments: Shape.matrix.filter { $0.size == .twoMebibytes && $0.pages <= 5 }
            + Backing.allCases.map { Shape(size: .twoMebibytes, pages: 2, scheme: .head, backing: $0) },
        Operation.allCases)
    func sweep(_ shape: Shape, _ operation: Operation) throws {
        for errno in FaultCase.isFull ? [Errno.noMemory, .interrupted, .noSpace] : [.noMemory] {
            let region = try shape.region()
            if operation == .restore { try region.optimize(region.all, writers: .excluded) }
            for number in 1...10_000 {
                let before = region.states
                let fault = InjectedFault(first: number, errno: errno)
                let writers: Writers = number.isMultiple(of: 2) ? .present : .excluded
                let (error, outcome) = operation.run(on: region, writers, under: fault)
                let comment = "call \(number), \(errno)"
                if let error {
                    #expect(error.residue.isEmpty, "\(comment): \(error)")
                    #expect(region.states.map(\.isOptimized) == before.map(\.isOptimized), "\(comment)")
                    try region.expectWhole(region.states, comment)
                    try operation.run(on: region, writers)
                }
                try region.expectWhole(region.states, comment)
                #expect(region.states.allSatisfy { $0.isOptimized == (operation == .optimize) }, "\(comment)")
                try operation.opposite.run(on: region, writers)
                if outcome.failed == 0 { break }
            }
        }
    }

    @Test(
        "The same on a region mapped by PMDs, whose merge may fail and leaves a working mapping",
        arguments: Shape.onPmds.filter { $0.pages == 64 || $0.tailFrames >= 512 }, Operation.allCases)
    func sweepOnPmds(_ shape: Shape, _ operation: Operation) throws {
        let region = try shape.region()
        if operation == .restore { try region.optimize(region.all, writers: .excluded) }
        // FaultSweepTests looks closer.
        let numbers =
            FaultCase.isFull
            ? [1, 2, 3, 4, 5, 6, 7, 9, 11, 14, 17, 20, 23, 31, 47, 83, 140, 200, 263, 269, 280, 300, 500]
            : [1, 3, 5, 9, 14, 23, 47, 140, 263, 300]
        for number in numbers {
            for failures in FaultCase.isFull ? [1, 2, 1000] : [1, 1000] {
                let before = region.states
                let fault = InjectedFault(first: number, failures: failures, errno: .noMemory)
                let writers: Writers = number.isMultiple(of: 2) ? .present : .excluded
                let (error, outcome) = operation.run(on: region, writers, under: fault)
                let comment = "call \(number), \(failures) failures"
                if let error, failures == 1 {
                    #expect(error.residue.isEmpty, "\(comment): \(error)")
                    #expect(region.states.map(\.isOptimized) == before.map(\.isOptimized), "\(comment)")
                    try region.expectWhole(region.states, comment)
                }
                if error != nil { try operation.run(on: region, writers) }
                try region.expectWhole(region.states, comment)
                #expect(region.states.allSatisfy { $0.isOptimized == (operation == .optimize) }, "\(comment)")
                try operation.opposite.run(on: region, writers)
                if outcome.failed == 0 { return }
            }
        }
    }

    @Test(
        "The n-th call of a kind fails once on a PMD-mapped region: everything or nothing, and the retry succeeds",
        arguments: Shape.onPmds.filter { $0.pages == 64 || $0.tailFrames >= 512 }, Operation.allCases)
    func errorsOnPmds(_ shape: Shape, _ operation: Operation) throws {
        let region = try shape.region()
        if operation == .restore { try region.optimize(region.all, writers: .excluded) }
        var failed = 0
        kinds: for kind in HostOperation.allCases {
            for errno in kind.possibleErrors {
                for number in shape.size == .oneGibibyte ? [1, 2] : [1, 2, 7, 40] {
                    let before = region.states
                    let fault = InjectedFault(first: number, errno: errno, operations: [kind])
                    let writers: Writers = number.isMultiple(of: 2) ? .present : .excluded
                    let (error, outcome) = operation.run(on: region, writers, under: fault)
                    if outcome.failed == 0 {
                        #expect(error == nil)
                        try operation.opposite.run(on: region, writers)
                        if outcome.calls == 0 { continue kinds }
                        break
                    }
                    failed += 1
                    let comment = "call \(number) of \(kind), \(errno)"
                    if let error {
                        #expect(error.residue.isEmpty, "\(comment): \(error)")
                        #expect(region.states.map(\.isOptimized) == before.map(\.isOptimized), "\(comment)")
                        try region.expectMapped(region.states, comment)
                        #expect(region.wrongHeads(every: 63).isEmpty, "\(comment)")
                        try operation.run(on: region, writers)
                    }
                    #expect(region.states.allSatisfy { $0.isOptimized == (operation == .optimize) }, "\(comment)")
                    try region.expectMapped(region.states, comment)
                    #expect(region.wrongHeads(every: 63).isEmpty, "\(comment)")
                    try operation.opposite.run(on: region, writers)
                }
            }
        }
        // On memfd a restore of all 64 makes few calls.
        #expect(failed > 20)
        try region.expectWhole(region.states)
    }

    @Test(
        "Built optimized, the tails are never populated; restored, nothing tells the difference",
        arguments: Shape.onPtes)
    func atBoot(_ shape: Shape) throws {
        let region = try shape.region(.optimized)
        try region.expectAll(.optimized)
        #expect(region.visitEveryStructPage().wrong == 0)
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored)
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
    }

    @Test(
        "From the n-th call on everything fails: what is left over is named, and mended later",
        arguments: Shape.matrix.filter { $0.size == .twoMebibytes && $0.pages <= 5 })
    func persistent(_ shape: Shape) throws {
        for operation in Operation.allCases {
            for number in 1...40 {
                let region = try shape.region()
                if operation == .restore { try region.optimize(region.all, writers: .excluded) }
                let fault = InjectedFault(first: number, failures: 1000, errno: .noMemory)
                let (error, _) = operation.run(on: region, .present, under: fault)
                let uncertain = error?.residue.torn.first
                let wrong = region.wrongHeads().filter { frame in
                    region.plan.geometry.hugePage(of: frame) != uncertain?.page
                        || uncertain?.uncertain.contains(region.plan.geometry.vmemmapPage(of: frame)) != true
                }
                #expect(wrong.isEmpty, "\(operation) \(number)")
                try operation.run(on: region, .present)
                #expect(region.states.allSatisfy { $0.isOptimized == (operation == .optimize) })
                try region.expectWhole(region.states, "\(operation) \(number)")
                if error == nil { break }
            }
        }
    }
}
