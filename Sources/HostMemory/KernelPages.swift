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
