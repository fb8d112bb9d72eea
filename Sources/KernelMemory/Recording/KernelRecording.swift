import HostMemory

/// What was read of a kernel's page tables: enough to look at the same huge pages again, on any machine.
///
/// A text that can be read before it is passed on: it holds words of the kernel's memory, of page tables and struct
/// pages alone, and none that was not needed.
package struct KernelRecording: Hashable, Sendable {
    /// One huge page: the words that lead to its vmemmap, or that they did not hold still.
    struct Page: Hashable, Sendable {
        let pfn: UInt64
        let size: ByteCount
        /// Nil of a page that was changing.
        let words: RecordedWords?
    }

    /// What was looked at together.
    struct Look: Hashable, Sendable {
        let kind: LookKind
        let pools: [VmemmapLook.Pool]
        let pages: [Page]
    }

    /// Where and on what it was made: `Linux 6.18.44 x86_64`.
    package let kernel: String
    /// Where things lie there.
    package let layout: KernelLayout
    /// What was looked at, in order.
    let looks: [Look]

    init(kernel: String, layout: KernelLayout, looks: [Look]) {
        self.kernel = kernel
        self.layout = layout
        self.looks = looks
    }

    /// The kinds of look that are in it.
    package var kinds: [LookKind] { looks.map(\.kind) }

    /// Looks at its huge pages again; nil if it has no look of the kind.
    ///
    /// - Throws: ``KernelMemoryError`` where a page's words do not lead to what maps its vmemmap.
    package func look(_ kind: LookKind) throws(KernelMemoryError) -> VmemmapLook? {
        guard let look = looks.first(where: { $0.kind == kind }) else { return nil }
        var pages: [HugePageLook] = []
        for page in look.pages {
            guard let words = page.words else {
                pages.append(.changing(pfn: page.pfn, size: page.size))
                continue
            }
            pages.append(try HugePageReader(reader: words, layout: layout).look(pfn: page.pfn, size: page.size))
        }
        return VmemmapLook(pools: look.pools, pages: pages)
    }
}

/// Why huge pages were looked at.
package enum LookKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// They were in the host's pools already.
    case existing
    /// One that was in a pool already, and was asked for by its frame.
    case page
    /// They were added with the optimization off.
    case off
    /// They were added with it on.
    case on
}

extension KernelRecording {
    /// The longest file that a recording can be, in bytes.
    package static let largestFile = Limit.bytes

    /// What a recording may have at most. Larger pools are recorded in part (`--pfn`).
    enum Limit {
        static let bytes = 32 << 20
        static let looks = 8
        static let pools = 64
        static let evidence = 16
        static let pages = 1 << 16
        /// Of all pages together.
        static let allWords = 1 << 22
        static let text = 200

        /// Of one page: 1 GiB has 4096 entries of the lowest level, 8 tables of them, and one of each other level. 2
        /// MiB has 8 entries of the lowest.
        static func words(ofPageOf size: ByteCount) -> Int { size == .mebibytes(2) ? 64 : 4096 + 64 }
    }

    /// The text for a file that can be read again.
    ///
    /// - Throws: ``KernelMemoryError/notSupported(_:)`` with the figure that is above a limit.
    package func textWithinLimits() throws(KernelMemoryError) -> String {
        func check(_ figure: Int, _ limit: Int, _ what: String) throws(KernelMemoryError) {
            guard figure > limit else { return }
            throw .notSupported("a recording of \(figure) \(what): at most \(limit); use --pfn to record one huge page")
        }
        let pages = looks.flatMap(\.pages)
        try check(pages.count, Limit.pages, "huge pages")
        try check(pages.reduce(0) { $0 + ($1.words?.words.count ?? 0) }, Limit.allWords, "words")
        let text = text
        try check(text.utf8.count, Limit.bytes, "bytes")
        return text
    }
}
