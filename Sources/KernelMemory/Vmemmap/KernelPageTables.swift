/// What a page of the kernel's address space maps.
package struct KernelMapping: Hashable, Sendable {
    /// The level of the page table that the entry was found in.
    package enum Level: String, Hashable, Sendable, Codable, CaseIterable {
        /// A page table entry: 4 KiB.
        case pte
        /// A PMD: 2 MiB.
        case pmd
        /// A PUD: 1 GiB.
        case pud

        /// Counted from 0, the lowest; nil for a level whose entries map nothing.
        init?(_ level: Int) {
            guard Self.allCases.indices.contains(level) else { return nil }
            self = Self.allCases[level]
        }

        /// What one entry maps, in bytes.
        package var bytes: UInt64 {
            switch self {
            case .pte: 4 << 10
            case .pmd: 2 << 20
            case .pud: 1 << 30
            }
        }
    }

    /// The frame under this very page of 4 KiB, also where a larger entry maps it.
    package let frame: UInt64
    /// Which level maps it.
    package let level: Level
    /// Whether every level allows stores.
    package let isWritable: Bool
    /// Whether every level allows execution.
    package let isExecutable: Bool
    /// Whether every level allows user space in.
    package let isUser: Bool
    /// The entry itself.
    package let entry: UInt64

    /// Whether it is memory, cached write-back, rather than registers of a device.
    package var isWriteBack: Bool { entry & KernelPageTables.uncached == 0 }
}

