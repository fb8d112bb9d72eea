import HostMemory

/// The memory file with a region's shared frames: where each lies in it.
///
/// On the anonymous backing it is one of its own and holds the huge pages' own shared frames, as many for each; a slot
/// is a hole until its huge page is optimized and again after it is restored. On memfd it is the region, page by page.
/// Behind either lie the templates of each zone. So it occupies what is in use.
struct FrameFile: Sendable {
    let file: MemoryFile
    private let plan: MappingPlan
    private let pageSize: ByteCount
    private let templatesAt: ByteCount

    /// - Parameters:
    ///   - plan: the huge pages.
    ///   - regionFile: the file that the region is, on memfd.
    ///   - templatesAt: where in it the templates lie.
    ///   - store: where a file of its own takes its frames.
    init(_ plan: MappingPlan, _ regionFile: MemoryFile?, templatesAt: ByteCount, _ store: FrameStore) throws(HostError)
    {
        self.plan = plan
        pageSize = plan.geometry.basePageSize
        if let regionFile {
            self.templatesAt = templatesAt
            file = regionFile
        } else {
            let own = plan.sharedFramesPerHugePage * plan.hugePages.rawValue
            self.templatesAt = own.bytes(pageSize: pageSize)
            file = try MemoryFile(
                name: RegionLabel(plan).memoryFileName, length: (own + plan.templates).bytes(pageSize: pageSize),
                in: store)
        }
    }

    /// Where a huge page's vmemmap page lies, on memfd.
    @inline(__always)
    func offset(of page: HugePageIndex, _ vmemmapPage: VmemmapPageIndex) -> ByteCount {
        plan.geometry.vmemmapBytesPerHugePage * page.rawValue + pageSize * vmemmapPage.rawValue
    }

    /// Where a huge page's own shared frames start.
    @inline(__always)
    func ownFrames(of page: HugePageIndex) -> ByteCount {
        switch plan.backing {
        case .anonymous: pageSize * (plan.sharedFramesPerHugePage.rawValue * page.rawValue)
        case .memfd: offset(of: page, plan.ownPages.lowerBound)
        }
    }

    /// Where the templates of a huge page's zone start.
    @inline(__always)
    func templates(of page: HugePageIndex) -> ByteCount { templates(zone: plan.zone(of: page)) }

    /// Where the templates of a zone start.
    func templates(zone: Int) -> ByteCount {
        templatesAt + pageSize * (plan.templatesPerZone.rawValue * zone)
    }

    /// Gives back what the huge pages do not need any more: restored, their own shared frames; on memfd, optimized, the
    /// pages that show another's.
    func release(_ pages: Range<HugePageIndex>) throws(HostError) {
        switch plan.backing {
        case .anonymous:
            let length = pageSize * (plan.sharedFramesPerHugePage.rawValue * pages.count)
            if length > .zero { try release(ownFrames(of: pages.lowerBound), length) }
        case .memfd:
            let freed = plan.freedPages
            for page in pages { try release(offset(of: page, freed.lowerBound), pageSize * freed.count) }
        }
    }

    private func release(_ offset: ByteCount, _ length: ByteCount) throws(HostError) {
        try file.release(offset: offset, length: length, wantsHugePages: plan.mapping == .pmd)
    }
}
