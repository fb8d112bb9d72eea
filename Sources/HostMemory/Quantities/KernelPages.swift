import SystemPackage

/// What the kernel says of single frames: /proc/kpagecount and /proc/kpageflags. Both need root.
///
/// A kernel that sets up its struct pages lazily (`deferred_init=lazy`) answers 0 in both for frames beyond those it
/// has set up so far, though it hands out some of them, at the end of memory. Of such a frame nothing is known, so what
/// rests on it is nil.
package enum KernelPages {
    /// A file of one 64-bit word per frame.
    package enum Table: String, Sendable {
        /// How often the frame is mapped.
        case mapCount = "/proc/kpagecount"
        /// The frame's flags, bits KPF_* of linux/kernel-page-flags.h.
        case flags = "/proc/kpageflags"
    }

    /// Present pages of a range of this process whose frame is part of a transparent huge page, or of a smaller folio
    /// of several pages (KPF_THP). Nil where the kernel does not tell this process.
    package static func partsOfHugePages(in range: AddressRange) throws(HostError) -> PageCount? {
        guard try PageMap.showsFrameNumbers() else { return nil }
        var frames: [UInt64] = []
        try PageMap.forEachPage(in: range) { (page) throws(HostError) in
            if page.entry.isPresent { frames.append(page.entry.pfn) }
        }
        guard let flags = try told({ () throws(HostError) in try read(.flags, frames: frames) }) else { return nil }
        return partsOfHugePages(frames, flags: flags)
    }

    /// The frames with KPF_THP; nil if anything is not known: a frame's number, or its flags.
    static func partsOfHugePages(_ frames: [UInt64], flags: [UInt64]) -> PageCount? {
        if frames.contains(0) || flags.contains(0) { return nil }
        return PageCount(flags.count { $0 >> 22 & 1 == 1 })
    }

    /// The proportional share (PSS) of pages: each frame's size divided by how often it is mapped, over all page table
    /// entries in `frames`; a frame is listed once for each. Exact, where /proc/PID/smaps rounds every mapping of one
    /// page down to whole KiB. Nil where the kernel does not tell this process.
    ///
    /// - Parameter frames: frame numbers, in any order.
    package static func proportionalShare(of frames: [UInt64]) throws(HostError) -> ByteCount? {
        let distinct = Set(frames).sorted()
        guard let counts = try told({ () throws(HostError) in try mapCounts(of: distinct) }) else { return nil }
        let countOf = Dictionary(uniqueKeysWithValues: zip(distinct, counts))
        return proportionalShare(of: frames.map { countOf[$0] ?? nil }, pageSize: HostLimits.pageSize)
    }

    /// - Parameter mapCounts: how often the frame is mapped, for each entry that shows it; nil where nothing is known
    ///   of it.
    static func proportionalShare(of mapCounts: [Int?], pageSize: ByteCount) -> ByteCount? {
        var share = 0.0
        for count in mapCounts {
            guard let count else { return nil }
            // A frame unmapped since it was seen has a count of 0, and no share; nor has the frame of zeroes, which
            // nobody owns.
            if count > 0 { share += 1 / Double(count) }
        }
        return ByteCount(Int((share * Double(pageSize.rawValue)).rounded()))
    }

    /// How often frames that are mapped are mapped, in their order; nil for a frame that the kernel knows nothing of.
    ///
    /// Throws as ``read(_:frames:)`` does.
    package static func mapCounts(of frames: [UInt64]) throws(HostError) -> [Int?] {
        let counts = try read(.mapCount, frames: frames)
        guard counts.contains(0) else { return counts.map { Int(clamping: $0) } }
        return try mapCounts(counts, flags: read(.flags, frames: frames))
    }

    /// - Parameter flags: no mapped frame is without one: KPF_MMAP, or KPF_ZERO_PAGE of the frame of zeroes, which is
    ///   not counted.
    static func mapCounts(_ counts: [UInt64], flags: [UInt64]) -> [Int?] {
        zip(counts, flags).map { count, flags in count == 0 && flags == 0 ? nil : Int(clamping: count) }
    }

    /// The flags of the frames under one mapped page of `range`'s length, which lie in a row: a HugeTLB page. Nil where
    /// the kernel does not tell this process. Throws ``HostError/Code-swift.struct/invalid`` unless the range is whole
    /// pages, one at least.
    package static func flags(ofHugePageAt range: AddressRange) throws(HostError) -> [UInt64]? {
        guard range.isWholePages, range.length > .zero else {
            throw HostError(.invalidArgument, .read, .addresses(range))
        }
        guard try PageMap.showsFrameNumbers() else { return nil }
        var first: UInt64 = 0
        let page = AddressRange(start: range.start, length: HostLimits.pageSize)
        try PageMap.forEachPage(in: page) { (view) throws(HostError) in first = view.entry.pfn }
        if first == 0 { throw HostError(unreadable: "/proc/self/pagemap") }
        var words = [UInt64](repeating: 0, count: range.length.rawValue / HostLimits.pageSize.rawValue)
        let name = Table.flags.rawValue
        return try told { () throws(HostError) in
            let file = try HostKernel.open(FilePath(name), .readOnly)
            defer { try? HostKernel.close(file) }
            let count = try HostKernel.readWords(file, atWord: first, into: &words, name: name)
            if count < words.count { throw HostError(unreadable: "\(name) from frame \(first)") }
            return words.allSatisfy { $0 == 0 } ? nil : words
        }
    }

    /// What `read` gives; nil where the kernel does not let this process read, or its file says nothing.
    private static func told<Value>(_ read: () throws(HostError) -> Value?) throws(HostError) -> Value? {
        do throws(HostError) {
            return try read()
        } catch  where [.notPermitted, .notSupported, .unreadable].contains(error.code) {
            return nil
        }
    }

    /// The words of `frames`, in their order.
    ///
    /// Throws ``HostError/Code-swift.struct/notPermitted`` for an ordinary user,
    /// ``HostError/Code-swift.struct/unreadable`` for a frame beyond the end of memory.
    package static func read(_ table: Table, frames: [UInt64]) throws(HostError) -> [UInt64] {
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
