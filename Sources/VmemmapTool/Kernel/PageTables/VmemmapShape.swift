import HostMemory
import KernelMemory
import VmemmapEmulator

/// Which vmemmap pages of a huge page share a frame, and which no store is allowed to: what two huge pages can have in
/// common whatever frames they have.
struct VmemmapShape: Hashable, Sendable {
    /// Of each vmemmap page the first one that shows the same frame, and whether it is writable; nil where there is no
    /// frame.
    let pages: [Page?]

    struct Page: Hashable, Sendable {
        let firstOfFrame: Int
        let isWritable: Bool
    }

    /// - Parameter pages: each page's frame and whether it is writable; nil where there is none.
    init<Frame: Hashable>(_ pages: [(frame: Frame, isWritable: Bool)?]) {
        var first: [Frame: Int] = [:]
        self.pages = pages.enumerated().map { index, page in
            guard let page else { return nil }
            let known = first[page.frame] ?? index
            first[page.frame] = known
            return Page(firstOfFrame: known, isWritable: page.isWritable)
        }
    }

    /// That of one of the kernel's huge pages.
    init(_ view: HugePageView) {
        self.init(view.pages.map { page in page.map { (frame: $0.frame, isWritable: $0.isWritable) } })
    }

    /// That of an emulated huge page, by the host's page tables. Pages must have been read to have a frame.
    init(_ page: HugePageIndex, of region: VmemmapRegion) throws(HostError) {
        let range = region.layout.vmemmap(of: page)
        let size = region.layout.geometry.basePageSize
        let count = region.layout.geometry.vmemmapPagesPerHugePage.rawValue
        func index(_ address: Address) -> Int { (address - range.start).rawValue / size.rawValue }
        var writable = [Bool](repeating: false, count: count)
        try ProcMaps.forEach(overlapping: range) { (mapping) throws(HostError) in
            let first = max(0, index(max(mapping.range.start, range.start)))
            let end = min(count, index(min(mapping.range.end, range.end)))
            if mapping.isWritable, first < end { for page in first..<end { writable[page] = true } }
        }
        var pages = [(frame: FramePicture.Frame, isWritable: Bool)?](repeating: nil, count: count)
        var anonymous = 0
        try PageMap.forEachPage(in: range) { (view) throws(HostError) in
            let index = index(view.address)
            switch FramePicture.Frame(view) {
            case .absent: break
            case .anonymous:
                // A frame of its own each: told apart by an offset that no file has.
                anonymous -= 1
                pages[index] = (.file(offset: ByteCount(anonymous)), writable[index])
            case let frame: pages[index] = (frame, writable[index])
            }
        }
        self.init(pages)
    }

    /// How many vmemmap pages differ; those that only one of them has, too.
    func differences(from other: VmemmapShape) -> Int {
        zip(pages, other.pages).count { $0 != $1 } + abs(pages.count - other.pages.count)
    }
}
