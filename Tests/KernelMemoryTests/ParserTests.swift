import HostMemory
import SystemPackage
import Testing

@testable import KernelMemory

/// Texts and headers that the kernel writes.
struct ParserTests {
    private static let info = """
        OSRELEASE=6.18.44
        SYMBOL(swapper_pg_dir)=ffffffff83048000
        NUMBER(VMALLOC_START)=0xffffc90000000000
        NUMBER(pgtable_l5_enabled)=0
        NUMBER(phys_base)=-16777216
        NUMBER(sme_mask)=140737488355328
        NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-184549377
        SIZE(page)=64
        OFFSET(page.compound_head)=8
        OFFSET(page.private)=-1
        no value
        =
        """

    @Test("VMCOREINFO's symbols, numbers, sizes and offsets")
    func vmcoreinfo() {
        let info = VMCoreInfo(Self.info)
        #expect(info.symbol("swapper_pg_dir") == KernelAddress(0xffff_ffff_8304_8000) && info.symbol("vmemmap") == nil)
        #expect(info.number("pgtable_l5_enabled") == 0 && info.number("sme_mask") == 1 << 47)
        #expect(info.number("phys_base") == -0x100_0000 && info.number("none") == nil)
        #expect(info.number("VMALLOC_START").map { UInt64(bitPattern: Int64($0)) } == 0xffff_c900_0000_0000)
        #expect(info.size("page") == 64 && info.offset("page.compound_head") == 8 && info.offset("page.private") == nil)
    }

    /// One ELF note.
    static func note(_ name: String, _ text: String) -> [UInt8] {
        func number(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
        func padded(_ bytes: [UInt8]) -> [UInt8] { bytes + Array(repeating: 0, count: (4 - bytes.count % 4) % 4) }
        let name = Array(name.utf8) + [0]
        return number(name.count) + number(text.utf8.count) + number(0) + padded(name) + padded(Array(text.utf8))
    }

    @Test("Its note is found among others, and not taken from what is cut off")
    func notes() {
        let notes = Self.note("CORE", "abc") + Self.note("VMCOREINFO", "SIZE(page)=64\n")
        #expect(VMCoreInfo.text(inNotes: notes) == "SIZE(page)=64\n")
        #expect(VMCoreInfo.text(inNotes: Self.note("VMCOREINFOS", "a")) == nil)
        for length in 0..<notes.count - 4 { #expect(VMCoreInfo.text(inNotes: Array(notes.prefix(length))) == nil) }
        #expect(VMCoreInfo.text(inNotes: Array(repeating: 0xff, count: 64)) == nil)
    }

    @Test("/sys/kernel/vmcoreinfo")
    func notePlace() {
        let place = LayoutHints.NotePlace("0x0000000100c66000 1024\n")
        #expect(place?.address == 0x1_00c6_6000 && place?.length == 0x1024)
        for text in ["", "0x1000", "0x1000 20000", "0x1001 1024", "fffffffffffff000 1024", "0x1000 0", "a b c"] {
            #expect(LayoutHints.NotePlace(text) == nil, "\(text)")
        }
    }

    @Test("/proc/cpuinfo and /proc/zoneinfo")
    func processorAndZones() {
        var hints = LayoutHints()
        hints.take(
            cpuinfo: "processor : 0\nflags\t\t: fpu vme la57 x\naddress sizes\t: 40 bits physical, 57 bits virtual\n")
        #expect(hints.hasFiveLevels && hints.physicalBits == 40)
        hints.take(cpuinfo: "flags : fpu la577\naddress sizes : 99 bits physical\n")
        #expect(!hints.hasFiveLevels && hints.physicalBits == 40)
        hints.take(
            zoneinfo: """
                Node 0, zone      DMA
                        spanned  4095
                  start_pfn:           1
                Node 0, zone   Normal
                        spanned  5505024
                  start_pfn:           1048576
                Node 0, zone  Movable
                        spanned  0
                  start_pfn:           99999999
                Node 1, zone  Device
                        spanned  18446744073709551615
                """)
        #expect(hints.endFrame == 1_048_576 + 5_505_024)
    }

    @Test("Where reading is not possible, and what would allow it")
    func support() throws {
        #expect(throws: KernelMemoryError.xenPV) {
            try HostHints.checkSupport(hypervisor: "xen\n", guestType: "PV\n", lockdown: nil, meminfo: nil)
        }
        #expect(throws: KernelMemoryError.lockdown) {
            try HostHints.checkSupport(
                hypervisor: nil, guestType: nil, lockdown: "none integrity [confidentiality]\n", meminfo: nil)
        }
        let unaccepted = #expect(throws: KernelMemoryError.self) {
            try HostHints.checkSupport(
                hypervisor: nil, guestType: nil, lockdown: nil,
                meminfo: "MemTotal:  1024 kB\nUnaccepted:     2048 kB\n")
        }
        #expect(unaccepted?.isUnavailable == true)
        try HostHints.checkSupport(
            hypervisor: "xen\n", guestType: "HVM\n", lockdown: "none [integrity] confidentiality\n",
            meminfo: "MemTotal:  1024 kB\nUnaccepted:        0 kB\n")
        // BPF_PROG_RUN of a kind of program that cannot be run by hand.
        #expect(KernelMemoryError.host(HostError(Errno(rawValue: 524), .bpf, .process)).isUnavailable)
        let unavailable: [KernelMemoryError] = [
            .otherArchitecture("aarch64"), .xenPV, .lockdown, .notPermitted(refusal: "EPERM"),
            .noSource(bpf: "ENOSYS", kcore: "ENOENT"), .notFound("vmemmap", ways: []),
        ]
        for error in unavailable { #expect(error.isUnavailable && error.remedy != nil, "\(error)") }
        for error: KernelMemoryError in [.unreadable(KernelAddress(8)), .malformed("BTF"), .recording(line: 1, "a")] {
            #expect(!error.isUnavailable && error.remedy == nil, "\(error)")
        }
    }

