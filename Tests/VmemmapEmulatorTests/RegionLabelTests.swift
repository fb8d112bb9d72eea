import HostMemory
import Testing

@testable import VmemmapEmulator

@Suite("The label of a region")
struct RegionLabelTests {
    private static func plan(
        _ scheme: Scheme, _ backing: Backing, _ size: HugePageSize = .twoMebibytes, run: Int = 1,
        mapping: RegionMapping = .pte
    ) throws -> MappingPlan {
        try MappingPlan(
            geometry: try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: size)), scheme: scheme,
            backing: backing, mapping: mapping, hugePages: HugePageCount(3), tailFrames: .frames(PageCount(run)))
    }

    @Test("What is written is read again", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func roundTrip(scheme: Scheme, backing: Backing) throws {
        let odd = try #require(HugePageSize(bytes: .kibibytes(512)))
        for size in [HugePageSize.twoMebibytes, .oneGibibyte, odd] {
            for mapping in RegionMapping.allCases {
                let label = RegionLabel(try Self.plan(scheme, backing, size, run: 5, mapping: mapping))
                #expect(RegionLabel(mappingName: "/memfd:\(label.memoryFileName) (deleted)") == label)
            }
        }
    }

    @Test(
        "What is no label is none",
        arguments: [
            "", "/memfd:vmemmap-frames (deleted)", "/memfd:vmemmap-frames:2M:first-tail:anonymous:pte:1 (deleted)",
            "/memfd:vmemmap-frames:3M:first-tail:anonymous:pte:1:3", "/memfd:vmemmap-frames:2M:tail:anonymous:pte:1:3",
            "/memfd:vmemmap-frames:2M:head:memfd:pte:0:3", "/memfd:vmemmap-frames:2M:head:memfd:pud:1:3",
            "/tmp/vmemmap-frames:2M:head:memfd:pte:1:3", "/memfd:other:2M:head:memfd:pte:1:3",
            "/memfd:vmemmap-frames:2M:head:memfd:pte:1:0", "/memfd:vmemmap-frames:2M:head:memfd:pte:1:x",
        ])
    func none(_ name: String) {
        #expect(RegionLabel(mappingName: name) == nil)
    }

    @Test(
        "The guard pages carry it, in every state, and nobody can read them", arguments: Scheme.ofHugeTLB,
        Backing.allCases)
    func guards(scheme: Scheme, backing: Backing) throws {
        let region = try VmemmapRegion(try Self.plan(scheme, backing))
        func check() throws {
            var guards: [Mapping] = []
            try ProcMaps.forEachNamed(RegionLabel(region.plan).memoryFileName, of: .current) {
                (mapping, _) throws(HostError) in
                let isBeside = mapping.range.end == region.range.start || mapping.range.start == region.range.end
                if isBeside { guards.append(mapping) }
            }
            #expect(guards.count == 2)
            #expect(guards.allSatisfy { !$0.isReadable && !$0.isWritable })
            #expect(guards.allSatisfy { $0.range.length == HostLimits.pageSize })
        }
        try check()
        try region.optimize(region.layout.allHugePages, writers: .excluded)
        try check()
        try region.restore(region.layout.allHugePages, writers: .excluded)
        try check()
    }
}
