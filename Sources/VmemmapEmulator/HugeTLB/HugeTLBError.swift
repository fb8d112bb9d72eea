public import HostMemory

/// Why an operation on the HugeTLB layer was not done, as the kernel's errno says it.
public struct HugeTLBError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Why.
    public enum Cause: Hashable, Sendable {
        /// No huge page is free, and no surplus page may be made (-ENOMEM).
        case poolEmpty(HugePageSize)
        /// No memory in one piece of that size (-ENOMEM).
        case noContiguousMemory(HugePageSize)
        /// The vmemmap frames that a restore takes are not there (-ENOMEM).
        case frameBudget(needed: PageCount, left: PageCount)
        /// The page tables that splitting PMDs may take are not there (-ENOMEM).
        case pageTables(needed: PageCount)
        /// The region refused (-ENOMEM, or what the host says).
        case vmemmap(VmemmapError)
        /// No huge page lies there, or none of the kind asked for (-EINVAL).
        case notAHugePage(PageFrameNumber)
        /// It is in use (-EBUSY).
        case inUse(HugePageIndex, HugePageSize)
        /// It is free already (a bug of the caller's).
        case alreadyFree(HugePageIndex, HugePageSize)
        /// All free pages are promised to somebody (-EBUSY).
        case reserved(HugePageSize)
        /// It has a memory error (-EBUSY).
        case poisoned(HugePageIndex, HugePageSize)
        /// The machine has no huge pages of that size (-EINVAL).
        case noSuchSize(HugePageSize)
        /// A number of huge pages below 0 (-EINVAL).
        case unusableCount(HugePageCount)
        /// The policy is never to give pages back.
        case keepsPages
        /// It has a memory error already, or is in a huge page that has (-EHWPOISON).
        case alreadyPoisoned(PageFrameNumber)
        /// A free huge page with a memory error cannot be dissolved: it is promised, or cannot be restored (-EBUSY).
        case notContained(HugePageIndex, HugePageSize)
        /// The frame is firmware's, or holds vmemmap: its memory error is marked, and that is all (-EBUSY).
        case keptMemory(PageFrameNumber)
        /// All free huge pages have memory errors (-EBUSY).
        case allPoisoned(HugePageSize)
        /// The cgroup may not use one more (-ENOSPC; SIGBUS for who touches one).
        case cgroupLimit(HugePageSize)
        /// The cgroup may not reserve as many (-ENOMEM).
        case cgroupReservationLimit(HugePageSize)
        /// Huge pages of one size are not demoted to ones of another (-EINVAL).
        case noDemotion(HugePageSize, to: HugePageSize)
        /// The machine has no such node (-EINVAL).
        case noSuchNode(Int)
        /// The frame is not of this machine, or of memory that is not there (-ENXIO).
        case noSuchFrame(PageFrameNumber)
        /// Memory comes and goes in whole memory blocks (-EINVAL).
        case noMemoryBlocks(ByteCount, of: ByteCount)
        /// As much memory cannot be plugged in (-EINVAL).
        case noRoom(ByteCount, of: ByteCount)
        /// As much memory was not plugged in (-EINVAL).
        case notPlugged(ByteCount, of: ByteCount)
        /// Somebody has some of the memory that is to be taken out (-EBUSY).
        case memoryInUse(Range<PageFrameNumber>)
    }

    /// Why.
    public let cause: Cause

    /// An error.
    public init(_ cause: Cause) { self.cause = cause }

    /// Whether vm.max_map_count is what stands in the way.
    package var isMappingLimit: Bool {
        guard case .vmemmap(let error) = cause, case .mappingLimit = error.cause else { return false }
        return true
    }

    /// Whether memory is what stands in the way: the host's, or that of the frame budget.
    package var isLackOfMemory: Bool {
        switch cause {
        case .frameBudget, .pageTables: return true
        case .vmemmap(let error):
            guard case .host(let refusal) = error.cause else { return false }
            return refusal.code.isLackOfRoom
        default: return false
        }
    }

    /// The errno's name, as the kernel would return it.
    public var errnoName: String {
        switch cause {
        case .poolEmpty, .noContiguousMemory, .frameBudget, .pageTables, .vmemmap, .cgroupReservationLimit: "ENOMEM"
        case .cgroupLimit: "ENOSPC"
        case .notAHugePage, .alreadyFree, .noSuchSize, .unusableCount, .keepsPages, .noSuchNode, .noDemotion,
            .noMemoryBlocks,
            .noRoom, .notPlugged:
            "EINVAL"
        case .inUse, .reserved, .poisoned, .notContained, .allPoisoned, .keptMemory, .memoryInUse: "EBUSY"
        case .alreadyPoisoned: "EHWPOISON"
        case .noSuchFrame: "ENXIO"
        }
    }

    /// One line: what stands in the way, with the figures.
    public var description: String {
        switch cause {
        case .poolEmpty(let size):
            "no huge page of \(size.bytes.rawValue) bytes is free, and no more surplus pages may be made"
        case .noContiguousMemory(let size): "no \(size.bytes.rawValue) bytes of memory are free in one piece"
        case .frameBudget(let needed, let left):
            "restoring takes \(needed.rawValue) frames for the vmemmap, and \(left.rawValue) are left in the budget"
        case .pageTables(let needed):
            "splitting may take \(needed.rawValue) page tables, and the budget has fewer frames"
        case .vmemmap(let error): "\(error)"
        case .notAHugePage(let frame): "frame \(frame.rawValue) is in no such huge page"
        case .inUse(let page, let size): "\(page) of \(size.bytes.rawValue) bytes is in use"
        case .alreadyFree(let page, let size): "\(page) of \(size.bytes.rawValue) bytes is free"
        case .reserved(let size): "every free huge page of \(size.bytes.rawValue) bytes is reserved"
        case .poisoned(let page, let size): "\(page) of \(size.bytes.rawValue) bytes has a memory error"
        case .noSuchSize(let size): "this machine has no huge pages of \(size.bytes.rawValue) bytes"
        case .unusableCount(let count): "\(count.rawValue) is no number of huge pages"
        case .keepsPages: "the policy is to keep huge pages: none is given back"
        case .alreadyPoisoned(let frame):
            "frame \(frame.rawValue), or the huge page that it is in, has a memory error already"
        case .notContained(let page, let size):
            "\(page) of \(size.bytes.rawValue) bytes has a memory error and stays: it is reserved, or its vmemmap "
                + "cannot be restored"
        case .keptMemory(let frame):
            "frame \(frame.rawValue) is firmware's, or holds vmemmap: its memory error is marked, and nothing else can "
                + "be done"
        case .allPoisoned(let size): "every free huge page of \(size.bytes.rawValue) bytes has a memory error"
        case .cgroupLimit(let size): "the cgroup may use no more huge pages of \(size.bytes.rawValue) bytes"
        case .cgroupReservationLimit(let size):
            "the cgroup may not reserve as many huge pages of \(size.bytes.rawValue) bytes"
        case .noDemotion(let size, let smaller):
            "huge pages of \(size.bytes.rawValue) bytes are not demoted to \(smaller.bytes.rawValue) bytes"
        case .noSuchNode(let node): "this machine has no node \(node)"
        case .noSuchFrame(let frame): "this machine has no frame \(frame.rawValue)"
        case .noMemoryBlocks(let bytes, let block):
            "memory comes and goes in whole memory blocks of \(block.rawValue) bytes, and \(bytes.rawValue) bytes are "
                + "not"
        case .noRoom(let bytes, let room):
            "\(bytes.rawValue) bytes cannot be plugged in: there is room for \(room.rawValue)"
        case .notPlugged(let bytes, let all):
            all == .zero
                ? "no memory is plugged in"
                : "\(bytes.rawValue) bytes in a row cannot be taken out: \(all.rawValue) are plugged in"
        case .memoryInUse(let frames):
            "some of the frames from \(frames.lowerBound.rawValue) on are in use, so that they cannot be taken out"
        }
    }
}
