package import HostMemory

/// What tells the head's struct page of a huge page from its tails' while it is in a pool.
package struct HeadMark: Hashable, Sendable {
    /// The huge page's first frame.
    package let pfn: UInt64
    /// Its size.
    package let size: ByteCount
    /// Flags that the head has and a tail of its has not: PG_head is among them.
    package let flags: UInt64
}

/// The struct pages of a huge page that has been given back: whether its restored vmemmap pages hold copies of the
/// head's.
///
/// Whoever has the frames by then, two things hold of every struct page. One with PG_head is followed by a tail that
/// leads to it. What lies between a head and a tail that leads to it is a tail of the same head. A vmemmap page that
/// begins with a copy of the head's struct page breaks the one or the other.
package struct RestoredVmemmap: Hashable, Sendable {
    /// Vmemmap pages that were looked at: all but the head's.
    package let pages: Int
    /// Those that begin with such a copy, each time they were looked at.
    package let strayPages: Int
}

extension HugePageReader {
    /// How often a vmemmap page is looked at that seems to be astray: struct pages that are being made a huge page's
    /// contradict each other for a moment.
    private static var tries: Int { 5 }
    private static var pauseNanoseconds: Int { 1_000_000 }

    /// The mark of a huge page that is in a pool; nil where its head's flags are no more than a tail's.
    func mark(pfn: UInt64, size: ByteCount) throws(KernelMemoryError) -> HeadMark? {
        // The first three struct pages carry something of their own; any later one of the first vmemmap page is plain.
        let flags = try reader.word(at: layout.structPage(of: pfn)) & ~reader.word(at: layout.structPage(of: pfn + 8))
        return flags == 0 ? nil : HeadMark(pfn: pfn, size: size, flags: flags)
    }

    /// Looks at the struct pages of a huge page that was given back; nil where its vmemmap pages have not each a frame
    /// of its own: then it is somebody's huge page again.
    func restored(_ mark: HeadMark) throws(KernelMemoryError) -> RestoredVmemmap? {
        guard let view = try look(pfn: mark.pfn, size: mark.size).view else { return nil }
        guard view.state == .split || view.state == .whole else { return nil }
        var stray = 0
        for page in 1..<view.pages.count {
            let address = view.vmemmap + UInt64(page * BasePage.bytes)
            var isStray = try isStray(address, mark)
            for _ in 1..<Self.tries where isStray {
                HostKernel.sleep(nanoseconds: Self.pauseNanoseconds)
                isStray = try self.isStray(address, mark)
            }
            if isStray { stray += 1 }
        }
        // Optimized meanwhile, its tails would show the head's frame.
        guard try look(pfn: mark.pfn, size: mark.size).view?.state == view.state else { return nil }
        return RestoredVmemmap(pages: view.pages.count - 1, strayPages: stray)
    }

    /// Whether a vmemmap page begins with what can only be a copy.
    private func isStray(_ address: KernelAddress, _ mark: HeadMark) throws(KernelMemoryError) -> Bool {
        let words = layout.structPageBytes / 8
        let two = try reader.words(at: address, count: 2 * words)
        let first = leads(two[layout.headOffset / 8], from: address)
        let second = leads(two[words + layout.headOffset / 8], from: address + UInt64(layout.structPageBytes))
        if let second, second < address { return first != second }
        return first == nil && two[0] & mark.flags == mark.flags && second != address
    }
}
