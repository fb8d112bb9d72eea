public import HostMemory

/// The emulated machine and how its HugeTLB layer behaves.
public struct MachineConfiguration: Hashable, Sendable {
    /// What becomes of a huge page whose vmemmap cannot be restored.
    public enum RestoreFailure: String, Hashable, Sendable, Codable, CaseIterable {
        /// It stays allocated and optimized, and counts as surplus; writing nr_hugepages again retries. Linux since
        /// 5.14.
        case surplus
        /// The restore waits until there is memory. The v5 series (`GFP_KERNEL | __GFP_NOFAIL`); here not for ever but
        /// for ``longestWaitNanoseconds``, and then as ``surplus``.
        case wait
    }

    /// How long a restore waits for memory before it reports that there is none: half a second.
    public static let longestWaitNanoseconds = 500_000_000

    /// When the vmemmap of a freed huge page is restored.
    public enum Release: String, Hashable, Sendable, Codable, CaseIterable {
        /// Before the operation that frees it returns.
        case synchronous
        /// By a worker, later; the counts drop at once (v5 patch 10).
        case deferred
    }

    /// Which huge pages are optimized.
    public enum Policy: String, Hashable, Sendable, Codable, CaseIterable {
        /// Every one.
        case all
        /// Those of the pool: short-lived surplus pages are left untouched (Hocko's wish in the thread).
        case poolOnly = "pool-only"
    }

    /// Emulated memory, in whole base pages: what does not fill one at the end is not there.
    public var memory: ByteCount
    /// Its base page and its huge pages.
    public var sizes = MachineSizes.x86
    /// The last of it, which is not there at boot and can be plugged in: whole memory blocks
    /// (``MachineSizes/memoryBlock``), and what is before it is, too.
    package var pluggable = ByteCount.zero
    /// How many nodes the memory is of, 1 or 2. Of two, the first has ZONE_NORMAL and the second ZONE_MOVABLE.
    package var nodes = 1
    /// Where the second zone begins, a multiple of a block; nil: in the middle, and never within a gigantic page.
    package var zoneBorder: ByteCount?
    /// Memory that is there and belongs to nobody (`Reserved` of the firmware's map): no huge page contains any of it.
    package var reserved: [Range<ByteCount>] = []
    /// How vmemmap is shared.
    public var scheme: Scheme
    /// What the region consists of.
    public var backing: Backing
    /// How it is mapped as it is built.
    package var mapping: RegionMapping
    /// How many frames in a row serve the tails.
    public var tailFrames: TailFrames
    /// sizeof(struct page), one of ``Geometry/structPageSizes``. Where it is no power of two, a struct page may
    /// straddle vmemmap pages and nothing is optimized (v5 patch 21).
    public var structPageSize: ByteCount
    /// `hugetlb_free_vmemmap=on`: the sysctl's value at boot. Off unless asked for.
    public var optimizesAtBoot: Bool
    /// When freed huge pages are restored.
    public var release: Release
    /// What becomes of one that cannot be.
    public var restoreFailure: RestoreFailure
    /// Which ones are optimized.
    public var policy: Policy
    /// Whether the pool keeps what it has: huge pages are never given back, so nothing is ever restored (boot-only).
    public var keepsPages: Bool

    /// A machine with `memory`; everything else as upstream has it, HugeTLB vmemmap optimization off.
    public init(memory: ByteCount, scheme: Scheme = .firstTail, backing: Backing = .anonymous) {
        self.init(memory: memory, scheme: scheme, backing: backing, mapping: .pte)
    }

