import HostMemory
import KernelMemory
import VmemmapEmulator

/// Which frame each vmemmap page of one huge page shows.
struct FramePicture: Hashable, Sendable, Codable {
    /// Which huge page.
    let hugePage: HugePageIndex
    /// How often the frame that the last vmemmap page shows is mapped (/proc/kpagecount). Null without root, and where
    /// the kernel knows nothing of the frame (``KernelPages``).
    let lastFrameMappings: Measured<Int>
    /// Its vmemmap pages, in order; of more than ten only the first five and the last two.
    let vmemmapPages: [VmemmapPage]

    /// A vmemmap page and the frame it shows.
    struct VmemmapPage: Hashable, Sendable, Codable {
        /// Which vmemmap page of the huge page.
        let index: VmemmapPageIndex
        /// The frame.
        let frame: Frame
        /// Where it lies; null in a picture of nothing that is mapped.
        var place: Measured<Place> = .notMeasured
    }

    /// The address of a vmemmap page, and the mapping it lies in as /proc/self/maps has it. Addresses are hexadecimal.
    struct Place: Hashable, Sendable, Codable {
        /// The vmemmap page.
        let address: String
        /// The mapping's first byte.
        let mappingStart: String
        /// The first byte after it.
        let mappingEnd: String
        /// Whether stores are allowed.
        let isWritable: Bool
        /// Whether it shows a file (MAP_SHARED) and not private memory.
        let isShared: Bool
        /// Where in the file the vmemmap page's contents are; null for private memory.
        let fileOffsetBytes: Measured<ByteCount>

        /// A page of the kernel's vmemmap, and what the entry maps that it lies in.
        init(ofKernel address: KernelAddress, entryOf bytes: UInt64, isWritable: Bool) {
            let start = KernelAddress(address.rawValue & ~(bytes - 1))
            self.address = "\(address)"
            mappingStart = "\(start)"
            mappingEnd = "\(start + bytes)"
            self.isWritable = isWritable
            isShared = true
            fileOffsetBytes = .notMeasured
        }

        init(_ address: Address, in mapping: Mapping) {
            self.address = "\(address)"
            mappingStart = "\(mapping.range.start)"
            mappingEnd = "\(mapping.range.end)"
            isWritable = mapping.isWritable
            isShared = mapping.isShared
            fileOffsetBytes = Measured(
                mapping.file.map { _ in mapping.offset + (address - mapping.range.start) })
        }
    }

    /// A picture of a huge page.
    init(
        hugePage: HugePageIndex, vmemmapPages: [VmemmapPage], lastFrameMappings: Measured<Int> = .notMeasured
    ) {
        self.hugePage = hugePage
        self.lastFrameMappings = lastFrameMappings
        self.vmemmapPages = vmemmapPages
    }

    /// A frame, as far as it can be told from another.
    enum Frame: Hashable, Sendable, Codable {
        /// The frame's number.
        case pfn(UInt64)
        /// A page of the file of shared frames, at this offset: the same offset, the same frame.
        case file(offset: ByteCount)
        /// A private anonymous page, which shares its frame with nobody; its number is not shown to this process.
        case anonymous
        /// Nothing is there.
        case absent
    }

    /// Whether a vmemmap page is in a picture of a huge page that has so many.
    static func isShown(_ index: Int, of count: Int) -> Bool { count <= 10 || index < 5 || index >= count - 2 }

    /// Looks at a huge page of a region of a process. Where the kernel shows frame numbers, pages must have been read
    /// to have one.
    static func take(
        _ page: HugePageIndex, in layout: VmemmapLayout, of process: ObservedProcess = .current
    ) throws(HostError) -> FramePicture {
        let count = layout.geometry.vmemmapPagesPerHugePage.rawValue
        let range = layout.vmemmap(of: page)
        var frames = [Frame](repeating: .absent, count: count)
        var places = [Measured<Place>](repeating: .notMeasured, count: count)
        let size = layout.geometry.basePageSize
        try PageMap.forEachPage(of: process, in: range) { (view) throws(HostError) in
            // Of several pages of the host the first tells.
            let (index, rest) = (view.address - range.start).rawValue.quotientAndRemainder(dividingBy: size.rawValue)
            if rest == 0 { frames[index] = Frame(view) }
        }
        let shown = (0..<count).filter { isShown($0, of: count) }
        try ProcMaps.forEach(of: process, overlapping: range) { (mapping) throws(HostError) in
            for index in shown where mapping.range.contains(range.start + size * index) {
                places[index] = .value(Place(range.start + size * index, in: mapping))
            }
        }
        let pages = shown.map {
            VmemmapPage(index: VmemmapPageIndex($0), frame: frames[$0], place: places[$0])
        }
        var mappings: Int?
        if case .pfn(let number) = pages.last?.frame {
            mappings = (try? KernelPages.mapCounts(of: [number]))?.first ?? nil
        }
        return FramePicture(hugePage: page, vmemmapPages: pages, lastFrameMappings: Measured(mappings))
    }
}

extension FramePicture.Frame {
    /// The frame that a page of this process, or of another, shows.
    init(_ view: PageView) {
        if view.entry.pfn != 0 {
            self = .pfn(view.entry.pfn)
        } else if let file = view.file {
            self = .file(offset: file.offset)
        } else {
            self = view.entry.isPresent ? .anonymous : .absent
        }
    }
}

extension FramePicture.Frame {
    private enum Key: String, CodingKey {
        case kind, number, offsetBytes
    }
    private enum Kind: String, Codable {
        case pfn, file, anonymous, absent
    }

    /// Reads `{"kind": "pfn", "number": 4711}`, `{"kind": "file", "offset_bytes": 0}`, or a kind alone.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        switch try container.decode(Kind.self, forKey: .kind) {
        case .pfn: self = .pfn(try container.decode(UInt64.self, forKey: .number))
        case .file: self = .file(offset: try container.decode(ByteCount.self, forKey: .offsetBytes))
        case .anonymous: self = .anonymous
        case .absent: self = .absent
        }
    }

    /// Writes the same form.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .pfn(let number):
            try container.encode(Kind.pfn, forKey: .kind)
            try container.encode(number, forKey: .number)
        case .file(let offset):
            try container.encode(Kind.file, forKey: .kind)
            try container.encode(offset, forKey: .offsetBytes)
        case .anonymous: try container.encode(Kind.anonymous, forKey: .kind)
        case .absent: try container.encode(Kind.absent, forKey: .kind)
        }
    }
}
