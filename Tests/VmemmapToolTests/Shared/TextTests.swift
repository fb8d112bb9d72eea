import HostMemory
import Testing
@testable import VmemmapTool

@Suite("Numbers as text")
struct TextTests {
    static let byteTexts: [Int: String] = [
        0: "0 B", 1023: "1023 B", 1024: "1 KiB", 24576: "24 KiB", 1536: "1.50 KiB", 2_097_152: "2.00 MiB",
        1_073_741_824: "1.00 GiB", 1_073_741_823: "1.00 GiB", -1_048_575: "-1.00 MiB", 12_884_901_888: "12.00 GiB",
        1_099_511_627_776: "1.00 TiB", -3_145_728: "-3.00 MiB", .max: "8388608.00 TiB",
    ]

    @Test("Byte counts", arguments: byteTexts)
    func bytes(_ count: Int, _ text: String) { #expect(Format.bytes(ByteCount(count)) == text) }

    @Test(
        "In a cell, byte counts have four digits at most",
        arguments: [
            (1023, "1023 B"), (24576, "24 KiB"), (1_048_320, "1.00 MiB"), (-261_888, "-255.8 KiB"),
            (12_884_901_888, "12.00 GiB"), (1_073_741_568, "1.00 GiB"), (296_222_720, "282.5 MiB"),
            (1_047_552, "1023 KiB"), (104_857_599, "100.0 MiB"),
        ])
    func briefBytes(_ count: Int, _ text: String) { #expect(Format.briefBytes(ByteCount(count)) == text) }

    @Test(
        "Durations",
        arguments: [
            (0, "0 ns"), (999, "999 ns"), (1000, "1.0 us"), (9_999, "10.0 us"), (45_430, "45.4 us"),
            (8_765_700, "8.8 ms"), (25_000_000, "25.0 ms"),
            (39_000_000_000, "39.0 s"), (999_900_000, "999.9 ms"), (999_949, "999.9 us"), (999_950, "1.0 ms"),
            (999_950_000, "1.00 s"), (6_099_900_000, "6.10 s"), (9_994_999_999, "9.99 s"),
            (9_996_000_000, "10.0 s"), (1_004_000_000, "1.00 s"),
        ])
    func durations(_ nanoseconds: Int, _ text: String) {
        #expect(Format.duration(nanoseconds: nanoseconds) == text)
    }

    @Test(
        "Means and medians",
        arguments: [
            (0, "0 ns"), (2.114, "2.11 ns"), (-2.54, "-2.54 ns"), (99.99, "99.99 ns"), (99.996, "100 ns"),
            (999.6, "1.0 us"), (1400.4, "1.4 us"), (.infinity, "-"),
        ])
    func means(_ nanoseconds: Double, _ text: String) {
        #expect(Format.duration(nanoseconds: nanoseconds) == text)
    }

    @Test("The times of a figure have one unit, that of the longest, and decimals for the shortest")
    func timeUnits() {
        func texts(_ times: [Double]) -> [String] { times.map(TimeUnit(of: times).text) }
        #expect(texts([483_274, 423, 0]) == ["483.27 us", "0.42 us", "0.00 us"])
        #expect(texts([60_800, 9871, -4292]) == ["60.8 us", "9.9 us", "-4.3 us"])
        #expect(texts([2.5, 120]) == ["2.5 ns", "120.0 ns"])
        #expect(texts([7, 120]) == ["7 ns", "120 ns"])
        #expect(texts([9.5e9, 3]) == ["9.500 s", "<0.001 s"])
        #expect(texts([]) == [])
    }

    @Test("A column has one unit unless nothing of the shortest would be left")
    func columnUnits() {
        func texts(_ times: [Double]) -> [String]? { TimeUnit(ofColumn: times).map { times.map($0.text) } }
        #expect(texts([18.8e6, 939_500, 0]) == ["18.80 ms", "0.94 ms", "0.00 ms"])
        #expect(texts([1.4e6, 496_900]) == ["1400.0 us", "496.9 us"])
        #expect(texts([9163, 423]) == ["9.16 us", "0.42 us"])
        #expect(texts([18.8e6, 3e6]) == nil && texts([1.5e6]) == nil)
        #expect(texts([18.8e6, 939]) == nil)
        #expect(texts([]) == nil)
    }

    @Test(
        "Counts",
        arguments: [
            (0, "0 pages"), (1, "1 page"), (999, "999 pages"), (1000, "1 000 pages"), (-12345, "-12 345 pages"),
            (1_234_567, "1 234 567 pages"),
        ])
    func counts(_ count: Int, _ text: String) { #expect(Format.count(count, "page") == text) }

    @Test("A table aligns its columns and leaves no space at the end of a line")
    func table() {
        var table = TextTable(headings: ["", "RSS\nKiB", "frames"])
        table.add(["baseline", "1024", "-"])
        table.add(["x", "7", "12345678"])
        #expect(
            table.lines(.plain) == [
                "           RSS",
                "           KiB    frames",
                "baseline  1024         -",
                "x            7  12345678",
            ])
    }
}
