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
        let address: KernelAddress
        /// The frame.
        let frame: FramePicture.Frame
        /// Whether stores are allowed.
        let isWritable: Bool
        /// The level of the entry; null where nothing is mapped.
        let mappedBy: Measured<KernelMapping.Level>
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
                index: VmemmapPageIndex(index), address: view.vmemmap + UInt64(index * BasePage.bytes),
                frame: mapping.map { .pfn($0.frame) } ?? .absent, isWritable: mapping?.isWritable ?? false,
                mappedBy: Measured(mapping?.level),
                entry: Measured(mapping.map { "0x" + String($0.entry, radix: 16) }))
        }
    }

    /// As it is drawn beside an emulated huge page.
    var drawn: FramePicture {
        FramePicture(
            hugePage: HugePageIndex(0),
            vmemmapPages: vmemmapPages.map { page in
                let place = page.mappedBy.value.map { level in
                    FramePicture.Place(ofKernel: page.address, entryOf: level.bytes, isWritable: page.isWritable)
                }
                return .init(index: page.index, frame: page.frame, place: Measured(place))
            })
    }
}

extension KernelAddress: Codable {
    /// Reads what ``encode(to:)`` wrote.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard text.hasPrefix("0x"), let address = UInt64(text.dropFirst(2), radix: 16) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no address: \(text)")
        }
        self.init(address)
    }

    /// Writes hexadecimal digits: numbers of JSON are not exact above 2^53.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode("\(self)")
    }
}