    // MARK: /proc/kcore

    /// A core file with a segment of the direct map, one of the kernel's image and one of vmalloc, and a note.
    static func core(offset: UInt64 = 4096) -> [UInt64] {
        let note = LittleEndianNote.words(note("VMCOREINFO", "SIZE(page)=64\n"))
        func segment(_ type: UInt64, _ offset: UInt64, _ address: UInt64, _ physical: UInt64, _ length: UInt64)
            -> [UInt64]
        {
            [type | 4 << 32, offset, address, physical, length, length, 4096]
        }
        var words: [UInt64] = [0x01_0102_464c_457f, 0, 4 | 62 << 16 | 1 << 32, 0, 64, 0, 64 << 32 | 56 << 48, 4]
        words += segment(4, 2048, 0, 0, UInt64(note.count * 8))
        words += segment(1, 1 << 40, 0xffff_ffff_8100_0000, 0x100_0000, 0x20_0000)
        words += segment(1, 1 << 41, 0xffff_c900_0000_0000, .max, 0x1000)
        words += segment(1, offset, 0xffff_8880_0000_1000, 0x1000, 4096)
        words += Array(repeating: 0, count: 256 - words.count) + note
        words += Array(repeating: 0, count: 512 - words.count) + (0..<512).map { UInt64($0) }
        return words
    }

    @Test("/proc/kcore: where the direct map begins, what is where, VMCOREINFO")
    func kcore() throws {
        let reader = try KcoreReader(path: try write(Self.core()))
        #expect(reader.headers.directMap == KernelAddress(0xffff_8880_0000_0000) && reader.info?.size("page") == 64)
        #expect(try reader.words(at: KernelAddress(0xffff_8880_0000_1008), count: 3) == [1, 2, 3])
        #expect(try reader.word(at: KernelAddress(0xffff_8880_0000_1ff8)) == 511)
        for address: UInt64 in [
            0, 0xffff_8880_0000_0ff8, 0xffff_8880_0000_2000, 0xffff_ffff_8100_0000, 0xffff_8880_0000_1004,
        ] {
            #expect(throws: KernelMemoryError.unreadable(KernelAddress(address))) {
                try reader.word(at: KernelAddress(address))
            }
        }
    }

    @Test("A file that is no core of this machine's is refused; offsets that overflow lead nowhere")
    func hostileCores() throws {
        for (index, word) in [
            (0, UInt64(0)), (2, 3 | 62 << 16), (2, 4 | 183 << 16), (4, 60), (6, 55 << 48), (7, 0), (7, 0xffff),
            (7, 5000),
        ] {
            var words = Self.core()
            words[index] = word
            #expect(throws: KernelMemoryError.self, "\(index)") { try KcoreReader(path: try write(words)) }
        }
        let words = Self.core(offset: .max - 7)
        let reader = try KcoreReader(path: try write(words))
        #expect(throws: KernelMemoryError.self) { try reader.word(at: KernelAddress(0xffff_8880_0000_1ff8)) }
        #expect(throws: KernelMemoryError.host(HostError(.noSuchFileOrDirectory, .open, .file("/nowhere/kcore")))) {
            try KcoreReader(path: "/nowhere/kcore")
        }
    }

    private func write(_ words: [UInt64]) throws -> FilePath {
        let file = try HostKernel.createMemoryFile(name: "core")
        try HostKernel.write(LittleEndianBytes(words).bytes, to: file, name: "core")
        return FilePath("/proc/self/fd/\(file.rawValue)")
    }
}

private enum LittleEndianNote {
    static func words(_ bytes: [UInt8]) -> [UInt64] {
        let padded = bytes + Array(repeating: 0, count: (8 - bytes.count % 8) % 8)
        return stride(from: 0, to: padded.count, by: 8).map { start in
            (0..<8).reduce(0) { $0 | UInt64(padded[start + $1]) << (8 * UInt64($1)) }
        }
    }
}
