import Testing

@testable import HostMemory

/// The page map joined with mappings that cannot be had on demand.
@Suite("The window on a page map")
struct PageMapWindowTests {
    private static let present: UInt64 = 1 << 63
    private static let swapped: UInt64 = 1 << 62
    private static let fileOrShared: UInt64 = 1 << 61
    private static let pageSize = ByteCount(4096)

    /// A page map in which every page is present in the frame of its own number.
    private final class Source {
        var reads: [(position: UInt64, count: Int)] = []
        var most = Int.max
        var end = UInt64.max

        func read(_ position: UInt64, _ words: inout [UInt64]) throws(HostError) -> Int {
            let count = Int(min(UInt64(min(words.count, most)), end < position ? 0 : end - position))
            for index in 0..<count { words[index] = PageMapWindowTests.present | (position + UInt64(index)) }
            reads.append((position, count))
            return count
        }
    }

    /// A mapping of the pages `pages`, from byte `offset` of file 7 on.
    private func mapping(_ pages: Range<Int>, offset: Int = 0x20_0000, flags: String = "rw-s") throws -> Mapping {
        let (start, end) = (String(pages.lowerBound << 12, radix: 16), String(pages.upperBound << 12, radix: 16))
        return try #require(Mapping(text: "\(start)-\(end) \(flags) \(String(offset, radix: 16)) 00:01 7 /memfd:x"))
    }

    private func range(_ pages: Range<Int>) -> AddressRange {
        AddressRange(start: Address(UInt(pages.lowerBound << 12)), length: Self.pageSize * pages.count)
    }

    private func views(
        _ mappings: [Mapping], in range: AddressRange, from source: Source = Source(), width: Int = 16
    ) throws -> [PageView] {
        var window = PageMapWindow(pageSize: Self.pageSize, width: width)
        var views: [PageView] = []
        for mapping in mappings {
            try window.forEachPage(of: mapping, in: range, name: "map", read: source.read) {
                (view) throws(HostError) in views.append(view)
            }
        }
        return views
    }

    @Test(
        "A mapping that reaches beyond the range is clipped, and its pages keep their place in the file",
        arguments: [
            (100..<110, 100..<110), (90..<105, 100..<105), (105..<120, 105..<110), (90..<120, 100..<110),
            (109..<111, 109..<110), (99..<101, 100..<101), (90..<100, 100..<100), (110..<120, 110..<110),
        ])
    func clipped(_ mapped: Range<Int>, _ expected: Range<Int>) throws {
        let views = try views([mapping(mapped)], in: range(100..<110))
        #expect(views.map { Int($0.address.rawValue >> 12) } == Array(expected))
        #expect(views.map { Int($0.entry.pfn) } == Array(expected))
        #expect(
            views.map { $0.file?.offset }
                == expected.map { ByteCount(0x20_0000) + Self.pageSize * ($0 - mapped.lowerBound) })
    }

    @Test("Neighbouring mappings share a read; what lies beyond it is read anew, and nothing twice")
    func reads() throws {
        let source = Source()
        let mappings = [try mapping(100..<104), try mapping(104..<110), try mapping(114..<120), try mapping(500..<501)]
        let views = try views(mappings, in: range(0..<1000), from: source)
        #expect(views.map { Int($0.entry.pfn) } == Array(100..<110) + Array(114..<120) + [500])
        #expect(source.reads.map(\.position) == [100, 116, 500])
    }

    @Test("A read that gives less than it could is gone on from where it ended", arguments: [1, 2, 3, 15])
    func shortReads(_ most: Int) throws {
        let source = Source()
        source.most = most
        let views = try views([mapping(100..<110)], in: range(0..<1000), from: source)
        #expect(views.map { Int($0.entry.pfn) } == Array(100..<110))
        #expect(source.reads.allSatisfy { $0.count == min(most, 16) })
    }

    @Test("A page without an entry is an error, after those that have one")
    func ended() throws {
        let source = Source()
        source.end = 104
        var window = PageMapWindow(pageSize: Self.pageSize, width: 16)
        var seen: [UInt64] = []
        let mapping = try mapping(100..<110)
        let error = HostError.thrown { () throws(HostError) in
            try window.forEachPage(of: mapping, in: mapping.range, name: "map", read: source.read) {
                (view) throws(HostError) in seen.append(view.entry.pfn)
            }
        }
        #expect(error == HostError(unreadable: "map"))
        #expect(seen == [100, 101, 102, 103])
    }

    @Test(
        "A shared mapping shows its file; a private one until it is written, swapped out or not; a guard region none",
        arguments: [
            ("rw-s", 0, true), ("rw-s", present | fileOrShared, true), ("rw-s", present, true), ("rw-s", swapped, true),
            ("rw-p", 0, true), ("r--p", present | fileOrShared | 5, true), ("rw-p", present | 5, false),
            ("rw-p", swapped | 5, false), ("rw-p", swapped | 1 << 58, false), ("rw-s", swapped | 1 << 58, false),
        ] as [(String, UInt64, Bool)])
    func showsFile(_ flags: String, _ entry: UInt64, _ showsFile: Bool) throws {
        let mapping = try mapping(100..<110, flags: flags)
        let view = PageView(Address(103 << 12), PageMapEntry(rawValue: entry), in: mapping)
        #expect(view.file?.offset == (showsFile ? ByteCount(0x20_3000) : nil))
        #expect(view.file?.identity == (showsFile ? Mapping.FileIdentity(device: 1, inode: 7) : nil))
    }
}

