import HostLab
import HostMemory
import Testing

@testable import VmemmapEmulator

/// Every architecture's sizes: base pages larger than the host's, each a run of its pages that is remapped together,
/// and huge pages of other sizes than x86-64 has.
@Suite("Every architecture's base pages and sizes of huge page")
struct BasePageTests {
    @Test("Frames, mappings, memory file, contents and heads are as planned in every state", arguments: Shape.elsewhere)
    func states(_ shape: Shape) throws {
        let region = try shape.region()
        #expect(region.plan.isWorthwhile)
        try region.expectAll(.populated)
        for writers in [Writers.excluded, .present] {
            try region.optimize(region.all, writers: writers)
            try region.expectAll(.optimized, "\(writers)")
            #expect(region.visitEveryStructPage().wrong == 0)
            try region.restore(region.all, writers: writers)
            try region.expectAll(.restored, "\(writers)")
        }
    }

    @Test("Readers see the right heads during cycles", arguments: Shape.elsewhere)
    func walkers(_ shape: Shape) throws {
        let region = try shape.region()
        let walkers = try Walkers(1, over: region, seed: 5)
        defer { _ = walkers.stop() }
        for _ in 0..<4 {
            try region.optimize(region.all, writers: .present)
            try region.restore(region.all, writers: .present)
        }
        let seen = walkers.stop()
        #expect(seen.reads > 0 && seen.wrong == 0, "\(String(describing: seen.firstWrong))")
        try region.expectAll(.restored)
    }

    @Test(
        "Some of an operation's calls fail: everything or nothing, or exactly what is said",
        arguments: FaultCase.elsewhere)
    func faults(_ fault: FaultCase) throws {
        try FaultSweep.run(fault, [1, 1_000_000]) { InjectedFault(first: $0, failures: $1) }
    }

    /// In a process of its own, so that nobody else's mapping falls into the gap.
    @Test("The same where the host refuses late, and leaves a gap", arguments: 0..<FaultCase.smallElsewhere.count)
    func late(_ number: Int) async {
        await #expect(processExitsWith: .success) { [number] in
            try FaultSweep.run(FaultCase.smallElsewhere[number], [1, 1_000_000]) {
                InjectedFault(
                    first: $0, failures: $1, operations: [.mapFile, .move, .protect, .write, .punchHole], manner: .late)
            }
        }
    }

    @Test("A gap of one of the host's pages within a vmemmap page is found, wherever it is", arguments: [0, 1, 2, 3])
    func gap(_ number: Int) async {
        await #expect(processExitsWith: .success) { [number] in
            let region = try Shape(size: #require(HugePageSize(bytes: .mebibytes(32))), pages: 1, base: .kibibytes(16))
                .region()
            let page = region.vmemmapPage(3, of: 0)
            let hole = AddressRange(start: page.start + HostLimits.pageSize * number, length: HostLimits.pageSize)
            #expect(region.parts.lostPages(of: HugePageIndex(0)).isEmpty)
            try HostKernel.mapNothing(at: hole)
            #expect(region.parts.lostPages(of: HugePageIndex(0)) == VmemmapPageIndex(3)..<VmemmapPageIndex(4))
        }
    }

    @Test("Masks lead to the head of a huge page of 16 GiB, whose struct pages are 256 MiB")
    func largest() throws {
        let geometry = try #require(Geometry(basePageSize: .kibibytes(4), hugePageSize: .largest))
        let plan = try MappingPlan(
            geometry: geometry, scheme: .sharedTail, hugePages: HugePageCount(3), tailFrames: .frames(PageCount(4096)))
        let region = try VmemmapRegion(plan, .optimized)
        #expect(region.wrongHeads(every: 99_991).isEmpty)
        #expect(region.range.start.rawValue.isMultiple(of: UInt(ByteCount.mebibytes(256).rawValue)))
    }

    @Test("Where a huge page's struct pages fill no vmemmap page, there is nothing to do, and nothing breaks")
    func nothing() throws {
        for (base, size, structPages) in [(64, 2, 32), (16, 2, 128)] {
            let region = try Shape(
                size: #require(HugePageSize(bytes: .mebibytes(size))), pages: 5, base: .kibibytes(base)
            ).region()
            #expect(!region.plan.isWorthwhile && region.plan.geometry.basePagesPerHugePage == structPages)
            try region.optimize(region.all)
            try region.restore(region.all)
            #expect(region.wrongHeads().isEmpty)
            #expect(region.states.allSatisfy { $0 == .populated })
        }
    }

    @Test("A region's label has its base page where that is not the host's")
    func label() throws {
        for shape in Shape.elsewhere {
            let label = RegionLabel(try shape.plan())
            #expect(
                label.memoryFileName.hasSuffix(":\(shape.base.rawValue >> 10)K") == (shape.base != HostLimits.pageSize))
            #expect(RegionLabel(mappingName: "/memfd:\(label.memoryFileName) (deleted)") == label)
        }
        #expect(RegionLabel(mappingName: "/memfd:vmemmap-frames:32M:head:memfd:pte:1:3:x") == nil)
    }
}

