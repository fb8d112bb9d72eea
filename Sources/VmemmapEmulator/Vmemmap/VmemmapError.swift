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
        /// Writing to a struct page.
        case write
    }

    /// Why it failed.
    public enum Cause: Hashable, Sendable {
        /// The host refused a call.
        case host(HostError)
        /// vm.max_map_count leaves too few mappings; `largest` huge pages would fit. Nothing was mapped.
        case mappingLimit(MappingBudget.Exceeded, largest: HugePageCount)
        /// The geometry's base page is not the host's, on which the engine runs.
        case basePageSize(wanted: ByteCount, host: ByteCount)
        /// There is no region of so many huge pages: none at all, or more than fit an address space.
        case unusableCount(HugePageCount)
        /// So many huge pages are no first zone of a region: it has 1 at least, and no more than there are.
        case unusableFirstZone(HugePageCount, of: HugePageCount)
        /// So many frames cannot serve tails: it takes 1 at least.
        case unusableTailRun(PageCount)
        /// A struct page has no such size; it has one of ``Geometry/structPageSizes``.
        case unusableStructPage(ByteCount)
        /// No part of a region of this length could be mapped by a PMD: it fills no block, or the host has no huge pages.
        case noHugeBase(region: ByteCount)
        /// A region built optimized has no frames to fill a PMD with.
        case hugeBaseAtBoot
        /// The struct page of `frame` lies in a vmemmap page that shows another page's frame: it cannot be written
        /// until the huge page is restored.
        case sharedTail(frame: PageFrameNumber)
        /// The frame is not of this region.
        case noSuchFrame(PageFrameNumber)
        /// The huge page is in an incomplete state (``Residue``) that a restore has to mend first.
        case incomplete(HugePageIndex)
        /// A store into a page that ought to be writable faulted otherwise.
        case fault(AccessOutcome, frame: PageFrameNumber)
    }

    /// What is not as it was before a failed operation. Empty: everything is.
    ///
    /// Whatever it names is mended by the next operation on the same huge pages.
    public struct Residue: Hashable, Sendable {
        /// Huge pages of which only a part could be put back.
        public var incomplete: [IncompleteHugePage] = []
        /// Huge pages that carry the operation's result, although the operation as a whole failed: each whole and
        /// valid.
        public var notPutBack: [Range<HugePageIndex>] = []
        /// Frames of the memory file that no vmemmap page shows, but that the host did not take back: at most so many.
        public var staleFrames = PageCount(0)
        /// Staging memory that the host did not unmap.
        public var orphanedBytes = ByteCount(0)
        /// Blocks of a memory file mapped by PMDs that are in private memory meanwhile: readers and writers see no difference.
        public var displacedBytes = ByteCount(0)

        /// Nothing is left over.
        public init() {}

        /// Whether everything is as it was.
        public var isEmpty: Bool { self == Residue() }
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
            case .mappingLimit(let exceeded, let largest):
                "needs \(exceeded.asked) more mappings, but vm.max_map_count is \(exceeded.limit) and \(exceeded.inUse) are in use; "
                    + "at most \(largest) huge pages fit (raise vm.max_map_count or take fewer)"
            case .basePageSize(let wanted, let host):
                "a base page of \(wanted) bytes was asked for, this host has \(host)"
            case .unusableCount(let count):
                count > .zero
                    ? "the struct pages of \(count) huge pages do not fit an address space"
                    : "a region has at least 1 huge page, not \(count)"
            case .unusableFirstZone(let count, let all):
                "the first zone of \(all) huge pages has 1 to \(all) of them, not \(count)"
            case .unusableTailRun(let count): "tails are served by 1 frame at least, not \(count)"
            case .unusableStructPage(let size):
                "a struct page has 56 to 128 bytes, in steps of 8, not \(size)"
            case .noHugeBase(let region):
                "no part of the region of \(region) bytes could be mapped by a PMD: it takes 2 MiB of struct pages at least "
                    + "(64 huge pages of 2 MiB), transparent huge pages in the kernel, and 2 MiB of memory in one piece"
            case .hugeBaseAtBoot:
                "a region built optimized has no frames to fill a PMD with (--huge-base and --at-boot exclude each other)"
            case .sharedTail(let frame):
                "the struct page of frame \(frame) is in a read-only tail page; restore its huge page first"
            case .noSuchFrame(let frame): "the region has no frame \(frame)"
            case .incomplete(let page): "huge page \(page) is incomplete; restore it first"
            case .fault(let outcome, let frame): "the store to the struct page of frame \(frame) ended as \(outcome)"
            }
        return "\(operation.rawValue): \(reason)" + (residue.isEmpty ? "" : "; left behind: \(residue)")
    }
}

/// A huge page whose state is not whole, because putting it back was refused as well.
///
/// Every vmemmap page outside ``uncertain`` still shows the right compound_head.
public struct IncompleteHugePage: Hashable, Sendable {
    /// Which huge page.
    public let page: HugePageIndex
    /// Vmemmap pages that certainly show the shared frame.
    public let replaced: Range<VmemmapPageIndex>
    /// Vmemmap pages at which the host refused: they show what they showed or, if it refused late, are not mapped at
    /// all.
    public let uncertain: Range<VmemmapPageIndex>
    /// Whether page 1 may still be write-protected: writers fail with ``VmemmapError/Cause/incomplete(_:)``.
    public let isWriteProtected: Bool
    /// Whether its mapping may be in more pieces than its state has: the host has cut it so as to change a part, and then refused.
    /// Readers notice nothing of that.
    public let isCut: Bool

    /// The same, page 1 write-protected.
    var writeProtected: IncompleteHugePage {
        IncompleteHugePage(
            page: page, replaced: replaced, uncertain: uncertain, isWriteProtected: true, isCut: isCut)
    }
}

extension VmemmapError.Residue: CustomStringConvertible {
    /// Each kind of residue that there is.
    public var description: String {
        var parts: [String] = []
        for part in incomplete {
            parts.append(
                "huge page \(part.page) incomplete (vmemmap pages \(part.replaced) show the shared frame, \(part.uncertain) uncertain"
                    + (part.isWriteProtected ? ", page 1 write-protected" : "")
                    + (part.isCut ? ", its mapping perhaps cut)" : ")"))
        }
        if !notPutBack.isEmpty {
            let ranges = notPutBack.map { "\($0)" }.joined(separator: ", ")
            parts.append("huge pages \(ranges) carry the new state")
        }
        if staleFrames > .zero { parts.append("\(staleFrames) frames of the memory file not given back") }
        if orphanedBytes > .zero { parts.append("\(orphanedBytes) bytes of staging not unmapped") }
        if displacedBytes > .zero { parts.append("\(displacedBytes) bytes not moved back to the memory file") }
        return parts.joined(separator: "; ")
    }
}