/// The page tables of x86-64, read from the top down. Pure but for the reader.
package struct KernelPageTables: Hashable, Sendable {
    /// Levels of tables: 4, or 5 where the processor and the kernel have them.
    package let levels: Int
    /// Where the table of the highest level is.
    package let root: KernelAddress
    /// Where all of physical memory is mapped.
    package let directMap: KernelAddress
    /// The bits of an entry that are an address: not those of encryption (C-bit).
    package let addressMask: UInt64
    /// Where memory ends, in frames: a table lies below, or it is none. What is mapped above the direct map may be
    /// registers of a device, which reading can change. In a recording there is nothing to be careful of.
    package let endFrame: UInt64

    static let present: UInt64 = 1
    static let writable: UInt64 = 1 << 1
    static let user: UInt64 = 1 << 2
    /// PWT and PCD. A PAT index that is made of the third bit, too, is not used for memory.
    static let uncached: UInt64 = 1 << 3 | 1 << 4
    static let large: UInt64 = 1 << 7
    static let noExecute: UInt64 = 1 << 63

    package init(
        levels: Int, root: KernelAddress, directMap: KernelAddress, addressMask: UInt64, endFrame: UInt64 = .max
    ) {
        self.levels = levels
        self.root = root
        self.directMap = directMap
        self.addressMask = addressMask & ~UInt64(BasePage.bytes - 1)
        self.endFrame = endFrame
    }

    /// The same tables by another root.
    func with(root: KernelAddress) -> KernelPageTables {
        KernelPageTables(
            levels: levels, root: root, directMap: directMap, addressMask: addressMask, endFrame: endFrame)
    }

    /// Where the table is that an entry leads to.
    private func tableBehind(_ entry: UInt64) throws(KernelMemoryError) -> KernelAddress {
        guard (entry & addressMask) >> BasePage.shift < endFrame else {
            throw .malformed("entry \(Hexadecimal.padded(entry)) leads beyond the end of memory")
        }
        return directMap + (entry & addressMask)
    }

    /// What an address maps; nil if nothing.
    package func mapping(of address: KernelAddress, by reader: some KernelReader) throws(KernelMemoryError)
        -> KernelMapping?
    {
        try mappings(from: address, count: 1, by: reader).first ?? nil
    }

    /// What each of `count` pages maps, in order; nil where nothing is mapped.
    ///
    /// Each call reads every table afresh, and of each no more than the entries that lead to these pages. No table is
    /// read twice, so a torn table or one that leads back to itself gives a wrong answer at worst, and always an end.
    ///
    /// - Throws: what the reader throws, and ``KernelMemoryError/malformed(_:)`` for an entry that no processor would
    ///   follow.
    package func mappings(
        from address: KernelAddress, count: Int, by reader: some KernelReader
    ) throws(KernelMemoryError) -> [KernelMapping?] {
        guard levels == 4 || levels == 5 else { throw .malformed("page tables of \(levels) levels") }
        guard count > 0 else { return [] }
        let first = (address.rawValue & (1 << (12 + 9 * UInt64(levels)) - 1)) >> BasePage.shift
        guard count <= BasePage.words << 9, first + UInt64(count) <= 1 << (9 * UInt64(levels)) else {
            throw .malformed("\(count) pages from \(address) on")
        }
        var found: [KernelMapping?] = []
        found.reserveCapacity(count)
        var walk = Walk(reader: reader)
        try walk.go(self, root, levels - 1, first..<first + UInt64(count), Self.writable | Self.user, &found)
        return found
    }

    /// One way down. `rights` has the bits that every level so far allows, and ``noExecute`` if one of them has it.
    private struct Walk<Reader: KernelReader> {
        let reader: Reader

        mutating func go(
            _ tables: KernelPageTables, _ table: KernelAddress, _ level: Int, _ pages: Range<UInt64>, _ rights: UInt64,
            _ found: inout [KernelMapping?]
        ) throws(KernelMemoryError) {
            let shift = 9 * UInt64(level)
            let (first, last) = (pages.lowerBound >> shift, (pages.upperBound - 1) >> shift)
            let entries = try reader.words(at: table + (first & 511) * 8, count: Int(last - first) + 1)
            for (index, entry) in zip(first...last, entries) {
                let below = max(pages.lowerBound, index << shift)..<min(pages.upperBound, (index + 1) << shift)
                guard entry & KernelPageTables.present != 0 else {
                    found += repeatElement(nil, count: below.count)
                    continue
                }
                let allowed = rights & entry & ~noExecute | (rights | entry) & noExecute
                let isLarge = level > 0 && entry & KernelPageTables.large != 0
                guard let kind = KernelMapping.Level(level), level == 0 || isLarge else {
                    if isLarge { throw .malformed("entry \(Hexadecimal.padded(entry)) of level \(level + 1)") }
                    try go(tables, tables.tableBehind(entry), level - 1, below, allowed, &found)
                    continue
                }
                let start = (entry & tables.addressMask) >> BasePage.shift & ~(1 << shift - 1)
                for page in below {
                    found.append(
                        KernelMapping(
                            frame: start + page & (1 << shift - 1), level: kind,
                            isWritable: allowed & KernelPageTables.writable != 0,
                            isExecutable: allowed & noExecute == 0, isUser: allowed & KernelPageTables.user != 0,
                            entry: entry))
                }
            }
        }

        private var noExecute: UInt64 { KernelPageTables.noExecute }
    }

    /// The pages in a range of page numbers that something is mapped to, as ranges of at least `step` pages: where
    /// there is one entry for that many, it is not looked further. For finding out which struct pages there are.
    ///
    /// - Parameters:
    ///   - pages: how many pages from `address` on to look at.
    ///   - level: 1 to stop at PMDs, 2 at PUDs: each entry that is there counts as all there.
    ///   - tables: how many tables to read at most. Those that lead back to themselves would take for ever; by default,
    ///     as many as the struct pages of 4 PiB take.
    func mapped(
        from address: KernelAddress, pages: UInt64, level stop: Int, by reader: some KernelReader, tables: Int = 1 << 16
    ) throws(KernelMemoryError) -> [Range<UInt64>] {
        let all = UInt64(1) << (9 * UInt64(levels))
        let first = (address.rawValue & (all << BasePage.shift - 1)) >> BasePage.shift
        guard pages > 0 else { return [] }
        var found: [Range<UInt64>] = []
        var tables = tables
        try collect(root, levels - 1, first..<min(all, first + min(pages, all)), stop, reader, &tables, &found)
        return found.map { $0.lowerBound - first..<$0.upperBound - first }
    }

    private func collect(
        _ table: KernelAddress, _ level: Int, _ pages: Range<UInt64>, _ stop: Int, _ reader: some KernelReader,
        _ tables: inout Int, _ found: inout [Range<UInt64>]
    ) throws(KernelMemoryError) {
        tables -= 1
        if tables < 0 { throw .malformed("page tables without end") }
        let shift = 9 * UInt64(level)
        let (first, last) = (pages.lowerBound >> shift, (pages.upperBound - 1) >> shift)
        let entries = try reader.words(at: table + (first & 511) * 8, count: Int(last - first) + 1)
        for (index, entry) in zip(first...last, entries) where entry & Self.present != 0 {
            let below = max(pages.lowerBound, index << shift)..<min(pages.upperBound, (index + 1) << shift)
            if level > stop, entry & Self.large == 0 {
                try collect(tableBehind(entry), level - 1, below, stop, reader, &tables, &found)
            } else if let last = found.last, last.upperBound == below.lowerBound {
                found[found.count - 1] = last.lowerBound..<below.upperBound
            } else {
                found.append(below)
            }
        }
    }
}
