package import HostMemory
import SystemPackage

/// The vmemmap of this host's own kernel, read through its page tables. Never written.
///
/// Not for several threads at once.
package final class KernelVmemmap {
    /// How the kernel's memory is read.
    package enum Source: String, Sendable, CaseIterable {
        /// A BPF program.
        case bpf
        /// /proc/kcore.
        case kcore
    }

    /// How it is read here.
    package let source: Source
    /// Where things lie, and by which ways that was found.
    package let layout: KernelLayout
    private let reader: any KernelReader
    private var looks: [KernelRecording.Look] = []

    /// Finds out whether and how this process may read the kernel's memory, and where things lie in it.
    ///
    /// A refusal is respected: /proc/kcore is asked only on a kernel without BPF, or if it is asked for.
    ///
    /// - Parameter source: the one to use; nil for BPF, or /proc/kcore on a kernel without it.
    /// - Throws: ``KernelMemoryError``.
    package init(_ wanted: Source? = nil) throws(KernelMemoryError) {
        try HostHints.checkSupport()
        reader = try Self.open(wanted)
        source = reader is BPFReader ? .bpf : .kcore
        layout = try Self.layout(reader)
    }

    private static func open(_ wanted: Source?) throws(KernelMemoryError) -> any KernelReader {
        if wanted == .kcore { return try KcoreReader() }
        do throws(KernelMemoryError) {
            return try BPFReader()
        } catch {
            // A kernel without bpf(2), or one that runs neither kind of program by hand.
            guard wanted == nil, case .host(let bpf) = error, bpf.code == .notSupported || bpf.code == .invalid else {
                throw error
            }
            do throws(KernelMemoryError) {
                return try KcoreReader()
            } catch {
                throw .noSource(bpf: "\(bpf)", kcore: "\(error)")
            }
        }
    }

    /// The page of ours may be moved to another frame between two looks at it: then ways disagree, or one of two is
    /// missing, and the next search finds it.
    private static func layout(_ reader: some KernelReader) throws(KernelMemoryError) -> KernelLayout {
        var refusal: KernelMemoryError?
        for _ in 0..<3 {
            let own = try OwnMemory()
            var hints = try HostHints.current()
            hints.ownPage = own.page
            if let bpf = reader as? BPFReader { hints.task = try bpf.currentTask() }
            if let kcore = reader as? KcoreReader {
                hints.directMap = kcore.headers.directMap
                hints.info = kcore.info
            }
            do throws(KernelMemoryError) {
                return try LayoutSearch(reader: reader, hints: hints).find()
            } catch {
                refusal = error
                switch error {
                case .disagreement, .notFound: continue
                default: throw error
                }
            }
        }
        throw refusal ?? .notFound("page tables", ways: [])
    }

    // MARK: Looking

    /// The huge pages of the host's pools, by the number of their first frame.
    ///
    /// Found by going through the struct pages of all memory; where those do not tell (before Linux 6.11), by
    /// /proc/kpageflags.
    package func hugePages() throws(KernelMemoryError) -> [(pfn: UInt64, size: ByteCount)] {
        let step = UInt64(2 << 20 / BasePage.bytes)
        let perPage = UInt64(BasePage.bytes / layout.structPageBytes)
        let end = try HostHints.endFrame()
        let mapped = try layout.tables.mapped(
            from: layout.vmemmap, pages: (end + perPage - 1) / perPage, level: 1, by: reader)
        var places = mapped.flatMap { range -> [UInt64] in
            let first = (range.lowerBound * perPage + step - 1) / step * step
            return Array(stride(from: first, to: min(end, range.upperBound * perPage), by: Int(step)))
        }
        let isTold = layout.hugeTLBType != nil
        if !isTold { places = try Self.flagged(places) }
        var found: [(pfn: UInt64, size: ByteCount)] = []
        var next: UInt64 = 0
        let pages = HugePageReader(reader: reader, layout: layout)
        for pfn in places where pfn >= next {
            do throws(KernelMemoryError) {
                guard let size = try pages.hugePage(at: pfn, isHugeTLB: isTold ? nil : true) else { continue }
                found.append((pfn, size))
                next = pfn + UInt64(size.rawValue / BasePage.bytes)
            } catch {
                // A hole: a PMD of the vmemmap need not be all mapped.
                guard case .unreadable = error else { throw error }
            }
        }
        return found
    }

    /// Those of some frames that /proc/kpageflags has as heads of HugeTLB pages.
    private static func flagged(_ pfns: [UInt64]) throws(KernelMemoryError) -> [UInt64] {
        let mask = KernelPageFlag.compoundHead.mask | KernelPageFlag.huge.mask
        do throws(HostError) {
            let flags = try KernelPages.read(.flags, frames: pfns)
            return zip(pfns, flags).filter { $0.1 & mask == mask }.map(\.0)
        } catch {
            throw .host(error)
        }
    }

    /// The huge page that a frame is part of; nil if it is part of none.
    package func hugePage(containing pfn: UInt64) throws(KernelMemoryError) -> (pfn: UInt64, size: ByteCount)? {
        try HugePageReader(reader: reader, layout: layout).hugePage(
            containing: pfn, below: HostHints.endFrame(), isHugeTLB: isHugeTLB)
    }

    /// Whether a frame is the head of a HugeTLB page by /proc/kpageflags; nil where its struct page tells.
    private func isHugeTLB(_ pfn: UInt64) throws(KernelMemoryError) -> Bool? {
        layout.hugeTLBType != nil ? nil : try Self.flagged([pfn]) == [pfn]
    }

    /// Looks at huge pages, and keeps what was read for ``recording(kernel:)``.
    ///
    /// - Parameters:
    ///   - pages: as ``hugePages()`` or ``hugePage(containing:)`` have them.
    ///   - kind: why.
    ///   - pools: what the host says of its pools.
    package func look(
        at pages: [(pfn: UInt64, size: ByteCount)], _ kind: LookKind, pools: [VmemmapLook.Pool]
    ) throws(KernelMemoryError) -> VmemmapLook {
        // What is read beside a walk is not kept.
        let beside = HugePageReader(reader: reader, layout: layout)
        var looks: [HugePageLook] = []
        var kept: [KernelRecording.Page] = []
        for (pfn, size) in pages {
            let keeping = KeepingReader(reader)
            let walking = HugePageReader(reader: keeping, layout: layout)
            let look = try walking.look(pfn: pfn, size: size) { () throws(KernelMemoryError) in
                try beside.hugePage(at: pfn, isHugeTLB: isHugeTLB(pfn)) == size
            }
            looks.append(look)
            kept.append(.init(pfn: pfn, size: size, words: look.view == nil ? nil : keeping.kept))
        }
        self.looks.removeAll { $0.kind == kind }
        self.looks.append(.init(kind: kind, pools: pools, pages: kept))
        return VmemmapLook(pools: pools, pages: looks)
    }

    /// Whether each vmemmap page shows the bytes of the frame it maps: of one huge page, its first vmemmap pages. The
    /// walk is right if they do. Struct pages change: what differs is compared again, up to five times.
    ///
    /// - Returns: how many were compared, and how many differed each time.
    package func compareContents(of view: HugePageView, most: Int = 8) throws(KernelMemoryError) -> (
        Int, differing: Int
    ) {
        var compared = 0
        var differing = 0
        for (index, mapping) in view.pages.prefix(most).enumerated() {
            guard let mapping, mapping.isWriteBack else { continue }
            compared += 1
            let page = view.vmemmap + UInt64(index * BasePage.bytes)
            let frame = layout.tables.directMap + mapping.frame << BasePage.shift
            var isSame = false
            for _ in 0..<5 where !isSame {
                isSame =
                    try reader.words(at: page, count: BasePage.words)
                    == reader.words(at: frame, count: BasePage.words)
            }
            if !isSame { differing += 1 }
        }
        return (compared, differing)
    }

    /// What to tell copies of a huge page's head by, once it is given back; nil where nothing does.
    package func mark(of page: (pfn: UInt64, size: ByteCount)) throws(KernelMemoryError) -> HeadMark? {
        try HugePageReader(reader: reader, layout: layout).mark(pfn: page.pfn, size: page.size)
    }

    /// Looks at the struct pages of a huge page that was given back; nil where somebody has made it one again.
    package func restored(_ mark: HeadMark) throws(KernelMemoryError) -> RestoredVmemmap? {
        try HugePageReader(reader: reader, layout: layout).restored(mark)
    }

    /// What was looked at so far.
    ///
    /// - Parameter kernel: what it says of the machine.
    package func recording(kernel: String) -> KernelRecording {
        KernelRecording(kernel: kernel, layout: layout, looks: looks)
    }
}
