import HostMemory
import KernelMemory
import VmemmapEmulator

/// Which frame each vmemmap page of one of the kernel's huge pages maps.
struct KernelPicture: Hashable, Sendable, Codable {
    /// A vmemmap page and what maps it.
    struct Page: Hashable, Sendable, Codable {
        /// Which vmemmap page of the huge page.
        let index: VmemmapPageIndex
        /// Its address, in the kernel.
        let address: String
        /// The frame.
        let frame: FramePicture.Frame
        /// Whether stores are allowed.
        let isWritable: Bool
        /// The level of the entry: `pte`, `pmd` or `pud`; null where nothing is mapped.
        let mappedBy: Measured<String>
        /// The entry; null where nothing is mapped.
        let entry: Measured<String>
    }

    /// What it amounts to.
    enum State: String, Hashable, Sendable, Codable {
        /// Its tails show one read-only frame.
        case optimized
        /// Every frame is there, not all mapped by PMDs.
        case split
        /// Every frame is there, mapped by PMDs.
        case whole
        /// None of these.
        case other
    }

    /// The number of the huge page's first frame.
    let pfn: UInt64
    /// Its size.
    let hugePageBytes: ByteCount
    /// What it amounts to.
    let state: State
    /// Its vmemmap pages.
    let pages: PageCount
    /// Different frames.
    let frames: PageCount
    /// Vmemmap pages that no store is allowed to.
    let readOnlyPages: PageCount
    /// Its vmemmap pages, in order; of more than ten only the first five and the last two.
    let vmemmapPages: [Page]

    init(_ view: HugePageView) {
        pfn = view.pfn
        hugePageBytes = view.size
        state =
            switch view.state {
            case .optimized: .optimized
            case .split: .split
            case .whole: .whole
            case .other: .other
            }
        pages = PageCount(view.pages.count)
        frames = PageCount(view.frames.count)
        readOnlyPages = PageCount(view.readOnlyPages)
        let count = view.pages.count
        vmemmapPages = (0..<count).filter { FramePicture.isShown($0, of: count) }.map { index in
            let mapping = view.pages[index]
            return Page(
                index: VmemmapPageIndex(index), address: "\(view.vmemmap + UInt64(index * BasePage.bytes))",
                frame: mapping.map { .pfn($0.frame) } ?? .absent, isWritable: mapping?.isWritable ?? false,
                mappedBy: Measured(mapping.map { "\($0.level)" }),
                entry: Measured(mapping.map { "0x" + String($0.entry, radix: 16) }))
        }
    }

    /// How much an entry maps.
    private static func bytes(mappedBy level: String) -> UInt64 {
        switch level {
        case "pud": 1 << 30
        case "pmd": 2 << 20
        default: 4096
        }
    }

    /// As it is drawn beside an emulated huge page.
    var drawn: FramePicture {
        FramePicture(
            hugePage: HugePageIndex(0),
            vmemmapPages: vmemmapPages.map { page in
                let address = KernelAddress(UInt64(page.address.dropFirst(2), radix: 16) ?? 0)
                let place = page.mappedBy.value.map { level in
                    FramePicture.Place(
                        ofKernel: address, entryOf: Self.bytes(mappedBy: level), isWritable: page.isWritable)
                }
                return .init(index: page.index, frame: page.frame, place: Measured(place))
            })
    }
}
