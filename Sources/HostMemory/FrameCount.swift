/// How many different frames stand behind a range of a process's memory.
///
/// This, and not RSS, is what remapping saves. A frame that several pages show counts once.
public struct FrameCount: Hashable, Sendable {
    /// How frames were told apart.
    public enum Method: String, Hashable, Sendable, Codable {
        /// By frame number, from /proc/PID/pagemap (needs CAP_SYS_ADMIN).
        case pfn
        /// By (device, inode, offset) for pages of shared files, and one by one for present anonymous pages: what
        /// an ordinary user can see. The same count, as long as no page shows the kernel's zero page.
        case fileOffset = "file-offset"
    }

    /// Different frames.
    public let distinct: PageCount
    /// Pages whose page table entry is present: the range's own RSS.
    public let present: PageCount
    /// Anonymous pages among those present.
    public let presentAnonymous: PageCount
    /// Pages of a file that are mapped but not faulted in. Their frames count in ``distinct``, by file and offset.
    public let notFaulted: PageCount
    /// How frames were told apart.
    public let method: Method

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
    public static func count(
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
    /// Identities of frames seen through a present entry: PFNs, or file pages when counting by offset.
    private var seen: [UInt64] = []
    /// File pages seen through a present entry, and those seen only as not faulted. By PFN, the first are known
    /// already.
    private var faultedFilePages: [UInt64] = []
    private var unfaultedFilePages: [UInt64] = []
    private var present = 0
    private var presentAnonymous = 0
    private var notFaulted = 0

    init(method: FrameCount.Method, pageSize: ByteCount) {
        self.method = method
        self.pageSize = pageSize
    }

    mutating func add(_ page: PageView) {
        let filePage = page.file.map { identity(of: $0.identity, $0.offset) }
        if page.entry.isPresent { present += 1 }
        switch (page.entry.isPresent, filePage) {
        case (true, nil):
            presentAnonymous += 1
            if method == .pfn { seen.append(page.entry.pfn) }
        case (true, let filePage?):
            faultedFilePages.append(filePage)
            if method == .pfn { seen.append(page.entry.pfn) }
        case (false, let filePage?):
            notFaulted += 1
            unfaultedFilePages.append(filePage)
        case (false, nil):
            break
        }
    }

    func count() -> FrameCount {
        let distinct: Int
        switch method {
        case .pfn:
            // Of the pages not faulted, those that are not seen through another entry: sorted, since there may be millions.
            let unseen =
                unfaultedFilePages.isEmpty
                ? 0 : Self.distinct(faultedFilePages + unfaultedFilePages) - Self.distinct(faultedFilePages)
            distinct = Self.distinct(seen) + unseen
        case .fileOffset:
            distinct = presentAnonymous + Self.distinct(faultedFilePages + unfaultedFilePages)
        }
        return FrameCount(
            distinct: PageCount(distinct), present: PageCount(present), presentAnonymous: PageCount(presentAnonymous),
            notFaulted: PageCount(notFaulted), method: method)
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
