import FuzzSupport
import SystemPackage

@testable import HostMemory
@testable import KernelMemory

// Any bytes as a recording, BTF, notes of an ELF file and its headers: none may trap or go on without end, and a
// recording that is accepted prints as one that reads the same.

@main
enum KernelMemoryFuzz {
    private static let seeds = [
        """
        vmemmap-kernel-recording 1
        kernel Linux 6.18.44 x86_64
        levels 4
        root ffff88811b256000
        direct-map ffff888000000000
        address-mask 0000fffffffff000
        vmemmap ffffea0000000000
        struct-page 64 8
        page-type 48 244
        optimized-flag 40 4
        found vmemmap: 0xffffea0000000000: vmemmap (VMCOREINFO); mem_section (VMCOREINFO)
        look off
        pool 2097152 2
        page 4a3a00 2097152
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 80000006396001e3
        ffff88863ffcb000 63ffca067
        ffffea00128e8028 8
        look on
        page 4a3a00 2097152
        ffff888102b1e740 800000019593b163 800000019593b121*7
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 102b1e067
        ffff88863ffcb000 63ffca067
        ffffea00128e8028 18
        page 4a4a00 2097152
        changing
        end

        """,
        "SYMBOL(vmemmap)=ffffea0000000000\nNUMBER(phys_base)=-5\nSIZE(page)=64\nOFFSET(page.private)=40\n",
        "0x0000000100c66000 1024\n", "flags : fpu la57\naddress sizes : 46 bits physical\n",
        "  spanned 4095\n  start_pfn: 1\n", btf,
    ]

    /// A structure with one member, and an enumeration, after a word in the place of the magic, which is no text:
    /// ``types(_:)`` puts it there.
    private static let btf: String = {
        func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
        let types: [UInt32] = [0, 1 << 24, 8, 64, 1, 4 << 24 | 1, 64, 6, 1, 0, 1, 6 << 24 | 1, 4, 6, 7]
        let header: [UInt32] = [0x2046_5442, 24, 0, UInt32(types.count * 4), UInt32(types.count * 4), 12]
        let file = (header + types).flatMap(bytes) + Array("\0page\0flags\0".utf8)
        return String(decoding: file, as: UTF8.self)
    }()

    static func main() { unsafe FuzzSupport.run(seeds: seeds) { unsafe test($0, $1) } }
}

/// One input. libFuzzer's archive wants it by this name, too.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // SAFETY: libFuzzer's own buffer, as long as it says.
    let input = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    let text = unsafe FuzzSupport.text(bytes, count)
    recording(text)
    types(input)
    kernelText(text, input)
    headers(input)
    return 0
}

private func recording(_ text: String) {
    guard let recording = try? KernelRecording(text: text) else { return }
    for kind in recording.kinds {
        guard let look = try? recording.look(kind) else { continue }
        for size in HugePageReader.sizes {
            let count = look.count(of: size)
            let known = count.optimized + count.split + count.whole + count.other + count.changing
            FuzzSupport.require(known == count.pages && count.framesFreed >= 0, "\(count)")
        }
    }
    FuzzSupport.require((try? KernelRecording(text: recording.text)) == recording, recording.text)
}

private func types(_ bytes: [UInt8]) {
    // The header is not found by chance.
    let magic: [UInt8] = [0x9f, 0xeb, 1, 0]
    for file in [bytes, magic + bytes.dropFirst(4)] {
        guard let btf = try? BTF(file) else { continue }
        if let offset = btf.offset(of: "flags", in: "page") { FuzzSupport.require(offset >= 0, "\(offset)") }
        _ = btf.offset(of: "none", in: "page")
        _ = btf.size(of: "page")
        _ = btf.value(of: "flags", in: "page")
    }
}

private func kernelText(_ text: String, _ bytes: [UInt8]) {
    let info = VMCoreInfo(text)
    _ = [info.number("phys_base"), info.size("page"), info.offset("page.private")]
    if let note = VMCoreInfo.text(inNotes: bytes) { FuzzSupport.require(note.utf8.count <= 3 * bytes.count, note) }
    if let place = LayoutHints.NotePlace(text) { FuzzSupport.require(place.length > 0, text) }
    var hints = LayoutHints()
    hints.take(cpuinfo: text)
    hints.take(zoneinfo: text)
    FuzzSupport.require((32...52).contains(hints.physicalBits) && hints.endFrame < 1 << 41, "\(hints)")
}

private func headers(_ bytes: [UInt8]) {
    var words: [UInt64] = []
    for start in stride(from: 0, to: bytes.count - 7, by: 8) {
        var word: UInt64 = 0
        for index in 0..<8 { word |= UInt64(bytes[start + index]) << UInt64(8 * index) }
        words.append(word)
    }
    _ = try? CoreFile.programHeaders(words)
    let core = CoreFile(programHeaders: words)
    for segment in core.segments.prefix(16) {
        if let offset = core.offset(of: segment.address, length: 8) {
            FuzzSupport.require(core.segments.contains { offset >= $0.offset }, "\(offset)")
        }
    }
    if let base = core.directMap { FuzzSupport.require(base.rawValue.isMultiple(of: 1 << 30), "\(base)") }
}
