internal import SystemPackage

/// One entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
public struct PageMapEntry: Hashable, Sendable {
    /// The entry as the kernel wrote it.
    public let rawValue: UInt64

    /// The entry `rawValue`.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Bit 63: a frame is mapped here.
    public var isPresent: Bool { rawValue >> 63 & 1 == 1 }
    /// Bit 62: swapped out.
    public var isSwapped: Bool { rawValue >> 62 & 1 == 1 }
    /// Bit 61: the frame belongs to a file or to shared memory.
    public var isFileOrShared: Bool { rawValue >> 61 & 1 == 1 }
    /// Bits 0 to 54: the frame's number. 0 where the kernel does not tell (no CAP_SYS_ADMIN), or nothing is present.
    public var pfn: UInt64 { isPresent ? rawValue & (1 << 55 - 1) : 0 }
}

/// One page of a process's memory: what is mapped there, and what the page table holds.
public struct PageView: Sendable {
    /// The page's address.
    public let address: Address
    /// Its page table entry.
    public let entry: PageMapEntry
    /// The file and the offset in it that the page shows; nil for anonymous memory.
    public let file: (identity: Mapping.FileIdentity, offset: ByteCount)?
}

/// Reads /proc/PID/pagemap beside /proc/PID/maps.
public enum PageMap {
    /// Calls `body` for each mapped page in `range` of a process, in order of address.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` unless the range is whole pages.
    public static func forEachPage(
        of process: ObservedProcess = .current, in range: AddressRange, _ body: (PageView) throws(HostError) -> Void
    ) throws(HostError) {
        guard range.isWholePages else { throw HostError(.invalidArgument, .read, .addresses(range)) }
        let pageSize = HostLimits.pageSize
        let path = process.path("pagemap")
        let file = try HostKernel.open(path, .readOnly)
        do {
            var entries = [UInt64](repeating: 0, count: 8192)
            // The entries from `first` on that are in the buffer. Neighbouring mappings share a read.
            var buffered: Range<UInt64> = 0..<0
            try ProcMaps.forEach(of: process, overlapping: range) { (mapping) throws(HostError) in
                var address = max(mapping.range.start, range.start)
                let end = min(mapping.range.end, range.end)
                while address < end {
                    let page = UInt64(address.rawValue) / UInt64(pageSize.rawValue)
                    if !buffered.contains(page) {
                        let count = try HostKernel.readWords(file, atWord: page, into: &entries, name: path.string)
                        if count == 0 { throw HostError(unreadable: path.string) }
                        buffered = page..<(page + UInt64(count))
                    }
                    let entry = PageMapEntry(rawValue: entries[Int(page - buffered.lowerBound)])
                    let source = mapping.file.map { identity in
                        (identity: identity, offset: mapping.offset + (address - mapping.range.start))
                    }
                    // A private mapping of a file shows the file until it is written, anonymous memory after.
                    let isUntouched = !entry.isPresent && !entry.isSwapped
                    let showsFile = mapping.isShared || isUntouched || entry.isFileOrShared
                    try body(PageView(address: address, entry: entry, file: showsFile ? source : nil))
                    address = address + pageSize
                }
            }
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        try HostKernel.close(file)
    }

    /// Whether the kernel tells this process frame numbers (CAP_SYS_ADMIN): asked of a page that is certainly present.
    public static func showsFrameNumbers() throws(HostError) -> Bool {
        let path = ObservedProcess.current.path("pagemap")
        let file = try HostKernel.open(path, .readOnly)
        defer { try? HostKernel.close(file) }
        var probe: [UInt64] = [1]
        // SAFETY: only the buffer's address is taken, not its contents.
        let address = unsafe probe.withUnsafeBytes { UInt64(UInt(bitPattern: $0.baseAddress)) }
        let page = address / UInt64(HostLimits.pageSize.rawValue)
        _ = try HostKernel.readWords(file, atWord: page, into: &probe, name: path.string)
        return PageMapEntry(rawValue: probe[0]).pfn != 0
    }
}
