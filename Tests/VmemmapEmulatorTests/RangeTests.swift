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
        try region.restore(region.all)
        try region.expectAll(.base)
        for _ in 0..<2 {
            try region.optimize(region.all)
            try region.expectAll(.optimized)
        }
        for _ in 0..<2 {
            try region.restore(region.all)
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
        #expect(try calls { try region.restore(region.all) } == 0)
        #expect(try calls { try region.optimize(index..<index) } == 0)
        try region.optimize(region.all)
        #expect(try calls { try region.optimize(region.all, writers: .present) } == 0)
    }

    @Test("Ranges that are empty or out of bounds are cut to the region", arguments: shapes)
    func outOfBounds(_ shape: Shape) throws {
        let region = try shape.region()
        let end = shape.pages
        for range in [0..<0, end..<end, end..<(end + 5), -7 ..< -1, -3..<0, (Int.max - 1)..<Int.max, Int.min..<0] {
            try region.optimize(region.pages(range))
            try region.restore(region.pages(range))
        }
        try region.expectAll(.base)
        try region.optimize(region.pages((end - 1)..<Int.max))
        try region.expectWhole(Array(repeating: .base, count: end - 1) + [.optimized])
        try region.optimize(region.pages(Int.min..<Int.max))
        try region.expectAll(.optimized)
        try region.restore(region.pages(-1..<(end + 1)))
        try region.expectAll(.restored)
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
