import HostMemory
import Testing

@testable import KernelMemory

/// A kernel that is made up, with everything that the search looks for.
private struct SearchedKernel {
    static let ownAddress: UInt64 = 0x7f12_3456_7000
    static let ownFrame: UInt64 = 0x3_0123
    static let taskFrame: UInt64 = 0x200
    static let noteFrame: UInt64 = 0x210
    static let stack = KernelAddress(0xffff_c900_0123_0000)

    var kernel: FakeKernel
    var hints = LayoutHints()
    var text: String

    private static var random: [UInt64] {
        var generator = SeededGenerator(seed: 1)
        return (0..<512).map { _ in generator.next() }
    }

    init(levels: Int = 4, encryption: UInt64 = 0) {
        kernel = FakeKernel(levels: levels)
        kernel.encryption = encryption
        let base = kernel.directMap
        let words = Self.random
        kernel.map(KernelAddress(Self.ownAddress), Self.ownFrame << 12 | 0x67)
        for (index, word) in words.enumerated() { kernel[physical: Self.ownFrame << 12 + UInt64(index * 8)] = word }
        // task: mm at 8, stack at 16, stack_vm_area at 24; mm: pgd at 0; vm_struct: pages at 32.
        let task = base + Self.taskFrame << 12
        let (space, area, pages) = (task + 0x100, task + 0x200, task + 0x300)
        kernel[task + 8] = space.rawValue
        kernel[task + 16] = Self.stack.rawValue
        kernel[task + 24] = area.rawValue
        kernel[space] = (base + kernel.root << 12).rawValue
        kernel[area + 32] = pages.rawValue
        for index: UInt64 in 0..<4 {
            let frame = 0x500 + index * 7
            kernel.map(Self.stack + index << 12, frame << 12 | 0x63)
            kernel[pages + index * 8] = (kernel.vmemmap + frame * 64).rawValue
        }
        // mem_section: a root, and in it the first section.
        kernel[task + 0x400] = (task + 0x500).rawValue
        kernel[task + 0x500] = kernel.vmemmap.rawValue | 0xf
        // The struct page of our page has its index.
        kernel.map(kernel.vmemmap, 0x4000_0000 | 0x8000_0000_0000_00e3, level: 1)
        kernel[kernel.vmemmap + Self.ownFrame * 64 + 32] = Self.ownAddress >> 12
        // The kernel's own root has the same upper half; _stext lies where phys_base says.
        let image = KernelAddress(0xffff_ffff_8100_0000)
        kernel.map(image, 0x200_0000 | 0xe3, level: 1)
        for word in 256..<512 {
            let swapper = KernelAddress(0xffff_ffff_8304_8000) + UInt64(word * 8)
            kernel[swapper] = kernel[physical: kernel.root << 12 + UInt64(word * 8)] ?? 0
        }
        text = """
            SYMBOL(swapper_pg_dir)=ffffffff83048000
            SYMBOL(vmemmap)=\(String(kernel.vmemmap.rawValue, radix: 16))
            SYMBOL(mem_section)=\(String((task + 0x400).rawValue, radix: 16))
            SYMBOL(_stext)=ffffffff81000000
            NUMBER(phys_base)=16777216
            NUMBER(pgtable_l5_enabled)=\(levels == 5 ? 1 : 0)
            SIZE(page)=64
            OFFSET(page.mapping)=24
            OFFSET(page.private)=40
            OFFSET(page.compound_head)=8
            OFFSET(page._mapcount)=48
            NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-184549377

            """
        hints.hasFiveLevels = levels == 5
        hints.endFrame = 0x10_0000
        hints.task = task
        hints.ownPage = .init(address: Self.ownAddress, words: words, frame: Self.ownFrame)
        hints.btf = try? BTF(Self.btf.file)
    }

