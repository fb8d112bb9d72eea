public import HostMemory

/// Why an operation on the vmemmap did not happen, and what, if anything, is not as it was before.
public struct VmemmapError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was attempted.
    public enum Operation: String, Hashable, Sendable {
        /// Planning.
        case plan
        /// Mapping and filling the region.
        case build
        /// Replacing tails.
        case optimize
        /// Giving every vmemmap page its own frame.
        case restore
        /// Making whole what failed operations have torn.
        case mend
        /// Writing to a struct page.
        case write
        /// Asking for what is known of a huge page or a struct page.
        case look
    }

    /// Why it failed.
    public enum Cause: Hashable, Sendable {
        /// The host refused a call.
        case host(HostError)
        /// vm.max_map_count leaves too few mappings; `largest` huge pages would fit. Nothing was mapped.
        case mappingLimit(asked: MappingCount, inUse: MappingCount, limit: MappingCount, largest: HugePageCount)
        /// The geometry's base page is not the host's, on which the engine runs.
        case basePageSize(wanted: ByteCount, host: ByteCount)
        /// A huge page of this size is not larger than this host's base page.
        case hugePageSize(ByteCount, host: ByteCount)
        /// There is no region of so many huge pages: none at all, or more than fit an address space.
        case unusableCount(HugePageCount)
        /// So many huge pages are no first zone of a region: it has 1 at least, and no more than there are.
        case unusableFirstZone(HugePageCount, of: HugePageCount)
        /// So many frames cannot serve tails: it takes 1 at least.
        case unusableTailFrames(PageCount)
        /// A struct page has no such size; it has one of ``Geometry/structPageSizes``.
        case unusableStructPage(ByteCount)
        /// No part of a region of this length could be mapped by a PMD: it fills no block, or the host has no huge
        /// pages.
        case notPMDMappable(region: ByteCount)
        /// A region built optimized has no frames to fill a PMD with.
        case pmdMappedAtBoot
        /// Huge pages of the scheme are built optimized and stay so.
        case neverRemapped(Scheme)
        /// The struct page of `frame` lies in a vmemmap page that shows another page's frame: it cannot be written
        /// until the huge page is restored.
        case sharedTail(frame: PageFrameNumber)
        /// A failed operation has torn the huge page: it has to be mended first.
        case torn(HugePageIndex)
        /// A store into a page that ought to be writable faulted: how.
        case fault(String, frame: PageFrameNumber)
        /// An operation on the huge page, or on its block, kept a writer waiting for longer than any operation takes.
        case heldUp(HugePageIndex)
        /// The region has no such huge pages: only those below `hugePages`.
        case outOfRange(Range<HugePageIndex>, hugePages: HugePageCount)
        /// The frame is none whose struct page is in the region: only those below `frames`.
        case frameOutOfRange(PageFrameNumber, frames: Int)
    }

    /// State left changed by a failed operation, or not given back by one that succeeded. Empty if there is none.
    ///
    /// Whatever it names is mended by the next operation on the same huge pages.
    public struct Residue: Hashable, Sendable {
        /// Huge pages of which only a part could be put back, in order.
        public var torn: [TornHugePage] = []
        /// Huge pages that carry the operation's result, although the operation as a whole failed: each whole and
        /// valid.
        public var notPutBack: [Range<HugePageIndex>] = []
        /// Frames of the memory file that no vmemmap page shows, but that the host did not take back: at most so many.
        public var staleFrames = PageCount(0)
        /// Staging memory that the host did not unmap.
        public var orphanedBytes = ByteCount(0)
        /// Blocks of a memory file mapped by PMDs that are in private memory meanwhile: readers and writers see no
        /// difference.
        public var displacedBytes = ByteCount(0)

        /// Nothing is left over.
        public init() {}

        /// Whether there is none.
        public var isEmpty: Bool { self == Residue() }

        /// Adds a huge page behind those in ``notPutBack``.
        mutating func appendNotPutBack(_ page: HugePageIndex) {
            if let last = notPutBack.last, last.upperBound == page {
                notPutBack[notPutBack.count - 1] = last.lowerBound..<page.advanced(by: 1)
            } else {
                notPutBack.append(page.alone)
            }
        }
    }

    /// What was attempted.
    public let operation: Operation
    /// Why it failed.
    public let cause: Cause
    /// What is not as it was.
    public let residue: Residue

    /// An error; by default one that left nothing behind.
    public init(_ operation: Operation, _ cause: Cause, residue: Residue = Residue()) {
        self.operation = operation
        self.cause = cause
        self.residue = residue
    }

    /// What happened, the figure, the limit, the way out, and the state of what is not as it was.
    public var description: String {
        let reason =
            switch cause {
            case .host(let error): "\(error)"
            case .mappingLimit(let asked, let inUse, let limit, let largest):
                "needs \(asked.rawValue) more mappings, but vm.max_map_count is \(limit.rawValue) and "
                    + "\(inUse.rawValue) are in use; at most \(largest.rawValue) huge pages fit"
            case .basePageSize(let wanted, let host):
                "a base page of \(wanted.rawValue) bytes was asked for, and this host maps no less than "
                    + "\(host.rawValue)"
            case .hugePageSize(let size, let host):
                "a huge page of \(size.rawValue) bytes is not larger than this host's base page of \(host.rawValue)"
            case .unusableCount(let count):
                count > .zero
                    ? "the struct pages of \(count.rawValue) huge pages do not fit an address space"
                    : "a region has at least 1 huge page, not \(count.rawValue)"
            case .unusableFirstZone(let count, let all):
                "the first zone of \(all.rawValue) huge pages has 1 to \(all.rawValue) of them, not \(count.rawValue)"
            case .unusableTailFrames(let count): "tails are served by 1 frame at least, not \(count.rawValue)"
            case .unusableStructPage(let size):
                "a struct page has 56 to 128 bytes, in steps of 8, not \(size.rawValue)"
            case .notPMDMappable(let region):
                "no part of the region of \(region.rawValue) bytes could be mapped by a PMD: it takes 2 MiB of "
                    + "struct pages at least (64 huge pages of 2 MiB), transparent huge pages in the "
                    + "kernel, and 2 MiB of memory in one piece"
            case .neverRemapped(let scheme):
                "the \(scheme.rawValue) scheme is built optimized and stays so: nothing is remapped later"
            case .pmdMappedAtBoot:
                "a region built optimized has no frames to fill a PMD with: build it populated, or map it by PTEs"
            case .sharedTail(let frame):
                "the struct page of frame \(frame.rawValue) is in a read-only tail page; restore its huge page first"
            case .torn(let page): "a failed operation has torn \(page); mend it first"
            case .fault(let outcome, let frame):
                "the store to the struct page of frame \(frame.rawValue) ended as \(outcome)"
            case .heldUp(let page): "an operation on \(page) has kept a writer waiting for too long"
            case .outOfRange(let pages, let count):
                "huge pages \(pages.numbers) were asked for, but the region has \(count.rawValue), from 0 on"
            case .frameOutOfRange(let frame, let count):
                "frame \(frame.rawValue) was asked for, but the region describes \(count), from 0 on"
            }
        return "\(operation.rawValue): \(reason)" + (residue.isEmpty ? "" : "; left behind: \(residue)")
    }
}