@Suite("Lines out of parts")
struct LineSplitterTests {
    @Test("The same lines come of any division of the text", arguments: [1, 2, 3, 5, 7, 100])
    func divided(_ size: Int) throws {
        let lines = ["first", "", "the third, which is longer", "x", "", ""]
        let text = Array(lines.map { $0 + "\n" }.joined().utf8)
        for first in 0..<size {
            var splitter = LineSplitter()
            var seen: [String] = []
            var starts = [0] + stride(from: first, to: text.count, by: size)
            starts.append(text.count)
            for (start, end) in zip(starts, starts.dropFirst()) {
                try splitter.add(text.span.extracting(start..<end)) { (line) throws(HostError) in
                    seen.append(String(decoding: line.indices.map { line[$0] }, as: UTF8.self))
                }
            }
            #expect(seen == lines)
        }
    }
}

@Suite("What a scan for PMDs finds")
struct PmdScanTests {
    private let range = AddressRange(start: Address(0x20_0000), length: .mebibytes(16))

    @Test("A full buffer is gone on from where the scan stopped, and nothing is lost between")
    func manyCalls() throws {
        var calls: [AddressRange] = []
        let found = try PageMap.collect(range) { (rest, triples, scanned) throws(HostError) in
            calls.append(rest)
            // One block of 2 MiB a call; the last looks at the rest, and finds nothing.
            guard calls.count <= 3 else {
                scanned = UInt64(rest.end.rawValue)
                return 0
            }
            let start = UInt64(rest.start.rawValue)
            triples.replaceSubrange(0..<3, with: [start, start + 0x20_0000, 64])
            scanned = start + 0x40_0000
            return 1
        }
        #expect(calls.map(\.start.rawValue) == [0x20_0000, 0x60_0000, 0xa0_0000, 0xe0_0000])
        #expect(calls.allSatisfy { $0.end == range.end })
        #expect(found.map(\.start.rawValue) == [0x20_0000, 0x60_0000, 0xa0_0000])
        #expect(found.allSatisfy { $0.length == .mebibytes(2) })
    }

    @Test("Several blocks of one call come in its order, each with its own end")
    func manyBlocks() throws {
        let found = try PageMap.collect(range) { (rest, triples, scanned) throws(HostError) in
            triples.replaceSubrange(0..<6, with: [0x40_0000, 0x60_0000, 64, 0x80_0000, 0xc0_0000, 64])
            scanned = UInt64(rest.end.rawValue)
            return 2
        }
        #expect(found.map(\.start.rawValue) == [0x40_0000, 0x80_0000])
        #expect(found.map(\.length) == [.mebibytes(2), .mebibytes(4)])
    }

    @Test("A scan that stands still is an error and no endless loop")
    func standsStill() {
        let error = HostError.thrown { () throws(HostError) in
            _ = try PageMap.collect(range) { (rest, _, scanned) throws(HostError) in
                scanned = UInt64(rest.start.rawValue)
                return 0
            }
        }
        #expect(error == HostError(unreadable: "/proc/self/pagemap", .scanPageMap))
    }

    @Test("Every count of /proc/vmstat is taken from its own line")
    func events() throws {
        let names = [
            "thp_fault_alloc", "thp_split_pmd", "thp_split_page", "thp_split_page_failed", "thp_deferred_split_page",
            "thp_collapse_alloc", "thp_collapse_alloc_failed",
        ]
        let text = names.enumerated().map { "\($1) \($0 + 1)\n" }.joined()
        let events = try #require(HugePageEvents(text))
        #expect((events.faultAlloc, events.splitPmd, events.splitPage, events.splitPageFailed) == (1, 2, 3, 4))
        #expect((events.deferredSplitPage, events.collapseAlloc, events.collapseAllocFailed) == (5, 6, 7))
        for name in names { #expect(HugePageEvents(text.replacing("\(name) ", with: "other ")) == nil) }
    }
}
