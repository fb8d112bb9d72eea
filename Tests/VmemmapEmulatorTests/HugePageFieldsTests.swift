import HostMemory
import Testing

@testable import VmemmapEmulator

@Suite("What struct pages carry of their own")
struct HugePageFieldsTests {
    @Test("Each field keeps what is put there, optimized or not, and disturbs no other", arguments: Shape.onPtes)
    func fields(_ shape: Shape) throws {
        let region = try shape.region()
        let fields = HugePageFields(of: HugePageIndex(0), region.layout)
        #expect(!fields.isActive && !fields.isPoisoned && !fields.isTemporary)
        #expect(fields.cgroup == 0 && fields.reservationCgroup == 0 && fields.rawErrorIndex == 0)
        fields.cgroup = 0x1234
        fields.rawErrorIndex = 511
        for _ in 0..<2 {
            fields.isActive = true
            fields.isPoisoned = true
            fields.isTemporary = true
            fields.reservationCgroup = 0xffff_8880_1234_5678
            #expect(fields.isActive && fields.isPoisoned && fields.isTemporary)
            #expect(fields.cgroup == 0x1234 && fields.reservationCgroup == 0xffff_8880_1234_5678)
            #expect(fields.rawErrorIndex == 511)
            #expect(region.wrongHeads(in: region.layout.frames.prefix(512)).isEmpty)
            fields.isActive = false
            fields.isTemporary = false
            #expect(!fields.isActive && !fields.isTemporary && fields.isPoisoned)
            try region.optimize(region.page(0), writers: .excluded)
        }
        try region.restore(region.page(0), writers: .excluded)
        #expect(fields.cgroup == 0x1234 && fields.rawErrorIndex == 511 && fields.isPoisoned && !fields.isActive)
        #expect(region.wrongHeads(in: region.layout.frames.prefix(512)).isEmpty)
    }
}
