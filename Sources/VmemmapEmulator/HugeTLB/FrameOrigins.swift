import HostMemory

/// Where the frames behind the vmemmap come from: boot memory, or the page allocator since (v5 patches 1, 2, 6, 7;
/// `nr_memmap_boot_pages` and `nr_memmap_pages` of /proc/vmstat). A pure value.
///
/// Optimizing gives a vmemmap page's frame back to where it came from. Restoring takes one from the page allocator. So
/// after a cycle only the sum of the two is what it was. In the head scheme the head has a frame of the allocator's,
/// too.
struct FrameOrigins: Hashable, Sendable {
    /// What is behind a vmemmap page.
    private enum Origin: UInt8 {
        case boot, allocator, none
    }

    private var origins: [Origin]
    /// Frames from boot memory in use for the vmemmap.
    private(set) var bootPages: PageCount
    /// Frames from the page allocator in use for the vmemmap.
    private(set) var allocatorPages = PageCount(0)

    /// A vmemmap of `pages` vmemmap pages, all from boot memory but the last `absent`, which have no frames.
    init(pages: PageCount, absent: PageCount = .zero) {
        origins = Array(repeating: .boot, count: pages.rawValue)
        bootPages = pages
        release((pages - absent).rawValue..<pages.rawValue)
    }

    /// Notes that the frames of some vmemmap pages were given back.
    mutating func release(_ pages: Range<Int>) {
        for page in pages {
            switch origins[page] {
            case .boot: bootPages -= PageCount(1)
            case .allocator: allocatorPages -= PageCount(1)
            case .none: break
            }
            origins[page] = .none
        }
    }

    /// Notes that some vmemmap pages have frames of their own again.
    mutating func restore(_ pages: Range<Int>) {
        for page in pages where origins[page] == .none {
            origins[page] = .allocator
            allocatorPages += PageCount(1)
        }
    }

    /// Notes that a vmemmap page has another frame, from the page allocator.
    mutating func replace(_ page: Int) {
        release(page..<(page + 1))
        restore(page..<(page + 1))
    }

    /// Notes frames that the page allocator gave for templates, which lie outside the vmemmap.
    mutating func addTemplates(_ pages: PageCount) { allocatorPages += pages }
}

extension MappingPlan {
    /// Whether the page that the tails show is copied to a frame of the page allocator's: the head, since Linux 6.2.
    var movesHead: Bool { isWorthwhile && tailSource == .head }
}
