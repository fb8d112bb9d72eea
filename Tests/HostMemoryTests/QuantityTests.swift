import FoundationEssentials
import Testing

@testable import HostMemory

@Suite("Quantities and addresses")
struct QuantityTests {
    @Test("Arithmetic keeps the unit")
    func arithmetic() {
        var bytes = ByteCount.kibibytes(4)
        bytes += ByteCount(1)
        bytes -= ByteCount(2)
        #expect(bytes == ByteCount(4095))
        #expect(bytes + ByteCount(1) == .kibibytes(4))
        #expect(ByteCount(1) - ByteCount(2) == ByteCount(-1))
        #expect(PageCount(3).bytes(pageSize: .kibibytes(64)) == ByteCount(196_608))
        #expect(MappingCount(2) < MappingCount(3))
        #expect((ByteCount.mebibytes(1), ByteCount.gibibytes(1)) == (ByteCount(1 << 20), ByteCount(1 << 30)))
    }

    @Test("They print with their unit, bytes in the largest that divides them; the raw value is bare, in JSON too")
    func printed() throws {
        #expect("\(PageCount(rawValue: 7)), \(PageCount(1)), \(MappingCount(0))" == "7 pages, 1 page, 0 mappings")
        let bytes: [ByteCount] = [0, 1, 1023, 1024, 24576, 1536, 2_097_152, -4096, .gibibytes(2048), .gibibytes(1536)]
        #expect(
            bytes.map { "\($0)" } == [
                "0 B", "1 B", "1023 B", "1 KiB", "24 KiB", "1536 B", "2 MiB", "-4 KiB", "2 TiB", "1536 GiB",
            ])
        #expect(bytes.dropFirst().map(\.argument) == ["1", "1023", "1K", "24K", "1536", "2M", "-4K", "2T", "1536G"])
        for size in bytes where size > .zero { #expect(ByteCount(text: size.argument) == size) }
        #expect("\(ByteCount(2048).rawValue)" == "2048")
        #expect(String(decoding: try JSONEncoder().encode([ByteCount(2048)]), as: UTF8.self) == "[2048]")
    }

    @Test("Counts from outside that do not fit are nil")
    func checked() {
        #expect(ByteCount(1 << 40).multiplied(by: 1 << 22) == ByteCount(1 << 62))
        #expect(ByteCount(1 << 40).multiplied(by: 1 << 23) == nil)
        #expect(ByteCount(Int.max).multiplied(by: -2) == nil)
    }

    @Test("Sums that do not fit trap and do not wrap")
    func traps() async {
        await #expect(processExitsWith: .failure) { [one = 1 as Int] in
            _ = ByteCount(Int.max) + ByteCount(one)
        }
    }

    @Test("Addresses add and subtract over the whole space")
    func addresses() {
        let high = Address(0xffff_ffff_ff60_0000)
        #expect(high + ByteCount(0x1000) - high == ByteCount(0x1000))
        #expect(high + ByteCount(-0x1000) < high)
        #expect(high.description == "0xffffffffff600000")
    }

    @Test("Ranges hold their start and not their end, and touch without overlapping")
    func ranges() {
        let range = AddressRange(start: Address(0x1000), length: ByteCount(0x2000))
        #expect(range.contains(Address(0x1000)) && range.contains(Address(0x2fff)))
        #expect(!range.contains(Address(0xfff)) && !range.contains(Address(0x3000)))
        let after = AddressRange(start: range.end, length: ByteCount(0x1000))
        #expect(!range.overlaps(after) && !after.overlaps(range))
        let across = AddressRange(start: Address(0x2fff), length: ByteCount(2))
        #expect(range.overlaps(across) && across.overlaps(after))
        #expect(range.description == "0x1000-0x3000")
    }
}
