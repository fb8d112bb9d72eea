import HostMemory
import SystemPackage

/// Pages of real memory that a test owns, and words in them that it may touch whatever their protection.
///
/// The region lies between two guard pages and goes with the object, so that tests beside each other never meet.
final class ScratchRegion: Sendable {
    static let pageSize = HostLimits.pageSize

    let range: AddressRange
    let pageCount: Int

    init(pages: Int, alignment: ByteCount = HostLimits.pageSize) throws(HostError) {
        pageCount = pages
        range = try HostKernel.mapRegion(length: Self.pageSize * pages, alignment: alignment)
        // A huge page would spoil every count of frames and mappings.
        try HostKernel.forbidHugePages(range)
    }

    deinit { try? HostKernel.unmapRegion(range) }

    /// The pages from `indices.lowerBound` on. The guard pages are -1 and `pageCount`.
    func pages(_ indices: Range<Int>) -> AddressRange {
        precondition(indices.lowerBound >= -1 && indices.upperBound <= pageCount + 1, "outside the region")
        return AddressRange(
            start: range.start + Self.pageSize * indices.lowerBound, length: Self.pageSize * indices.count)
    }

    func page(_ index: Int) -> Address { pages(index..<index + 1).start }

    @discardableResult
    func store(_ value: UInt64, page index: Int) -> AccessOutcome {
        // SAFETY: `page` answers only for pages of this region and its guards, which stay mapped while it lives.
        unsafe MemoryAccess.tryStore(value, at: page(index))
    }

    func load(page index: Int) -> UInt64? {
        // SAFETY: as for store.
        unsafe MemoryAccess.tryLoad(page(index))
    }

    func add(_ delta: Int32, page index: Int) -> AccessOutcome {
        // SAFETY: as for store.
        unsafe MemoryAccess.tryAdd(delta, at: page(index))
    }

    /// Gives every page of `indices` a frame that holds `stamp` + its index.
    func stamp(_ indices: Range<Int>, from stamp: UInt64) {
        for index in indices { store(stamp + UInt64(index), page: index) }
    }

    /// The first word of each page.
    func words(_ indices: Range<Int>) -> [UInt64?] { indices.map { load(page: $0) } }

    /// Maps pages of `file` over pages of the region.
    func map(
        _ file: FileDescriptor, from first: Int = 0, over indices: Range<Int>, _ protection: Protection = .readOnly
    ) throws(HostError) {
        try HostKernel.mapFile(file, at: pages(indices), offset: Self.pageSize * first, protection)
    }
}
