/// How many different frames stand behind a range of a process's memory.
///
/// This, and not RSS, is what remapping saves. A frame that several pages show counts once. A page that the host has
/// swapped out is one that the process still has: it counts like the frame that it was in.
package struct FrameCount: Hashable, Sendable {
    /// How frames were told apart.
    package enum Method: String, Hashable, Sendable, Codable {
        /// By frame number, from /proc/PID/pagemap (needs CAP_SYS_ADMIN).
        case pfn
        /// By (device, inode, offset) for pages of shared files, and one by one for anonymous pages: what an ordinary
        /// user can see. The same count, as long as no page shows the kernel's zero page.
        case fileOffset = "file-offset"
    }

    /// Different frames, and swapped-out pages.
    package let distinct: PageCount
    /// Pages whose page table entry is present: the range's own RSS.
    package let present: PageCount
    /// Anonymous pages among those present.
    package let presentAnonymous: PageCount
    /// Pages of a file that are mapped but not faulted in. Their frames count in ``distinct``, by file and offset.
    package let notFaulted: PageCount
    /// Different anonymous pages that are swapped out; part of ``distinct``. What is swapped out of a file is among
    /// ``notFaulted``.
    package let swapped: PageCount
    /// How frames were told apart.
    package let method: Method

    /// Counts the frames behind `range`.
    ///
    /// - Parameters:
    ///   - process: whose memory it is.
    ///   - range: whole pages.
    ///   - preferred: ``Method-swift.enum/fileOffset`` counts as an ordinary user must, for comparison. Frame numbers
    ///     are used only where the kernel shows them.
    /// - Throws: `HostError` when /proc/PID/maps or pagemap cannot be read.
    ///
    /// Costs one line of maps a mapping and 8 bytes of pagemap a page, and memory for one word a page.
    package static func count(
        of process: ObservedProcess = .current, in range: AddressRange, preferring preferred: Method = .pfn
    ) throws(HostError) -> FrameCount {
        let showsFrameNumbers = try PageMap.showsFrameNumbers()
        let method = showsFrameNumbers ? preferred : .fileOffset
        var tally = FrameTally(method: method, pageSize: HostLimits.pageSize)
        try PageMap.forEachPage(of: process, in: range) { (page) throws(HostError) in tally.add(page) }
        return tally.count()
    }
}

/// Adds up pages. Pure, so that a test can feed it any picture of memory.
struct FrameTally {
    let method: FrameCount.Method
    let pageSize: ByteCount

    /// 2³² pages of a file: what one number in ``identity(of:_:)`` stands for.
    private struct Stretch: Hashable {
        let file: Mapping.FileIdentity
        let index: UInt64
    }
    private var stretches: [Stretch: UInt64] = [:]
    /// Numbers of frames, one for each entry that tells one.
    private var frames: [UInt64] = []
    /// Present anonymous pages of whose frame there is no number.
    private var unnumbered = 0
    /// File pages whose frame is among ``frames``, and those of whose frame there is no number: not faulted in, or not
    /// told.
    private var numberedFilePages: [UInt64] = []
    private var unnumberedFilePages: [UInt64] = []
    /// Places in swap, one for each entry that tells one, and the number of those that do not.
    private var swapPlaces: [UInt64] = []
    private var unnumberedSwapped = 0
    private var present = 0
    private var presentAnonymous = 0
    private var notFaulted = 0

    init(method: FrameCount.Method, pageSize: ByteCount) {
        self.method = method
        self.pageSize = pageSize
    }

    mutating func add(_ page: PageView) {
        let filePage = page.file.map { identity(of: $0.identity, $0.offset) }
        if page.entry.isPresent {
            present += 1
            if page.file == nil { presentAnonymous += 1 }
            addPresent(page.entry, filePage)
        } else if let filePage {
            notFaulted += 1
            unnumberedFilePages.append(filePage)
        } else if page.entry.isSwapped {
            addSwapped(page.entry)
        }
    }

    private mutating func addPresent(_ entry: PageMapEntry, _ filePage: UInt64?) {
        // A frame without a number, which may be any, is told by its file page, or is one by itself.
        let number = method == .pfn && entry.pfn != 0 ? entry.pfn : nil
        switch (number, filePage) {
        case (let number?, let filePage):
            frames.append(number)
            if let filePage { numberedFilePages.append(filePage) }
        case (nil, let filePage?): unnumberedFilePages.append(filePage)
        case (nil, nil): unnumbered += 1
        }
    }

    private mutating func addSwapped(_ entry: PageMapEntry) {
        if method == .pfn, entry.swapPlace != 0 {
            swapPlaces.append(entry.swapPlace)
        } else {
            unnumberedSwapped += 1
        }
    }

    func count() -> FrameCount {
        // Of the file pages without a frame number, those that no other entry has given one: sorted, since there may be
        // millions.
        let unseen =
            unnumberedFilePages.isEmpty
            ? 0 : Self.distinct(numberedFilePages + unnumberedFilePages) - Self.distinct(numberedFilePages)
        let swapped = Self.distinct(swapPlaces) + unnumberedSwapped
        return FrameCount(
            distinct: PageCount(Self.distinct(frames) + unseen + unnumbered + swapped), present: PageCount(present),
            presentAnonymous: PageCount(presentAnonymous), notFaulted: PageCount(notFaulted),
            swapped: PageCount(swapped), method: method)
    }

    /// One word for a page of a file: a number for the stretch of the file above, the page's index in that below.
    private mutating func identity(of file: Mapping.FileIdentity, _ offset: ByteCount) -> UInt64 {
        let page = UInt64(offset.rawValue / pageSize.rawValue)
        let stretch = Stretch(file: file, index: page >> 32)
        let number = stretches[stretch] ?? UInt64(stretches.count)
        if number == stretches.count { stretches[stretch] = number }
        return number << 32 | page & 0xffff_ffff
    }

    /// Sorting beats a set here: one word a frame and no hashing.
    private static func distinct(_ identities: [UInt64]) -> Int {
        guard var last = identities.first else { return 0 }
        var count = 1
        // A loop, since this is what a test build spends its time in.
        for (index, identity) in identities.sorted().enumerated() {
            if index > 0, identity != last { count += 1 }
            last = identity
        }
        return count
    }
}
