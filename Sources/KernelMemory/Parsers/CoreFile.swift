/// The headers of an ELF core file of x86-64, as /proc/kcore has them. Pure: words in, segments out.
struct CoreFile: Sendable {
    /// Memory of the kernel's, and where it lies in the file.
    struct Segment: Hashable, Sendable {
        let address: KernelAddress
        /// p_paddr; nil where the kernel tells none.
        let physical: UInt64?
        let length: UInt64
        let offset: UInt64
    }

    let segments: [Segment]
    /// Where the notes lie in the file.
    let notes: [(offset: UInt64, length: UInt64)]

    /// The first 8 words of the file: how many words of headers there are, and from which on.
    static func programHeaders(_ start: [UInt64]) throws(KernelMemoryError) -> (first: UInt64, words: Int) {
        guard start.count >= 8, start[0] & 0xff_ffff_ffff_ffff == 0x01_0102_464c_457f else {
            throw .malformed("not an ELF file of 64 bits, least byte first")
        }
        let (type, machine) = (start[2] & 0xffff, start[2] >> 16 & 0xffff)
        guard type == 4, machine == 62 else { throw .malformed("not a core file of x86-64") }
        let (size, count) = (start[6] >> 48, start[7] & 0xffff)
        guard size == 56, count > 0, count < 0xffff, start[4].isMultiple(of: 8), start[4] < 1 << 32 else {
            throw .malformed("\(count) program headers of \(size) bytes")
        }
        return (start[4] / 8, Int(count) * 7)
    }

    /// The program headers, 7 words each.
    init(programHeaders words: [UInt64]) {
        var segments: [Segment] = []
        var notes: [(offset: UInt64, length: UInt64)] = []
        for start in stride(from: 0, through: words.count - 7, by: 7) {
            let header = words[start..<start + 7].map { $0 }
            switch header[0] & 0xffff_ffff {
            case 1:
                let physical = header[3] == .max ? nil : header[3]
                segments.append(
                    Segment(
                        address: KernelAddress(header[2]), physical: physical, length: header[5], offset: header[1]))
            case 4: notes.append((offset: header[1], length: header[4]))
            default: break
            }
        }
        self.segments = segments
        self.notes = notes
    }

    /// Where `length` bytes at an address lie in the file; nil if they are not all in one segment.
    func offset(of address: KernelAddress, length: UInt64) -> UInt64? {
        for segment in segments where address >= segment.address {
            let within = address.rawValue - segment.address.rawValue
            guard within < segment.length, length <= segment.length - within else { continue }
            let (offset, overflow) = segment.offset.addingReportingOverflow(within)
            return overflow ? nil : offset
        }
        return nil
    }

    /// Where the direct map begins: segments of it carry their physical address, and the base is a multiple of 1 GiB.
    /// So does the kernel's image, in the last 2 GiB.
    var directMap: KernelAddress? {
        segments.lazy.compactMap { segment -> KernelAddress? in
            guard let physical = segment.physical, segment.address < KernelAddress(0xffff_ffff_8000_0000) else {
                return nil
            }
            let base = segment.address.rawValue &- physical
            return base.isMultiple(of: 1 << 30) && base >> 63 == 1 ? KernelAddress(base) : nil
        }.first
    }
}
