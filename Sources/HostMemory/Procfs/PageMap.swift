import SystemPackage

/// One entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
package struct PageMapEntry: Hashable, Sendable {
    /// The entry as the kernel wrote it.
    package let rawValue: UInt64

    /// The entry `rawValue`.
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Bit 63: a frame is mapped here.
    package var isPresent: Bool { rawValue >> 63 & 1 == 1 }
    /// Bit 62: swapped out, or being moved to another frame. A guard region has the bit too, and nothing in it.
    package var isSwapped: Bool { rawValue >> 62 & 1 == 1 && !isGuarded }
    /// Bit 58: a guard region (MADV_GUARD_INSTALL; Linux 6.15 tells): who touches the page gets a SIGSEGV, whatever is
    /// mapped there.
    package var isGuarded: Bool { !isPresent && rawValue >> 58 & 1 == 1 }
    /// Bit 61: the frame belongs to a file or to shared memory.
    package var isFileOrShared: Bool { rawValue >> 61 & 1 == 1 }
    /// Bits 0 to 54: the frame's number. 0 where the kernel does not tell (no CAP_SYS_ADMIN), or nothing is present.
    package var pfn: UInt64 { isPresent ? place : 0 }
    /// Bits 0 to 54 of a page that is swapped out: its place in swap. 0 where the kernel does not tell, or nothing is
    /// swapped out.
    package var swapPlace: UInt64 { isSwapped ? place : 0 }

    private var place: UInt64 { rawValue & (1 << 55 - 1) }
}

/// One page of a process's memory: what is mapped there, and what the page table holds.
package struct PageView: Sendable {
    /// The page's address.
    package let address: Address
    /// Its page table entry.
    package let entry: PageMapEntry
    /// The file and the offset in it that the page shows; nil for anonymous memory, and where nothing can be read.
    package let file: (identity: Mapping.FileIdentity, offset: ByteCount)?

    /// A page by its parts.
    init(address: Address, entry: PageMapEntry, file: (identity: Mapping.FileIdentity, offset: ByteCount)?) {
        self.address = address
        self.entry = entry
        self.file = file
    }

    /// The page at `address`, which lies in `mapping`.
    init(_ address: Address, _ entry: PageMapEntry, in mapping: Mapping) {
        // A private mapping of a file shows the file until it is written, anonymous memory after.
        let isUntouched = !entry.isPresent && !entry.isSwapped
        let showsFile = !entry.isGuarded && (mapping.isShared || isUntouched || entry.isFileOrShared)
        let source = mapping.file.map { identity in
            (identity: identity, offset: mapping.offset + (address - mapping.range.start))
        }
        self.init(address: address, entry: entry, file: showsFile ? source : nil)
    }
}

/// Takes the entries of a page map as they are needed, many at once: neighbouring mappings share a read. Pure: what it
/// needs it asks a function for.
struct PageMapWindow {
    /// Reads words from a position, given in words, on; says how many there were.
    typealias Read = (_ position: UInt64, _ words: inout [UInt64]) throws(HostError) -> Int

    private let pageSize: ByteCount
    private var words: [UInt64]
    /// The pages whose entries are in ``words``.
    private var held: Range<UInt64> = 0..<0

    /// A window of `width` entries.
    init(pageSize: ByteCount, width: Int = 8192) {
        self.pageSize = pageSize
        words = [UInt64](repeating: 0, count: width)
    }

    /// Calls `body` for each page of `mapping` in `range`, in order of address.
    ///
    /// Throws ``HostError/Code-swift.struct/unreadable`` for `name` where there is no entry.
    mutating func forEachPage(
        of mapping: Mapping, in range: AddressRange, name: String, read: Read,
        _ body: (PageView) throws(HostError) -> Void
    ) throws(HostError) {
        var address = max(mapping.range.start, range.start)
        let end = min(mapping.range.end, range.end)
        while address < end {
            let page = UInt64(address.rawValue) / UInt64(pageSize.rawValue)
            if !held.contains(page) {
                let count = try read(page, &words)
                if count == 0 { throw HostError(unreadable: name) }
                held = page..<(page + UInt64(count))
            }
            let entry = PageMapEntry(rawValue: words[Int(page - held.lowerBound)])
            try body(PageView(address, entry, in: mapping))
            address = address + pageSize
        }
    }
}

/// Reads /proc/PID/pagemap beside /proc/PID/maps.
package enum PageMap {
    /// Calls `body` for each mapped page in `range` of a process, in order of address.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` unless the range is whole pages.
    package static func forEachPage(
        of process: ObservedProcess = .current, in range: AddressRange, _ body: (PageView) throws(HostError) -> Void
    ) throws(HostError) {
        guard range.isWholePages else { throw HostError(.invalidArgument, .read, .addresses(range)) }
        let path = process.path("pagemap")
        let file = try HostKernel.open(path, .readOnly)
        do {
            var window = PageMapWindow(pageSize: HostLimits.pageSize)
            let read: PageMapWindow.Read = { (position, words) throws(HostError) in
                try HostKernel.readWords(file, atWord: position, into: &words, name: path.string)
            }
            try ProcMaps.forEach(of: process, overlapping: range) { (mapping) throws(HostError) in
                try window.forEachPage(of: mapping, in: range, name: path.string, read: read, body)
            }
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        try HostKernel.close(file)
    }

    /// Whether the kernel tells this process frame numbers (CAP_SYS_ADMIN): asked of a page that is certainly present.
    package static func showsFrameNumbers() throws(HostError) -> Bool {
        let path = ObservedProcess.current.path("pagemap")
        let file = try HostKernel.open(path, .readOnly)
        defer { try? HostKernel.close(file) }
        var probe: [UInt64] = [1]
        // SAFETY: only the buffer's address is taken, not its contents.
        let address = unsafe probe.withUnsafeBytes { UInt64(UInt(bitPattern: $0.baseAddress)) }
        let page = address / UInt64(HostLimits.pageSize.rawValue)
        guard try HostKernel.readWords(file, atWord: page, into: &probe, name: path.string) == 1 else {
            throw HostError(unreadable: path.string)
        }
        return PageMapEntry(rawValue: probe[0]).pfn != 0
    }
}
