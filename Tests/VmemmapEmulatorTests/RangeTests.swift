import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("Parts of a region")
struct RangeTests {
    static let shapes = [Shape(size: .twoMebibytes, pages: 100), Shape(size: .oneGibibyte, pages: 2)]

    @Test("Overlapping ranges change what is theirs and nothing else", arguments: shapes)
    func overlapping(_ shape: Shape) throws {
        let region = try shape.region()
        var model = RegionModel(region)
        let part = max(1, shape.pages / 3)
        try model.optimize(0..<part)
        try model.optimize((part - 1)..<shape.pages)
        try model.restore(0..<(part + 1))
        try model.optimize((part - 1)..<part)
        try model.restore((shape.pages - 1)..<shape.pages)
        try model.restore(0..<shape.pages)
        try model.optimize(0..<shape.pages)
        try region.expectAll(.optimized)
    }

    @Test("Optimizing what is optimized and restoring what is not changes nothing", arguments: shapes)
    func idempotent(_ shape: Shape) throws {
        let region = try shape.region()
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.populated)
        for _ in 0..<2 {
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
        }
        for _ in 0..<2 {
            try region.restore(region.all, writers: .excluded)
            try region.expectAll(.restored)
        }
    }

    @Test("An operation with nothing to do makes no system call", arguments: shapes)
    func nothingToDo(_ shape: Shape) throws {
        let region = try shape.region()
        func calls(_ body: () throws -> Void) throws -> Int {
            let (result, outcome) = InjectedFault(first: .max).during { Result { try body() } }
            try result.get()
            return outcome.calls
        }
        let index = HugePageIndex(0)
        #expect(try calls { try region.restore(region.all, writers: .excluded) } == 0)
        #expect(try calls { try region.optimize(index..<index, writers: .excluded) } == 0)
        try region.optimize(region.all, writers: .excluded)
        #expect(try calls { try region.optimize(region.all, writers: .present) } == 0)
    }

    @Test(
        "Ranges and frames that the region does not have are an error that names both, and nothing is done",
        arguments: shapes)
    func outOfBounds(_ shape: Shape) throws {
        let region = try shape.region()
        let end = shape.pages
        for range in [
            end..<(end + 5), -7 ..< -1, -3..<0, (Int.max - 1)..<Int.max, Int.min..<0, (end - 1)..<(end + 1), -1..<end,
            -1 ..< -1, (end + 1)..<(end + 1), Int.min..<Int.max,
        ] {
            let pages = region.pages(range)
            for operation in Operation.allCases {
                let error = #expect(throws: VmemmapError.self) { try operation.run(on: region, .excluded, pages) }
                #expect(error?.cause == .outOfRange(pages, hugePages: HugePageCount(end)))
            }
            let error = #expect(throws: VmemmapError.self) { try region.mend(pages) }
            #expect(error?.cause == .outOfRange(pages, hugePages: HugePageCount(end)))
        }
        for page in [-1, end, Int.min, Int.max - 1] {
            #expect(throws: VmemmapError.self) { _ = try region.state(of: HugePageIndex(page)) }
            #expect(throws: VmemmapError.self) { _ = try region.expectedMappings(beginningIn: HugePageIndex(page)) }
        }
        for frame in [-1, region.layout.frames.count, Int.min, Int.max] {
            let frame = PageFrameNumber(frame)
            let cause = VmemmapError.Cause.frameOutOfRange(frame, frames: region.layout.frames.count)
            let write = #expect(throws: VmemmapError.self) { try region.addToRefcount(of: frame, 1) }
            let look = #expect(throws: VmemmapError.self) { _ = try region.refcount(of: frame) }
            #expect(write?.cause == cause && look?.cause == cause)
        }
        // There is no huge page in an empty range within bounds.
        for range in [0..<0, end..<end] { try region.optimize(region.pages(range), writers: .excluded) }
        try region.expectAll(.populated)
    }

    @Test("A random sequence of operations on random ranges agrees with the model", arguments: shapes, Seeds.all)
    func random(_ shape: Shape, _ seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let region = try shape.region()
        var model = RegionModel(region)
        for step in 0..<(shape.pages < 10 ? 6 : 30) {
            let start = Int.random(in: 0...shape.pages, using: &generator)
            let range = start..<Int.random(in: start...shape.pages, using: &generator)
            let writers: Writers = Bool.random(using: &generator) ? .excluded : .present
            if Bool.random(using: &generator) {
                try model.optimize(range, writers, "seed \(seed), step \(step)")
            } else {
                try model.restore(range, writers, "seed \(seed), step \(step)")
            }
        }
    }
}

/// What the states of a region's huge pages should be, beside what they are.
struct RegionModel {
    let region: VmemmapRegion
    private(set) var states: [HugePageState]

    init(_ region: VmemmapRegion) {
        self.region = region
        self.states = region.states
    }

    mutating func optimize(
        _ range: Range<Int>, _ writers: Writers = .excluded, _ comment: String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        try region.optimize(region.pages(range), writers: writers)
        for page in range { states[page] = .optimized }
        try region.expectWhole(states, "\(comment) optimize \(range)", location)
    }

    mutating func restore(
        _ range: Range<Int>, _ writers: Writers = .excluded, _ comment: String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        try region.restore(region.pages(range), writers: writers)
        for page in range where states[page] == .optimized { states[page] = .restored }
        try region.expectWhole(states, "\(comment) restore \(range)", location)
    }
}
