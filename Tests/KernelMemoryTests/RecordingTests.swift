import HostMemory
import Testing

@testable import KernelMemory

/// Recordings of several kernels, and those made from them.
struct RecordingTests {
    static let twoMebibytes = ByteCount.mebibytes(2)

    private func count(_ text: String, _ kind: LookKind, _ size: ByteCount = twoMebibytes) throws -> VmemmapCount {
        let look = try #require(try KernelRecording(text: text).look(kind))
        return look.count(of: size)
    }

    @Test("Each kernel's scheme is told by what is found")
    func schemes() throws {
        func scheme(_ text: String) throws -> KernelScheme? { try KernelRecording(text: text).look(.on)?.scheme }
        #expect(try scheme(Recordings.linux5_14) == .firstTail)
        #expect(try scheme(Recordings.linux6_1) == .head)
        #expect(try scheme(Recordings.linux6_18) == .head)
        #expect(try scheme(Recordings.linux6_18Gigantic) == .head)
        #expect(try scheme(Recordings.linux7_3) == .sharedTail)
    }

    @Test("6.18: off has every frame by PMD, on has one of eight, and the kernel's mark agrees")
    func linux6_18() throws {
        let off = try count(Recordings.linux6_18, .off)
        #expect(off.whole == 2 && off.pages == 2 && off.inPool == 2 && off.framesFreed == 0 && off.contradicted == 0)
        #expect(off.vmemmapPages == 16 && off.furtherFrames == nil)
        let on = try count(Recordings.linux6_18, .on)
        #expect(on.optimized == 2 && on.framesFreed == 14 && on.furtherFrames == 0 && on.contradicted == 0)
        let view = try #require(try KernelRecording(text: Recordings.linux6_18).look(.on)?.pages.first?.view)
        #expect(view.pages.map { $0?.isWritable } == [true] + Array(repeating: false, count: 7))
        #expect(view.frames == [0x19593b] && view.pages.allSatisfy { $0?.level == .pte && $0?.isExecutable == false })
        #expect(view.vmemmap == KernelAddress(0xffff_ea00_128e_8000) && view.isMarkedOptimized == true)
        let before = try #require(try KernelRecording(text: Recordings.linux6_18).look(.off)?.pages.first?.view)
        #expect(before.pages.map { $0?.frame } == (0..<8).map { 0x639600 + 0xe8 + $0 })
        #expect(before.splitPages == 0 && before.readOnlyPages == 0)
    }

    @Test("A huge page of 1 GiB keeps one of 4096 frames")
    func gigantic() throws {
        let on = try count(Recordings.linux6_18Gigantic, .on, .gibibytes(1))
        #expect(on.optimized == 1 && on.vmemmapPages == 4096 && on.framesFreed == 4095)
        #expect(try count(Recordings.linux6_18Gigantic, .on).pages == 0)
    }

    @Test("Frames of shared tails count once")
    func sharedTails() throws {
        let on = try count(Recordings.linux7_3, .on)
        // Two heads and one tail frame for both.
        #expect(on.optimized == 2 && on.vmemmapPages == 16 && on.framesFreed == 13)
    }

    @Test("A frame that one huge page writes and another shows is found, whether that one writes it, too, or not")
    func framesOfTwoPages() throws {
        let second = "80000002a90cd163 80000002a90cd121*7"
        func shared(_ entries: String) throws -> Int? {
            try KernelRecording(text: Recordings.linux6_18.replacing(second, with: entries)).look(.on)?.framesOfTwoPages
        }
        #expect(try shared(second) == 0)
        #expect(try shared("800000019593b163 800000019593b121*7") == 1)
        #expect(try shared("80000002a90cd163 800000019593b121*7") == 1)
        // Tails that are shared, and that nobody writes.
        #expect(try KernelRecording(text: Recordings.linux7_3).look(.on)?.framesOfTwoPages == 0)
    }

    @Test("Tails on a frame apart are shared tails only if a neighbour shows it, too")
    func unsharedTails() throws {
        let neighbour = "80000000027c8163 80000000027c6121*7"
        let text = Recordings.linux7_3.replacing(neighbour, with: "80000000027c8163 80000000027c9121*7")
        let look = try #require(try KernelRecording(text: text).look(.on))
        #expect(look.pages.count == 2 && look.scheme == nil)
        // Of one alone it cannot be told.
        #expect(VmemmapLook(pools: look.pools, pages: [look.pages[1]]).scheme == .sharedTail)
    }

