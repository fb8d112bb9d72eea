import HostMemory
import Testing
import VmemmapEmulator

/// Which operation on which huge pages of what shape, and who writes: what a sweep of faults runs over.
struct FaultCase: Sendable, CustomTestStringConvertible {
    let shape: Shape
    let operation: Operation
    let writers: Writers
    /// The huge pages that the operation is for.
    let span: Range<Int>
    /// The calls that are failed, one after the other, until the operation makes fewer: all of the first so many, then
    /// one of every so many.
    let (first, stride): (Int, Int)

    var calls: some Sequence<Int> { sequence(first: 1) { $0 < first ? $0 + 1 : $0 + stride } }

    var testDescription: String {
        "\(operation) \(span) of \(shape.testDescription), writers \(writers)"
    }

    /// With VMEMMAP_TEST_SWEEP=full in the environment, every call of every case is failed: for `scripts/check`.
    static let isFull = Environment.value("VMEMMAP_TEST_SWEEP") == "full"

    init(_ shape: Shape, _ operation: Operation, _ writers: Writers, _ span: Range<Int>, first: Int, stride: Int) {
        self.shape = shape
        self.operation = operation
        self.writers = writers
        self.span = span
        (self.first, self.stride) = Self.isFull && shape.size == .twoMebibytes ? (.max, 1) : (first, stride)
    }

    /// The shapes that schemes and backings give: the kernel's tail frames, and a longer one where there is one.
    private static func shapes(_ size: HugePageSize, _ pages: Int, _ mapping: RegionMapping, runs: [Scheme: [Int]])
        -> [Shape]
    {
        Backing.allCases.flatMap { backing in
            Scheme.ofHugeTLB.flatMap { scheme in
                (runs[scheme] ?? [1]).map {
                    Shape(size: size, pages: pages, scheme: scheme, backing: backing, tailFrames: $0, mapping: mapping)
                }
            }
        }
    }

    private static func cases(
        _ shapes: [Shape], _ span: Range<Int>, _ writers: [Writers], first: Int, stride: Int
    ) -> [FaultCase] {
        shapes.flatMap { shape in
            Operation.allCases.flatMap { operation in
                writers.map { FaultCase(shape, operation, $0, span, first: first, stride: stride) }
            }
        }
    }

    /// Three huge pages: every call of each.
    static let small = cases(
        shapes(.twoMebibytes, 3, .pte, runs: [.firstTail: [1, 3], .sharedTail: [1, 7]]), 0..<3,
        [.excluded, .present], first: .max, stride: 1)

    /// A whole batch of 64 and a part of one, between huge pages that are left alone.
    static let batches = cases(shapes(.twoMebibytes, 70, .pte, runs: [:]), 2..<69, [.excluded], first: 6, stride: 97)

    /// Two blocks of 64 huge pages that PMDs map: the second of them, and a few pages on both sides of where they meet.
    static let blocks =
        HostProcess.mapsByPmds
        ? cases(
            shapes(.twoMebibytes, 128, .pmd, runs: [.sharedTail: [7]]), 64..<128, [.excluded], first: 5, stride: 331)
            + cases(
                shapes(.twoMebibytes, 128, .pmd, runs: [.sharedTail: [7]]), 61..<66, [.present], first: 5, stride: 47)
        : []

    /// A huge page of eight blocks.
    static let gigantic = [RegionMapping.pte, .pmd].filter { $0 == .pte || HostProcess.mapsByPmds }.flatMap { mapping in
        cases(
            shapes(.oneGibibyte, 1, mapping, runs: [.firstTail: [16], .sharedTail: [512]]), 0..<1, [.present],
            first: mapping == .pmd ? 4 : 2, stride: 2801)
    }

    /// The regions that take long to be compared.
    static let large = blocks + gigantic

    /// The huge pages that the operation is for.
    func pages(of region: VmemmapRegion) -> Range<HugePageIndex> { region.pages(span) }

    /// A region with its huge pages in different states, those of the span in ones that the operation changes.
    ///
    /// - Parameter budget: what may be mapped.
    func region(_ budget: MappingBudget) throws -> VmemmapRegion {
        let region = try VmemmapRegion(shape.plan(), budget: budget)
        // Each second one has been through a cycle already.
        for page in region.all where page.rawValue % 2 == 1 {
            try Operation.optimize.run(on: region, .excluded, region.page(page.rawValue))
        }
        try region.restore(region.all, writers: .excluded)
        if let last = region.all.last, !span.contains(last.rawValue) {
            try region.optimize(region.page(last.rawValue), writers: .excluded)
        }
        try prepare(region)
        return region
    }

    /// Brings the huge pages of the span into a state that the operation changes.
    func prepare(_ region: VmemmapRegion) throws { try operation.opposite.run(on: region, writers, pages(of: region)) }
}