    static var btf: BTFBuilder {
        var btf = BTFBuilder()
        btf.add(1, "long", sizeOrType: 8, rest: [0x40])
        btf.structure("task_struct", [("mm", 1, 64), ("stack", 1, 128), ("stack_vm_area", 1, 192)])
        btf.structure("mm_struct", [("pgd", 1, 0)])
        btf.structure("vm_struct", [("pages", 1, 256)])
        btf.structure("page", [("compound_head", 1, 64), ("private", 1, 320)])
        btf.structure("folio", [("index", 1, 256)])
        btf.add(6, "hugetlb_page_flags", count: 1, sizeOrType: 4, rest: [btf.name("HPG_vmemmap_optimized"), 4])
        return btf
    }

    /// Puts the text where the kernel keeps its note, and says so.
    mutating func publish() {
        var bytes = ParserTests.note("VMCOREINFO", text)
        hints.notePlace = .init("0x\(String(Self.noteFrame << 12, radix: 16)) \(String(bytes.count, radix: 16))")
        bytes += Array(repeating: 0, count: 8 - bytes.count % 8)
        for start in stride(from: 0, to: bytes.count, by: 8) {
            let word = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << (8 * UInt64($1)) }
            kernel[physical: Self.noteFrame << 12 + UInt64(start)] = word
        }
    }

    func find() throws(KernelMemoryError) -> KernelLayout {
        try LayoutSearch(reader: kernel.memory, hints: hints).find()
    }

    /// The error of a search; nil if there is none.
    func refusal() -> KernelMemoryError? {
        do throws(KernelMemoryError) { _ = try find() } catch { return error }
        return nil
    }
}

/// The search for page tables, direct map and vmemmap in kernels that are made up.
struct LayoutSearchTests {
    private func kernel(
        levels: Int = 4, encryption: UInt64 = 0, _ change: (inout SearchedKernel) -> Void = { _ in }
    ) -> SearchedKernel {
        var kernel = SearchedKernel(levels: levels, encryption: encryption)
        change(&kernel)
        if kernel.hints.notePlace == nil { kernel.publish() }
        return kernel
    }

    /// What a search says it found by how many ways.
    private func ways(_ layout: KernelLayout) -> [Int] { layout.evidence.map(\.ways.count) }