extension Shape {
    /// Every (architecture, size, scheme, backing) of which something is freed, once where architectures share a size;
    /// some of them with longer runs of tail frames, and some mapped by PMDs.
    static let elsewhere = architectures + longerRuns + onPmdsElsewhere

    /// As the kernel has them. Several huge pages where they are small.
    static let architectures: [Shape] = Architecture.hugePages.flatMap { base, size in
        Backing.allCases.flatMap { backing in
            Scheme.ofHugeTLB.compactMap { scheme in
                let shape = Shape(size: size, pages: 1, scheme: scheme, backing: backing, base: base)
                guard let plan = try? shape.plan(), plan.isWorthwhile else { return nil }
                let isSmall = plan.geometry.vmemmapPagesPerHugePage <= PageCount(128)
                return isSmall
                    ? Shape(size: size, pages: 3, scheme: scheme, backing: backing, base: base) : shape
            }
        }
    }

    private static let longerRuns: [Shape] = Backing.allCases.flatMap { backing in
        [Scheme.firstTail, .sharedTail].flatMap { scheme in
            // Base page and huge page in KiB and MiB, how many, and the tail frames.
            [(4, 32, 2, 5), (16, 1024, 1, 16), (64, 512, 2, 3)].compactMap { base, size, pages, run in
                guard base << 10 >= HostLimits.pageSize.rawValue else { return nil }
                return HugePageSize(bytes: .mebibytes(size)).map {
                    Shape(
                        size: $0, pages: pages, scheme: scheme, backing: backing, tailFrames: run,
                        base: .kibibytes(base))
                }
            }
        }
    }

    /// A block of the host's that 16 huge pages of 32 MiB fill.
    private static let onPmdsElsewhere: [Shape] = Backing.allCases.flatMap { backing in
        HugePageSize(bytes: .mebibytes(32)).map { size in
            Scheme.ofHugeTLB.map {
                Shape(size: size, pages: 16, scheme: $0, backing: backing, mapping: .pmd, base: .kibibytes(16))
            }
        } ?? []
    }.filter { _ in HostProcess.mapsByPmds && HostLimits.pageSize == .kibibytes(4) }
}

extension Architecture {
    /// The base and huge pages of all, once each, as far as this host's pages fit into them.
    static let hugePages: [(base: ByteCount, size: HugePageSize)] = allCases.reduce(into: []) { found, architecture in
        for size in architecture.hugePageSizes
        where architecture.basePageSize >= HostLimits.pageSize
            && !found.contains(where: { $0 == (architecture.basePageSize, size) })
        { found.append((architecture.basePageSize, size)) }
    }
}

extension FaultCase {
    /// The first two calls, and up to four of the others.
    static let elsewhere: [FaultCase] = Shape.elsewhere.filter { $0.mapping == .pte }.flatMap { shape in
        let vmemmapPages = (try? shape.plan().geometry.vmemmapPagesPerHugePage.rawValue) ?? 1
        return Operation.allCases.map {
            FaultCase(
                shape, $0, .present, 0..<shape.pages, first: 2, stride: max(5, vmemmapPages * shape.pages / 4))
        }
    }

    /// Those of them that are soon compared.
    static let smallElsewhere = elsewhere.filter { $0.shape.pages > 1 }
}