    @Test("What is printed reads the same", arguments: Recordings.all)
    func roundTrip(text: String) throws {
        let recording = try KernelRecording(text: text)
        #expect(try KernelRecording(text: recording.text) == recording)
        #expect(recording.text == text)
    }

    // MARK: Made from them

    /// The same kernel with memory encryption: a bit more in every entry of every table.
    private func encrypted(_ text: String, bit: UInt64) throws -> KernelRecording {
        try changed(text) { address, word, recording in
            address < recording.layout.vmemmap.rawValue || word & 1 == 0 ? word | 1 << bit : word
        }
    }

    private func changed(
        _ text: String, _ change: (UInt64, UInt64, KernelRecording) -> UInt64
    ) throws -> KernelRecording {
        let recording = try KernelRecording(text: text)
        let looks = recording.looks.map { look in
            let pages = look.pages.map { page in
                let words = page.words?.words.map { ($0.key, change($0.key, $0.value, recording)) } ?? []
                return KernelRecording.Page(
                    pfn: page.pfn, size: page.size, words: RecordedWords(words: .init(uniqueKeysWithValues: words)))
            }
            return KernelRecording.Look(kind: look.kind, pools: look.pools, pages: pages)
        }
        return KernelRecording(kernel: recording.kernel, layout: recording.layout, looks: looks)
    }

    @Test("The bit of memory encryption is no part of an address", arguments: [47, 51])
    func encryption(bit: UInt64) throws {
        let plain = try #require(try KernelRecording(text: Recordings.linux6_18).look(.on))
        let recording = try encrypted(Recordings.linux6_18, bit: bit)
        let mask = recording.layout.tables.addressMask & ~(1 << bit)
        let look = try #require(try recording.with(addressMask: mask).look(.on))
        #expect(look.pages.map { $0.view?.frames } == plain.pages.map { $0.view?.frames })
        #expect(look.scheme == .head)
    }

    @Test("One level more gives the same")
    func fiveLevels() throws {
        let recording = try KernelRecording(text: Recordings.linux6_18)
        let plain = try #require(try recording.look(.on))
        // The entry of the new highest level that covers all the others.
        let top = recording.layout.tables.directMap + 0x7000
        let index = recording.layout.vmemmap.rawValue >> 48 & 511
        let entry = (recording.layout.tables.root.rawValue - recording.layout.tables.directMap.rawValue) | 0x67
        let five = recording.with(levels: 5, root: top, adding: [(top + index * 8).rawValue: entry])
        #expect(try five.look(.on) == plain)
    }

    @Test("Torn tables give an error or another state, never a trap")
    func torn() throws {
        for text in Recordings.all where text != Recordings.linux6_18Gigantic {
            let recording = try KernelRecording(text: text)
            for kind in recording.kinds {
                let words = recording.looks.flatMap(\.pages).compactMap { $0.words?.words.keys.sorted().prefix(12) }
                    .joined()
                for address in words.prefix(24) {
                    let without = try changed(text) { $0 == address ? 0 : $1 }
                    _ = try? without.look(kind)
                    let full = try changed(text) { place, word, _ in place == address ? .max : word }
                    _ = try? full.look(kind)
                    // Back to the root.
                    let root = recording.layout.tables.root.rawValue &- recording.layout.tables.directMap.rawValue
                    let circle = try changed(text) { place, word, _ in place == address ? root | 0x67 : word }
                    _ = try? circle.look(kind)
                }
            }
        }
    }

    private func changed(_ text: String, _ change: (UInt64, UInt64) -> UInt64) throws -> KernelRecording {
        try changed(text) { address, word, _ in change(address, word) }
    }

    @Test("A tail that is writable, on another frame or missing is no optimized page")
    func otherStates() throws {
        let tail: UInt64 = 0x8000_0001_9593_b121
        for change: UInt64 in [tail | 2, tail + 0x1000, 0] {
            var left = 1
            let recording = try changed(Recordings.linux6_18) { address, word, _ in
                guard address == 0xffff_8881_02b1_e740 + 8 * 3 else { return word }
                left -= 1
                return change
            }
            #expect(left == 0)
            let count = try #require(try recording.look(.on)?.count(of: Self.twoMebibytes))
            #expect(count.other == 1 && count.optimized == 1 && count.contradicted == 1, "\(change)")
            // A tail with a frame of its own frees none, and one that nothing is mapped to neither.
            #expect(count.framesFreed == (change == tail | 2 ? 14 : 13), "\(change)")
        }
    }