    @Test("Everything is found, by every way", arguments: [4, 5])
    func all(levels: Int) throws {
        let searched = kernel(levels: levels)
        let layout = try searched.find()
        #expect(layout.tables.root == searched.kernel.directMap + searched.kernel.root << 12)
        #expect(layout.tables.levels == levels && layout.tables.directMap == searched.kernel.directMap)
        #expect(layout.vmemmap == searched.kernel.vmemmap && layout.structPageBytes == 64 && layout.headOffset == 8)
        #expect(
            layout.hugeTLBType == .init(offset: 48, value: 0xf4) && layout.optimizedFlag == .init(offset: 40, bit: 4))
        #expect(ways(layout) == [4, 3, 4])
    }

    @Test("Without pagemap's frames (CAP_BPF and CAP_PERFMON alone)")
    func withoutFrames() throws {
        let searched = kernel {
            $0.hints.ownPage = .init(
                address: SearchedKernel.ownAddress, words: $0.hints.ownPage?.words ?? [], frame: nil)
        }
        #expect(ways(try searched.find()) == [3, 2, 4])
    }

    @Test("Without BTF, by pagemap and VMCOREINFO")
    func withoutBTF() throws {
        let searched = kernel { $0.hints.btf = nil }
        let layout = try searched.find()
        #expect(layout.tables.root == KernelAddress(0xffff_ffff_8304_8000) && layout.optimizedFlag == nil)
        #expect(ways(layout) == [2, 2, 3])
    }

    @Test("Without VMCOREINFO, by BTF")
    func withoutInfo() throws {
        let btf = try BTF(SearchedKernel.btf.file)
        var searched = SearchedKernel()
        searched.hints.btf = btf
        // The size of struct page is BTF's then.
        let layout = try searched.find()
        #expect(ways(layout) == [2, 2, 2] && layout.hugeTLBType == nil)
    }

    @Test("By the headers of /proc/kcore")
    func kcore() throws {
        let searched = kernel {
            $0.hints.task = nil
            $0.hints.directMap = $0.kernel.directMap
            $0.hints.info = VMCoreInfo($0.text)
        }
        #expect(ways(try searched.find()) == [2, 3, 3])
    }

    @Test(
        "The bit of memory encryption is taken from VMCOREINFO, with pagemap's frames and without",
        arguments: [true, false])
    func encryption(hasFrames: Bool) throws {
        let searched = kernel(encryption: 1 << 45) {
            $0.text += "NUMBER(sme_mask)=\(1 << 45)\n"
            guard !hasFrames else { return }
            $0.hints.ownPage = .init(
                address: SearchedKernel.ownAddress, words: $0.hints.ownPage?.words ?? [], frame: nil)
        }
        let layout = try searched.find()
        #expect(layout.tables.addressMask >> 45 & 1 == 0)
        #expect(ways(layout) == (hasFrames ? [4, 3, 4] : [3, 2, 4]))
    }

    @Test(
        "The type of a HugeTLB page by kernel: none where its top byte is that of pages without a type",
        arguments: [(-2049, nil), (-67_108_865, 0xfb), (-184_549_377, 0xf4)])
    func pageType(value: Int, top: UInt8?) throws {
        let searched = kernel { $0.text = $0.text.replacing("-184549377", with: "\(value)") }
        #expect(try searched.find().hugeTLBType?.value == top)
    }

    @Test("BTF of a form that is not known is left out")
    func unknownBTF() {
        var hints = LayoutHints()
        hints.take(btf: SearchedKernel.btf.file)
        #expect(hints.btf != nil)
        hints.take(btf: Array("BTF".utf8))
        #expect(hints.btf == nil)
    }

    @Test("Ways that disagree stop it")
    func disagreements() {
        func isDisagreement(_ what: String, _ change: @escaping (inout SearchedKernel) -> Void) -> Bool {
            guard case .disagreement(what, _)? = kernel(change).refusal() else { return false }
            return true
        }
        func replace(_ old: String, _ new: String) -> (inout SearchedKernel) -> Void {
            { $0.text = $0.text.replacing(old, with: new) }
        }
        #expect(isDisagreement("vmemmap", replace("(vmemmap)=ffffea00", "(vmemmap)=ffffea10")))
        #expect(isDisagreement("vmemmap") { $0.kernel[$0.kernel.directMap + 0x20_0500] = 0xffff_ea10_8000_000f })
        #expect(isDisagreement("vmemmap") { $0.kernel[$0.kernel.vmemmap + SearchedKernel.ownFrame * 64 + 32] = 5 })
        #expect(
            isDisagreement("vmemmap") { searched in
                for index: UInt64 in 0..<4 {
                    let place = searched.kernel.directMap + 0x20_0300 + index * 8
                    searched.kernel[place] = (searched.kernel[place] ?? 0) + 1 << 30
                }
            })
        #expect(isDisagreement("page table root", replace("phys_base)=16777216", "phys_base)=0")))
        #expect(
            isDisagreement("page table root") {
                let index = $0.kernel.vmemmap.rawValue >> 39 & 511
                $0.kernel[KernelAddress(0xffff_ffff_8304_8000) + index * 8] = 0x5067
            })
        #expect(isDisagreement("levels of page tables", replace("l5_enabled)=0", "l5_enabled)=1")))
        #expect(
            isDisagreement("size of struct page") {
                $0.text = $0.text.replacing("SIZE(page)=64", with: "SIZE(page)=56")
            })
        #expect(isDisagreement("direct map") { $0.hints.notePlace = .init("0x5000 1024") })
        #expect(
            isDisagreement("direct map") {
                $0.hints.directMap = $0.kernel.directMap + 1 << 30
            })
        #expect(
            isDisagreement("direct map") {
                $0.kernel.map(KernelAddress(SearchedKernel.ownAddress), 0x500 << 12 | 0x67)
            })
    }

    @Test("One way alone is not enough")
    func tooFewWays() {
        func isNotFound(_ what: String, _ change: @escaping (inout SearchedKernel) -> Void) -> Bool {
            guard case .notFound(what, _)? = kernel(change).refusal() else { return false }
            return true
        }
        #expect(isNotFound("direct map") { $0.hints.ownPage = nil })
        #expect(isNotFound("direct map") { $0.hints.endFrame = 0 })
        #expect(
            isNotFound("vmemmap") {
                $0.text = $0.text.replacing("SYMBOL(vmemmap)", with: "A").replacing("SYMBOL(mem_section)", with: "B")
                $0.hints.btf = nil
            })
        #expect(
            isNotFound("page table root") {
                $0.hints.btf = nil
                $0.text = $0.text.replacing("SYMBOL(_stext)", with: "A")
            })
        #expect(
            isNotFound("size of struct page") {
                $0.hints.btf = nil
                $0.text = $0.text.replacing("SIZE(page)", with: "A")
            })
    }

    @Test("No candidate for the direct map lies above what is known to lie in it")
    func readsUpwards() throws {
        let searched = kernel()
        let reader = HighestReader(searched.kernel.memory)
        _ = try LayoutSearch(reader: reader, hints: searched.hints).find()
        // The first reads are the search's for the direct map: below the vmalloc area, but for the task's own
        // structures.
        let vmalloc = KernelAddress(0xffff_c900_0000_0000)
        let first = reader.addresses.prefix { $0 < vmalloc }
        #expect(first.count > 3 && first.allSatisfy { $0 <= searched.kernel.directMap + 0x10_0000 << 12 })
    }

    // MARK: Huge pages

    /// Struct pages of a huge page: the head, and tails that lead to it as `tail` says.
    private func hugePage(
        at pfn: UInt64 = 1 << 18, frames: UInt64, tail: (UInt64) -> UInt64, type: UInt64 = 0xf400_0000,
        mapped entry: UInt64 = 0x4000_00e3
    ) -> (HugePageReader, UInt64) {
        var kernel = FakeKernel()
        kernel.map(kernel.vmemmap, entry, level: 2)
        let head = kernel.vmemmap + pfn * 64
        // As many as are asked for: the head, the one after it, and the last ones.
        for index in [0, 1, 511, frames - 1] {
            for word: UInt64 in 0..<8 { kernel[head + index * 64 + word * 8] = 0 }
            if index > 0 { kernel[head + index * 64 + 8] = tail(head.rawValue) }
        }
        kernel[head + 48] = type
        let layout = KernelLayout(
            tables: kernel.tables, vmemmap: kernel.vmemmap, structPageBytes: 64, headOffset: 8,
            hugeTLBType: .init(offset: 48, value: 0xf4), optimizedFlag: nil, evidence: [])
        return (HugePageReader(reader: kernel.memory, layout: layout), pfn)
    }

    @Test("A huge page is told by its head and its tails: by pointer, and by mask")
    func heads() throws {
        let (two, pfn) = hugePage(frames: 512) { $0 + 1 }
        #expect(try two.hugePage(at: pfn) == .mebibytes(2))
        #expect(try two.hugePage(at: pfn, isHugeTLB: false) == nil)
        #expect(try hugePage(frames: 1 << 18) { $0 + 1 }.0.hugePage(at: pfn) == .gibibytes(1))
        #expect(try hugePage(frames: 512) { _ in 0xffff_ffff_ffff_8001 }.0.hugePage(at: pfn) == .mebibytes(2))
        #expect(try hugePage(frames: 1 << 18) { _ in 0xffff_ffff_ff00_0001 }.0.hugePage(at: pfn) == .gibibytes(1))
    }

    @Test("A fake head, another kind of page and no tail are no huge page")
    func fakeHeads() throws {
        let pfn: UInt64 = 1 << 18
        // What follows it leads to a head further down.
        #expect(try hugePage(frames: 512) { $0 - 32768 + 1 }.0.hugePage(at: pfn) == nil)
        #expect(try hugePage(frames: 512) { _ in 0 }.0.hugePage(at: pfn) == nil)
        #expect(try hugePage(frames: 512, tail: { $0 + 1 }, type: 0xf500_0000).0.hugePage(at: pfn) == nil)
        #expect(try hugePage(frames: 512, tail: { $0 + 1 }, type: .max).0.hugePage(at: pfn) == nil)
    }

    @Test("The huge page around a frame: a hole where a larger one would begin hides none")
    func containing() throws {
        func found(_ reader: HugePageReader, _ pfn: UInt64) throws -> UInt64? {
            try reader.hugePage(containing: pfn, below: 1 << 20) { _ in nil }?.pfn
        }
        let first: UInt64 = 1 << 18
        let (two, gigantic) = (hugePage(frames: 512) { $0 + 1 }.0, hugePage(frames: 1 << 18) { $0 + 1 }.0)
        #expect(try found(two, first) == first && found(two, first + 511) == first && found(two, first + 512) == nil)
        #expect(try found(gigantic, first + 70000) == first)
        #expect(try found(hugePage(at: first + 512, frames: 512) { $0 + 1 }.0, first + 513) == first + 512)
    }

    @Test("Beyond memory, and where no memory is mapped, no struct page is read", arguments: [0, 0x4000_00f3])
    func beyond(entry: UInt64) throws {
        let (words, pfn) = hugePage(frames: 512, tail: { $0 + 1 }, mapped: entry)
        let reader = HighestReader(words.reader)
        let pages = HugePageReader(reader: reader, layout: words.layout)
        #expect(try pages.hugePage(containing: pfn, below: pfn) { _ in nil } == nil)
        #expect(reader.addresses.isEmpty)
        #expect(try pages.hugePage(containing: pfn, below: pfn + 1) { _ in nil } == nil)
        #expect(!reader.addresses.isEmpty && reader.addresses.allSatisfy { $0 < words.layout.vmemmap })
    }

    @Test("A huge page that is none any more after a walk is changing", arguments: [1, 2])
    func freed(times: Int) throws {
        let recording = try KernelRecording(text: Recordings.linux6_18)
        let page = recording.looks[1].pages[0]
        let reader = HugePageReader(reader: try #require(page.words), layout: recording.layout)
        var asked = 0
        let look = try reader.look(pfn: page.pfn, size: page.size) {
            asked += 1
            return asked < times
        }
        #expect(look == .changing(pfn: page.pfn, size: page.size) && asked == times)
    }

    @Test("What is read beside a walk is not kept")
    func notKept() throws {
        let beside = RecordedWords(words: [8: 1, 16: 2])
        let reader = KeepingReader(beside)
        _ = try reader.word(at: KernelAddress(8))
        #expect(try beside.word(at: KernelAddress(16)) == 2)
        #expect(reader.kept.words == [8: 1])
    }

    @Test("A huge page that never holds still is changing; one that does in the end is not")
    func changing() throws {
        let recording = try KernelRecording(text: Recordings.linux6_18)
        let page = recording.looks[1].pages[0]
        let words = try #require(page.words)
        let tail = KernelAddress(0xffff_8881_02b1_e740) + 8
        func look(changes: Int) throws -> HugePageLook {
            let reader = RestlessReader(words, at: tail, changes: changes)
            return try HugePageReader(reader: reader, layout: recording.layout).look(pfn: page.pfn, size: page.size)
        }
        #expect(try look(changes: 0).view?.state == .optimized(.head))
        #expect(try look(changes: 3).view?.state == .optimized(.head))
        #expect(try look(changes: 4) == .changing(pfn: page.pfn, size: page.size))
        #expect(try look(changes: 100) == .changing(pfn: page.pfn, size: page.size))
    }
}

/// Notes where it is asked to read.
private final class HighestReader: KernelReader {
    private let reader: any KernelReader
    private(set) var addresses: [KernelAddress] = []

    init(_ reader: any KernelReader) { self.reader = reader }

    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64] {
        addresses.append(address)
        return try reader.words(at: address, count: count)
    }
}

/// Shows another entry at an address each time it is read, so many times.
private final class RestlessReader: KernelReader {
    private let reader: RecordedWords
    private let place: KernelAddress
    private var left: Int

    init(_ reader: RecordedWords, at place: KernelAddress, changes: Int) {
        self.reader = reader
        self.place = place
        left = changes
    }

    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64] {
        var words = try reader.words(at: address, count: count)
        if left > 0, place.rawValue >= address.rawValue, place.rawValue < (address + UInt64(count * 8)).rawValue {
            words[Int(place.rawValue - address.rawValue) / 8] ^= UInt64(left) << 12
            left -= 1
        }
        return words
    }
}