    /// The same, with everything said.
    package init(
        memory: ByteCount, scheme: Scheme = .firstTail, backing: Backing = .anonymous, mapping: RegionMapping = .pte,
        tailFrames: TailFrames = .frames(PageCount(1)), structPageSize: ByteCount = StructPage.size,
        optimizesAtBoot: Bool = false, release: Release = .synchronous, restoreFailure: RestoreFailure = .surplus,
        policy: Policy = .all, keepsPages: Bool = false
    ) {
        self.memory = memory
        self.scheme = scheme
        self.backing = backing
        self.mapping = mapping
        self.tailFrames = tailFrames
        self.structPageSize = structPageSize
        self.optimizesAtBoot = optimizesAtBoot
        self.release = release
        self.restoreFailure = restoreFailure
        self.policy = policy
        self.keepsPages = keepsPages
    }

    /// What optimizing huge pages of one size does; nil where the memory holds not one, or the machine has none of that
    /// size (``sizes``), or cannot be booted: the initializer of ``EmulatedMachine`` says why.
    public func plan(_ size: HugePageSize) -> MappingPlan? { (try? checkedPlan(size)) ?? nil }

    /// The same, and why there can be no such machine.
    func checkedPlan(_ size: HugePageSize) throws(VmemmapError) -> MappingPlan? {
        guard sizes.hugePages.contains(size) else { return nil }
        let geometry = Geometry(basePageSize: sizes.basePage, hugePageSize: size, structPageSize: structPageSize)
        guard let geometry else { throw VmemmapError(.build, .unusableStructPage(structPageSize)) }
        let pages = memory.rawValue / size.bytes.rawValue
        guard pages > 0 else { return nil }
        guard HugePageCount(pages) <= geometry.mostPages else {
            throw VmemmapError(.build, .unusableCount(HugePageCount(pages)))
        }
        let firstZone = min(pages, max(1, blocksInFirstZone / sizes.blocks(in: size)))
        return try MappingPlan(
            geometry: geometry, scheme: scheme, backing: backing, mapping: mapping, hugePages: HugePageCount(pages),
            firstZone: HugePageCount(firstZone), tailFrames: tailFrames)
    }

    /// Base pages.
    var frames: Int { memory.rawValue / sizes.basePage.rawValue }

    /// Whole blocks.
    var blocks: Int { memory.rawValue / sizes.block.bytes.rawValue }

    /// Base pages that are there at boot.
    package var bootFrames: Int { (memory - pluggable).rawValue / sizes.basePage.rawValue }

    /// The first half of the memory is ZONE_NORMAL, the second ZONE_MOVABLE, cut where a gigantic page would be unless
    /// ``zoneBorder`` says otherwise; less than two of those are one zone.
    var blocksInFirstZone: Int {
        if let zoneBorder { return zoneBorder.rawValue / sizes.block.bytes.rawValue }
        let gigantic = sizes.blocksPerGigantic
        let stretches = blocks / gigantic
        return stretches > 1 ? (stretches + 1) / 2 * gigantic : blocks
    }
}

extension MachineConfiguration {
    /// Where the huge pages of the second node begin; nil: there is one node.
    func border(_ plan: MappingPlan) -> HugePageIndex? {
        nodes > 1 ? HugePageIndex(plan.hugePagesInFirstZone.rawValue) : nil
    }

    /// The gigantic page that the border of the zones would lie in.
    var giganticAcrossZones: HugePageIndex? {
        let (page, rest) = blocksInFirstZone.quotientAndRemainder(dividingBy: sizes.blocksPerGigantic)
        return blocksInFirstZone < blocks && rest != 0 ? HugePageIndex(page) : nil
    }

    /// What is there at boot, and what is not.
    func memoryBlocks(_ geometry: Geometry) -> MemoryBlocks {
        let size = sizes.memoryBlock
        return MemoryBlocks(
            size, bootFrames: bootFrames, blocks: pluggable.rawValue / size.rawValue, geometry)
    }

    /// The base pages that some memory has a byte of.
    func frames(in memory: Range<ByteCount>) -> Range<PageFrameNumber> {
        let pageSize = sizes.basePage.rawValue
        return PageFrameNumber(
            memory.lowerBound.rawValue / pageSize)..<PageFrameNumber((memory.upperBound.rawValue - 1) / pageSize + 1)
    }
}