extension VmemmapError.Cause {
    /// Why mappings were not granted, where a huge page takes so many.
    init(_ refusal: MappingBudget.Refusal, perHugePage mappings: MappingCount) {
        switch refusal {
        case .unknown(let error): self = .host(error)
        case .exceeded(let exceeded):
            self = .mappingLimit(
                asked: exceeded.asked, inUse: exceeded.inUse, limit: exceeded.limit,
                largest: HugePageCount(exceeded.free.rawValue / mappings.rawValue))
        }
    }
}

extension VmemmapError.Residue: CustomStringConvertible {
    /// Each kind of residue that there is.
    public var description: String {
        var parts: [String] = []
        parts += torn.prefix(Self.mostNamed).map { "\($0)" }
        if torn.count > Self.mostNamed { parts.append("\(torn.count - Self.mostNamed) more torn huge pages") }
        if !notPutBack.isEmpty {
            let ranges = notPutBack.map { "\($0.numbers)" }.joined(separator: ", ")
            parts.append("huge pages \(ranges) carry the new state")
        }
        if staleFrames > .zero { parts.append("\(staleFrames.rawValue) frames of the memory file not given back") }
        if orphanedBytes > .zero { parts.append("\(orphanedBytes.rawValue) bytes of staging not unmapped") }
        if displacedBytes > .zero {
            parts.append("\(displacedBytes.rawValue) bytes not moved back to the memory file")
        }
        return parts.joined(separator: "; ")
    }

    /// Torn huge pages that a description names one by one.
    private static let mostNamed = 8
}