    @Test("Huge pages that were not looked at are missed, unless a pool changed meanwhile")
    func missed() throws {
        let pages = try #require(try KernelRecording(text: Recordings.linux6_18).look(.on)).pages
        func pools(_ two: Int, _ gigantic: Int = 0) -> [VmemmapLook.Pool] {
            [.init(size: Self.twoMebibytes, pages: two), .init(size: .gibibytes(1), pages: gigantic)]
        }
        func look(_ pools: [VmemmapLook.Pool]) -> VmemmapLook { VmemmapLook(pools: pools, pages: pages) }
        #expect(look(pools(2)).missed(since: pools(2)) == 0 && look(pools(2)).missed(since: pools(3)) == nil)
        // One of 2 MiB too many does not make up for one of 1 GiB that lacks.
        #expect(look(pools(1, 1)).missed(since: pools(1, 1)) == 2 && look([]).missed(since: []) == 2)
        func added(_ before: Int, _ after: Int, _ now: Int) -> Int? {
            look(pools(now)).missed(ofPagesOf: Self.twoMebibytes, added: pools(before), to: pools(after))
        }
        #expect(added(3, 5, 5) == 0 && added(3, 6, 6) == 1 && added(3, 4, 4) == 1 && added(3, 5, 6) == nil)
    }

    @Test("A page that was changing stays one that was changing")
    func changing() throws {
        let text = Recordings.linux6_18.split(separator: "\n").filter { !$0.hasPrefix("ffff") }.joined(separator: "\n")
        let pages = text.replacing("page 4a3a00 2097152", with: "page 4a3a00 2097152\nchanging")
            .replacing("page 4a4a00 2097152", with: "page 4a4a00 2097152\nchanging")
        let count = try count(pages, .on)
        #expect(count.changing == 2 && count.optimized == 0 && count.framesFreed == 0 && count.contradicted == nil)
        #expect(try KernelRecording(text: KernelRecording(text: pages).text) == KernelRecording(text: pages))
    }

    // MARK: Hostile ones

    static let refused: [(String, String, Int)] = [
        ("vmemmap-kernel-recording 1", "vmemmap-kernel-recording 2", 1),
        ("levels 4", "levels 6", 14), ("levels 4", "levels 4 4", 14), ("levels 4", "levels -4", 14),
        ("levels 4", "", 14), ("struct-page 64 8", "struct-page 0 8", 14),
        ("struct-page 64 8", "struct-page 64 60", 14), ("page-type 48 244", "page-type 50 244", 14),
        ("page-type 48 244", "page-type 48 256", 14), ("optimized-flag 40 4", "optimized-flag 40 64", 14),
        ("address-mask 0000", "address-mask f000", 14), ("root ffff", "root ffffffff1", 14),
        ("levels 4", "root 1", 4), ("look off", "look of", 14), ("look on", "look off", 27),
        ("pool 2097152 2", "pool 2097152 -2", 15), ("pool 2097152 2", "pool 9223372036854775807 2", 15),
        ("page 4a3a00 2097152", "page 4a3a01 2097152", 17), ("page 4a3a00 2097152", "page 4a3a00 4096", 17),
        ("page 4a3a00 2097152", "page ffffffffffffffff 2097152", 17), ("page 4a3a00 2097152", "page", 17),
        ("63ffcb067", "63ffcb067*4161", 18), ("63ffcb067", "63ffcb067*9999999999999999999", 18),
        ("63ffcb067", "63ffcb067*-1", 18), ("63ffcb067", "63ffcb067*", 18), ("63ffcb067", "11112222333344445", 18),
        ("63ffcb067", "+1", 18), ("ffff88811b256ea0 ", "ffff88811b256ea4 ", 18), ("ffff88811b256ea0", "words", 18),
        ("80000006396001e3", "1*2 1\nffff88863ffca4a8 1", 20), ("look off", "look off\nchanging", 15),
        ("found direct map:", "found", 12), ("page-type 48 244", "page-type 48 255", 14),
        ("kernel Linux", "kernel \u{1b}[2J", 2), ("kernel Linux", "kernel \u{e9}", 2), ("(BTF);", "\u{7f};", 11),
        ("63ffcb067", "63ffcb067*62", 21), ("page 4a4a00 2097152", "page 4a3a00 2097152", 22),
        ("page 4a4a00 2097152", "page 4a3800 2097152", 22), ("look on", "end\nlook on", 28),
    ]

