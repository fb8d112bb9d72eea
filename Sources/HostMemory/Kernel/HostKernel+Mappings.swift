import CSystemShims
import Glibc
package import SystemPackage

/// What may be done with a mapping.
package enum Protection: Sendable {
    /// PROT_NONE.
    case none
    /// PROT_READ.
    case readOnly
    /// PROT_READ | PROT_WRITE.
    case readWrite

    var flags: CInt {
        switch self {
        case .none: PROT_NONE
        case .readOnly: PROT_READ
        case .readWrite: PROT_READ | PROT_WRITE
        }
    }
}

/// What the kernel is told about a range.
package enum Advice: Sendable {
    /// MADV_DONTFORK: a child that is forked does not get it.
    case dontFork
    /// MADV_HUGEPAGE: put transparent huge pages here where there are any.
    case hugePage
    /// MADV_NOHUGEPAGE: never put a transparent huge page here.
    case noHugePage
    /// MADV_MERGEABLE: let KSM merge equal pages here.
    case mergeable
    /// MADV_UNMERGEABLE: give merged pages frames of their own again, before it returns.
    case unmergeable
    /// MADV_POPULATE_READ (Linux 5.14): fault every page in for reading.
    case populateRead
    /// MADV_POPULATE_WRITE (Linux 5.14): give every page a frame of its own, and report what fails instead of dying.
    case populateWrite
    /// MADV_DONTNEED: give the frames back; of private memory the contents are gone.
    case dontNeed

    /// Whether it is the mapping that is marked: one that is marked in part is divided.
    var marksMapping: Bool {
        switch self {
        case .dontFork, .hugePage, .noHugePage, .mergeable, .unmergeable: true
        case .populateRead, .populateWrite, .dontNeed: false
        }
    }

    var flag: CInt {
        switch self {
        case .dontNeed: MADV_DONTNEED
        case .dontFork: MADV_DONTFORK
        case .hugePage: MADV_HUGEPAGE
        case .noHugePage: MADV_NOHUGEPAGE
        case .mergeable: MADV_MERGEABLE
        case .unmergeable: MADV_UNMERGEABLE
        // Younger than many C libraries: MADV_POPULATE_READ and MADV_POPULATE_WRITE.
        case .populateRead: 22
        case .populateWrite: 23
        }
    }
}

extension HostKernel {
    /// Maps a private, anonymous, read-write region at a multiple of `alignment`, between two guard pages.
    ///
    /// The corresponding C function is `mmap`. The region has no frames yet. Throws when the address space or the
    /// mappings run out, or, unless `isReserved` is false, for more than the host could ever hold
    /// (vm.overcommit_memory); and ``HostError/Code-swift.struct/invalid`` unless the length is some whole pages and
    /// the alignment a power of two of pages.
    package static func mapRegion(
        length: ByteCount, alignment: ByteCount, isReserved: Bool = true
    ) throws(HostError) -> AddressRange {
        let place = HostError.Place.addresses(AddressRange(start: Address(0), length: length))
        guard length > .zero, length.isWholePages, alignment.isPowerOfTwo, alignment >= HostLimits.pageSize else {
            throw HostError(.invalidArgument, .mapRegion, place)
        }
        let start = try mappingCall(
            .mapRegion, place,
            { vme_region_map(length.rawValue, alignment.rawValue, isReserved) })
        return AddressRange(start: Address(UInt(start)), length: length)
    }

    /// Removes a region made by ``mapRegion(length:alignment:)``, its guard pages, and whatever was mapped over it.
    package static func unmapRegion(_ range: AddressRange) throws(HostError) {
        _ = try mappingCall(.unmap, .addresses(range)) { vme_region_unmap(range.start.rawValue, range.length.rawValue) }
    }

    /// The guard pages on both sides of a region made by ``mapRegion(length:alignment:isReserved:)``.
    package static func guardPages(of range: AddressRange) -> [AddressRange] {
        let pageSize = HostLimits.pageSize
        return [
            AddressRange(start: range.start - pageSize, length: pageSize),
            AddressRange(start: range.end, length: pageSize),
        ]
    }

