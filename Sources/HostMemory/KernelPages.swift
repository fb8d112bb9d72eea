internal import SystemPackage

/// What the kernel says of single frames: /proc/kpagecount and /proc/kpageflags. Both need root.
public enum KernelPages {
    /// A file of one 64-bit word per frame.
    public enum Table: String, Sendable {
        /// How often the frame is mapped.
        case mapCount = "/proc/kpagecount"
        /// The frame's flags, bits KPF_* of linux/kernel-page-flags.h.
        case flags = "/proc/kpageflags"
    }

    /// Present pages of a range of this process whose frame is part of a transparent huge page, or of a smaller folio of several
    /// pages (KPF_THP). Nil where the kernel does not tell this process.
    public static func partsOfHugePages(in range: AddressRange) throws(HostError) -> PageCount? {
        guard try PageMap.showsFrameNumbers() else { return nil }
        var frames: [UInt64] = []
        try PageMap.forEachPage(in: range) { (page) throws(HostError) in
            if page.entry.isPresent { frames.append(page.entry.pfn) }
        }
        do throws(HostError) {
            return PageCount(try read(.flags, frames: frames).count { $0 >> 22 & 1 == 1 })
        } catch  where error.code == .notPermitted || error.code == .notSupported {
            return nil
        }
    }

    /// The proportional share (PSS) of pages: each frame's size divided by how often it is mapped, over all page table entries
    /// in `frames`; a frame is listed once for each. Exact, where /proc/PID/smaps rounds every mapping of one page down to whole
    /// KiB. Nil where the kernel does not tell this process.
    ///
    /// - Parameter frames: frame numbers, in any order.
    public static func proportionalShare(of frames: [UInt64]) throws(HostError) -> ByteCount? {
        do throws(HostError) {
            var share = 0.0
            let sorted = frames.sorted()
            var first = 0
            let file = try HostKernel.open(FilePath(Table.mapCount.rawValue), .readOnly)
            defer { try? HostKernel.close(file) }
            var word: [UInt64] = [0]
            while first < sorted.count {
                let next = sorted[first...].firstIndex { $0 != sorted[first] } ?? sorted.count
                guard
                    try HostKernel.readWords(
                        file, atWord: sorted[first], into: &word, name: Table.mapCount.rawValue) == 1
                else { throw HostError(unreadable: Table.mapCount.rawValue) }
                // A frame unmapped since it was seen has a count of 0, and no share.
                if word[0] > 0 { share += Double(next - first) / Double(word[0]) }
                first = next
            }
            return ByteCount(Int((share * Double(HostLimits.pageSize.rawValue)).rounded()))
        } catch  where error.code == .notPermitted || error.code == .notSupported {
            return nil
        }
    }

    /// The flags of the frames under one mapped page of `range`'s length, which lie in a row: a HugeTLB page. Nil where the kernel
    /// does not tell this process.
    public static func flags(ofHugePageAt range: AddressRange) throws(HostError) -> [UInt64]? {
        guard try PageMap.showsFrameNumbers() else { return nil }
        var first: UInt64 = 0
        let page = AddressRange(start: range.start, length: HostLimits.pageSize)
        try PageMap.forEachPage(in: page) { (view) throws(HostError) in first = view.entry.pfn }
        if first == 0 { throw HostError(unreadable: "/proc/self/pagemap") }
        var words = [UInt64](repeating: 0, count: range.length.rawValue / HostLimits.pageSize.rawValue)
        let name = Table.flags.rawValue
        do throws(HostError) {
            let file = try HostKernel.open(FilePath(name), .readOnly)
            defer { try? HostKernel.close(file) }
            let count = try HostKernel.readWords(file, atWord: first, into: &words, name: name)
            if count < words.count { throw HostError(unreadable: "\(name) from frame \(first)") }
        } catch  where error.code == .notPermitted || error.code == .notSupported {
            return nil
        }
        return words
    }

    /// The words of `frames`, in their order.
    ///
    /// Throws ``HostError/Code-swift.struct/notPermitted`` for an ordinary user,
    /// ``HostError/Code-swift.struct/unreadable`` for a frame beyond the end of memory.
    public static func read(_ table: Table, frames: [UInt64]) throws(HostError) -> [UInt64] {
        let file = try HostKernel.open(FilePath(table.rawValue), .readOnly)
        defer { try? HostKernel.close(file) }
        var words: [UInt64] = []
        var word: [UInt64] = [0]
        for frame in frames {
            guard try HostKernel.readWords(file, atWord: frame, into: &word, name: table.rawValue) == 1 else {
                throw HostError(unreadable: "\(table.rawValue) at frame \(frame)")
            }
            words.append(word[0])
        }
        return words
    }
}