    @Test("What is no recording is refused with its line", arguments: refused)
    func refusals(old: String, new: String, line: Int) throws {
        let range = try #require(Recordings.linux6_18.firstRange(of: old))
        let text = Recordings.linux6_18.replacingCharacters(in: range, with: new)
        let error = #expect(throws: KernelMemoryError.self) { try KernelRecording(text: text) }
        guard case .recording(line, _)? = error else {
            Issue.record("not line \(line): \(error?.description ?? "")")
            return
        }
    }

    @Test("A recording of which the end is missing is refused")
    func truncated() {
        let bytes = Array(Recordings.linux6_18.utf8)
        for length in stride(from: 0, to: bytes.count - 1, by: 3) {
            let text = String(decoding: bytes.prefix(length), as: UTF8.self)
            #expect(throws: KernelMemoryError.self, "\(length) bytes") { try KernelRecording(text: text) }
        }
        #expect(throws: KernelMemoryError.self) {
            try KernelRecording(text: Recordings.linux6_18.replacing("end\n", with: ""))
        }
    }

    @Test("Words are limited in all, over all pages and looks")
    func allWords() throws {
        let words = try KernelRecording(text: Recordings.linux6_18).looks.flatMap(\.pages).compactMap(\.words)
        let count = words.reduce(0) { $0 + $1.words.count }
        _ = try KernelRecording(text: Recordings.linux6_18, mostWords: count)
        #expect(throws: KernelMemoryError.recording(line: 41, "too many words in all")) {
            try KernelRecording(text: Recordings.linux6_18, mostWords: count - 1)
        }
    }

    @Test("No recording is written that would not be read again")
    func writingWithinLimits() throws {
        let recording = try KernelRecording(text: Recordings.linux6_18)
        #expect(try recording.textWithinLimits() == Recordings.linux6_18)
        let pages = (0...UInt64(1 << 16)).map {
            KernelRecording.Page(pfn: $0 * 512, size: Self.twoMebibytes, words: nil)
        }
        let large = KernelRecording(
            kernel: "", layout: recording.layout, looks: [.init(kind: .existing, pools: [], pages: pages)])
        let error = #expect(throws: KernelMemoryError.self) { try large.textWithinLimits() }
        #expect(error?.description.contains("65537 huge pages: at most 65536") == true, "\(error?.description ?? "")")
    }

    @Test("Any damage gives a recording or an error")
    func damage() throws {
        var generator = SeededGenerator(seed: 17)
        let bytes = Array(Recordings.linux6_18.utf8)
        for _ in 0..<2000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(
                    in: 10...127, using: &generator)
            }
            let cut = damaged.prefix(Int.random(in: 0...damaged.count, using: &generator))
            guard let recording = try? KernelRecording(text: String(decoding: cut, as: UTF8.self)) else { continue }
            for kind in recording.kinds { _ = try? recording.look(kind) }
            #expect(try KernelRecording(text: recording.text) == recording)
        }
    }

    @Test("A file larger than any recording is refused before it is read through")
    func bounds() {
        #expect(throws: KernelMemoryError.recording(line: 1, "more than 32 MiB")) {
            try KernelRecording(text: String(repeating: "a", count: 32 << 20 + 1))
        }
    }
}

extension KernelRecording {
    /// The same with other page tables.
    func with(
        levels: Int? = nil, root: KernelAddress? = nil, addressMask: UInt64? = nil, adding words: [UInt64: UInt64] = [:]
    ) -> KernelRecording {
        let tables = KernelPageTables(
            levels: levels ?? layout.tables.levels, root: root ?? layout.tables.root,
            directMap: layout.tables.directMap,
            addressMask: addressMask ?? layout.tables.addressMask)
        let layout = KernelLayout(
            tables: tables, vmemmap: layout.vmemmap, structPageBytes: layout.structPageBytes,
            headOffset: layout.headOffset, hugeTLBType: layout.hugeTLBType, optimizedFlag: layout.optimizedFlag,
            evidence: layout.evidence)
        let looks = looks.map { look in
            let pages = look.pages.map { page in
                Page(
                    pfn: page.pfn, size: page.size,
                    words: page.words.map { RecordedWords(words: $0.words.merging(words) { $1 }) })
            }
            return Look(kind: look.kind, pools: look.pools, pages: pages)
        }
        return KernelRecording(kernel: kernel, layout: layout, looks: looks)
    }
}

extension String {
    fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        self[..<range.lowerBound] + text + self[range.upperBound...]
    }
}

/// SplitMix64: the same numbers from the same seed, on every host.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}
