import HostMemory

/// Looks at huge pages' struct pages and at what maps them, by a reader of any kind. Pure but for that.
struct HugePageReader {
    let reader: any KernelReader
    let layout: KernelLayout

    /// How often a huge page is walked before it counts as changing.
    private static var tries: Int { 5 }

    /// What maps the vmemmap of a huge page: walked again until two walks agree.
    ///
    /// - Parameter isStillThere: asked after each walk whether the huge page is still one. If not, it is changing.
    /// - Throws: what the reader throws for a page that nothing is known of.
    func look(
        pfn: UInt64, size: ByteCount, isStillThere: () throws(KernelMemoryError) -> Bool = { true }
    ) throws(KernelMemoryError) -> HugePageLook {
        var last: HugePageView?
        for _ in 0..<Self.tries {
            let view = try view(pfn: pfn, size: size)
            guard try isStillThere() else { break }
            if view == last { return .settled(view) }
            last = view
        }
        return .changing(pfn: pfn, size: size)
    }

    private func view(pfn: UInt64, size: ByteCount) throws(KernelMemoryError) -> HugePageView {
        let start = layout.structPage(of: pfn)
        let pages = try layout.tables.mappings(
            from: start, count: layout.vmemmapPages(ofHugePageOf: size.rawValue), by: reader)
        var mark: Bool?
        if let flag = layout.optimizedFlag {
            mark = try reader.word(at: start + UInt64(flag.offset)) >> UInt64(flag.bit) & 1 == 1
        }
        return HugePageView(
            pfn: pfn, size: size, vmemmap: start, pages: pages.map { $0?.withoutUse }, isMarkedOptimized: mark)
    }

    // MARK: What a frame is part of

    /// The size of the huge page whose head is a frame's struct page; nil if it is no such head.
    ///
    /// A head is what the next struct page leads to. Where tails show the head's frame, every 64th struct page looks
    /// like a head, but what follows it leads elsewhere ("fake heads").
    ///
    /// - Parameters:
    ///   - pfn: a multiple of 512.
    ///   - isHugeTLB: whether it is one of HugeTLB's; nil to ask the struct page.
    func hugePage(at pfn: UInt64, isHugeTLB: Bool? = nil) throws(KernelMemoryError) -> ByteCount? {
        let head = layout.structPage(of: pfn)
        // Two struct pages of 64 bytes.
        let words = try reader.words(at: head, count: 16)
        guard isHugeTLB ?? hasHugeTLBType(words) else { return nil }
        let next = head + UInt64(layout.structPageBytes)
        switch leads(words[8 + layout.headOffset / 8], from: next) {
        case head: break
        default: return nil
        }
        for size in Self.sizes where pfn.isMultiple(of: UInt64(size.rawValue / BasePage.bytes)) {
            // The last struct page but one of a huge page: its own, whatever follows the smaller page.
            let last = head + UInt64((size.rawValue / BasePage.bytes - 1) * layout.structPageBytes)
            guard try isMemory(last), let word = try? reader.word(at: last + UInt64(layout.headOffset)) else {
                continue
            }
            if leads(word, from: last) == head { return size }
        }
        return nil
    }

    /// The huge page that a frame is part of; nil if it is part of none.
    ///
    /// Nothing but struct pages is read: what else the kernel maps above the vmemmap can be registers of a device.
    ///
    /// - Parameters:
    ///   - end: where memory ends, in frames.
    ///   - isHugeTLB: whether a frame is the head of a HugeTLB page; nil to ask the struct page.
    func hugePage(
        containing pfn: UInt64, below end: UInt64, isHugeTLB: (UInt64) throws(KernelMemoryError) -> Bool?
    ) throws(KernelMemoryError) -> (pfn: UInt64, size: ByteCount)? {
        guard pfn < end else { return nil }
        for size in Self.sizes {
            let count = UInt64(size.rawValue / BasePage.bytes)
            let first = pfn / count * count
            do throws(KernelMemoryError) {
                guard try isMemory(layout.structPage(of: first)),
                    try hugePage(at: first, isHugeTLB: isHugeTLB(first)) == size
                else { continue }
                return (first, size)
            } catch {
                // A hole: a smaller huge page may lie beside it.
                guard case .unreadable = error else { throw error }
            }
        }
        return nil
    }

    /// Whether memory is mapped at an address, rather than nothing or registers of a device.
    private func isMemory(_ address: KernelAddress) throws(KernelMemoryError) -> Bool {
        try layout.tables.mapping(of: address, by: reader)?.isWriteBack == true
    }

    /// The largest first: each of them begins where a smaller one could.
    static var sizes: [ByteCount] { [.gibibytes(1), .mebibytes(2)] }

    private func hasHugeTLBType(_ words: [UInt64]) -> Bool {
        guard let type = layout.hugeTLBType else { return false }
        let half = words[type.offset / 8] >> (type.offset.isMultiple(of: 8) ? 0 : 32)
        return UInt8(truncatingIfNeeded: half >> 24) == type.value
    }

    /// The head that a tail's word leads to, by its pointer or (Linux 7.1) by its mask; nil if it is no tail.
    func leads(_ word: UInt64, from tail: KernelAddress) -> KernelAddress? {
        guard word & 1 == 1 else { return nil }
        let value = word & ~1
        let isMask = value != 0 && value == ~0 << UInt64(value.trailingZeroBitCount) && value >> 32 == 0xffff_ffff
        return KernelAddress(isMask ? tail.rawValue & value : value)
    }
}

extension KernelMapping {
    /// Without the bits that the processor sets when it uses an entry (accessed, dirty): they change while everything
    /// stays.
    fileprivate var withoutUse: KernelMapping {
        KernelMapping(
            frame: frame, level: level, isWritable: isWritable, isExecutable: isExecutable, isUser: isUser,
            entry: entry & ~0x60)
    }
}