    /// A region with its guard pages.
    package static func withGuardPages(_ range: AddressRange) -> AddressRange {
        AddressRange(start: range.start - HostLimits.pageSize, length: range.length + HostLimits.pageSize * 2)
    }

    /// Maps private anonymous memory where the kernel likes. The corresponding C function is `mmap`.
    package static func mapAnonymous(length: ByteCount) throws(HostError) -> AddressRange {
        let start = try mappingCall(
            .mapAnonymous, .addresses(AddressRange(start: Address(0), length: length)),
            {
                // SAFETY: a mapping at an address of the kernel's choosing is in nobody's way.
                unsafe addressResult(
                    mmap(nil, length.rawValue, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
            })
        return AddressRange(start: Address(UInt(start)), length: length)
    }

    /// Maps huge pages of the host's own of `size`, a power of two, private and read-write; each is taken from its pool
    /// when it is first written. The corresponding C function is `mmap` with MAP_HUGETLB.
    ///
    /// Throws ``HostError/Code-swift.struct/outOfMemory`` where they cannot be reserved, and
    /// ``HostError/Code-swift.struct/invalid`` for a size that is none of the host's.
    ///
    /// - Parameter isReserved: whether the pool promises them now; otherwise (MAP_NORESERVE) the first store may find
    ///   none.
    package static func mapHugePages(
        size: ByteCount, count: Int = 1, isReserved: Bool = true
    ) throws(HostError) -> AddressRange {
        let one = HostError.Place.addresses(AddressRange(start: Address(0), length: size))
        // To the kernel, the logarithm 0 is its default size.
        guard size.isPowerOfTwo, size > HostLimits.pageSize, count > 0, let length = size.multiplied(by: count) else {
            throw HostError(.invalidArgument, .mapHugePage, one)
        }
        let logarithm = CInt(size.rawValue.trailingZeroBitCount) << MAP_HUGE_SHIFT
        let start = try mappingCall(
            .mapHugePage, .addresses(AddressRange(start: Address(0), length: length)),
            {
                let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (isReserved ? 0 : MAP_NORESERVE)
                // SAFETY: a mapping at an address of the kernel's choosing is in nobody's way.
                return unsafe addressResult(
                    mmap(nil, length.rawValue, PROT_READ | PROT_WRITE, flags | logarithm, -1, 0))
            })
        return AddressRange(start: Address(UInt(start)), length: length)
    }

    /// Replaces whatever is mapped at `range` by private anonymous memory. The corresponding C function is `mmap`.
    ///
    /// Readers of the range see zeros from then on: no way to give a page its frame back under readers. It is here for
    /// the experiment that shows so.
    package static func mapAnonymous(at range: AddressRange) throws(HostError) {
        _ = try mappingCall(.mapAnonymous, .addresses(range)) {
            // SAFETY: the caller owns what is mapped there.
            unsafe addressResult(
                mmap(
                    range.start.pointer, range.length.rawValue, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0))
        }
    }

    /// Replaces whatever is mapped at `range` by nothing that can be read, and keeps the addresses. The corresponding C
    /// function is `mmap` with PROT_NONE. Refused, it may leave a gap.
    package static func mapNothing(at range: AddressRange) throws(HostError) {
        _ = try mappingCall(.mapAnonymous, .addresses(range)) {
            // SAFETY: the caller owns what is mapped there.
            unsafe addressResult(
                mmap(
                    range.start.pointer, range.length.rawValue, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0))
        }
    }

    /// Replaces whatever is mapped at `range` by pages of a file, shared. The corresponding C function is `mmap`.
    ///
    /// The replacement is one step for every reader. When it is refused the old mapping normally stays; a late refusal
    /// can leave a gap, so the caller repairs the range, not only what it had changed before.
    @inline(__always)
    package static func mapFile(
        _ file: FileDescriptor, at range: AddressRange, offset: ByteCount, _ protection: Protection
    ) throws(HostError) {
        _ = try mappingCall(.mapFile, .addresses(range)) {
            // SAFETY: the caller owns what is mapped there, and reads and writes it by MemoryAccess alone.
            unsafe addressResult(
                mmap(
                    range.start.pointer, range.length.rawValue, protection.flags, MAP_SHARED | MAP_FIXED,
                    file.rawValue, offset.rawValue))
        }
    }

    /// Maps a whole file, shared, read-write, where the kernel likes. The corresponding C function is `mmap`.
    ///
    /// Of a file of huge pages the pool promises all that are not there yet, or it throws
    /// ``HostError/Code-swift.struct/outOfMemory``.
    package static func mapFile(_ file: FileDescriptor, length: ByteCount) throws(HostError) -> AddressRange {
        let start = try mappingCall(
            .mapFile, .addresses(AddressRange(start: Address(0), length: length)),
            {
                // SAFETY: a mapping at an address of the kernel's choosing is in nobody's way.
                unsafe addressResult(mmap(nil, length.rawValue, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0))
            })
        return AddressRange(start: Address(UInt(start)), length: length)
    }

    /// Removes every mapping in `range`. The corresponding C function is `munmap`.
    package static func unmap(_ range: AddressRange) throws(HostError) {
        _ = try mappingCall(.unmap, .addresses(range)) {
            // SAFETY: the caller owns what is mapped there.
            unsafe result(munmap(range.start.pointer, range.length.rawValue))
        }
    }

    /// Changes what may be done with the pages of `range`. The corresponding C function is `mprotect`.
    ///
    /// Once it returns, no processor writes through a stale translation.
    package static func protect(_ range: AddressRange, _ protection: Protection) throws(HostError) {
        _ = try mappingCall(.protect, .addresses(range)) {
            // SAFETY: the caller owns what is mapped there.
            unsafe result(mprotect(range.start.pointer, range.length.rawValue, protection.flags))
        }
    }

    /// Tells the kernel how to treat `range`. The corresponding C function is `madvise`.
    package static func advise(_ range: AddressRange, _ advice: Advice) throws(HostError) {
        if advice.marksMapping {
            _ = try mappingCall(.advise, .addresses(range)) { adviseResult(range, advice.flag) }
        } else {
            _ = try call(.advise, .addresses(range)) { adviseResult(range, advice.flag) }
        }
    }

    /// `madvise`, whatever the advice.
    static func adviseResult(_ range: AddressRange, _ advice: CInt) -> Int64 {
        // SAFETY: contents stay what they are, but for MADV_DONTNEED, of memory that the caller owns.
        unsafe result(madvise(range.start.pointer, range.length.rawValue, advice))
    }

    /// Moves the pages of `source` to `target`, replacing what is mapped there. The corresponding C function is
    /// `mremap`.
    ///
    /// One step for every reader of the target. The kernel wants six mappings to spare; no other thread that maps
    /// through ``HostKernel`` takes them while it looks.
    @inline(__always)
    package static func move(_ source: AddressRange, to target: Address) throws(HostError) {
        _ = try moveCall(.move, .addresses(AddressRange(start: target, length: source.length))) {
            vme_move(source.start.rawValue, source.length.rawValue, target.rawValue)
        }
    }

    /// Gives every page of `range` a frame of its own, or reports that there is none.
    ///
    /// On kernels before 5.14, which do not know the advice, this does nothing and the first store to each page does
    /// it. Throws ``HostError/Code-swift.struct/invalid`` unless the range is whole pages.
    ///
    /// - Returns: whether the kernel knows the advice.
    @discardableResult
    package static func populate(_ range: AddressRange) throws(HostError) -> Bool {
        try checkWholePages(range)
        do {
            try advise(range, .populateWrite)
            return true
        } catch  where error.errno == .invalidArgument {
            return false
        }
    }

    /// Tells the kernel to put no transparent huge pages in `range`. On kernels built without them there is nothing
    /// to tell. Throws ``HostError/Code-swift.struct/invalid`` unless the range is whole pages.
    package static func forbidHugePages(_ range: AddressRange) throws(HostError) {
        try checkWholePages(range)
        do {
            try advise(range, .noHugePage)
        } catch  where error.errno == .invalidArgument {
            return
        }
    }

    /// Tells a range that is none from advice that the kernel does not know: it says EINVAL to both.
    private static func checkWholePages(_ range: AddressRange) throws(HostError) {
        if !range.isWholePages { throw HostError(.invalidArgument, .advise, .addresses(range)) }
    }
}
