public import HostMemory
public import VmemmapEmulator

/// What an experiment asks of the host and the host does not have, with the largest number that fits.
public struct Shortage: Hashable, Sendable {
    /// What runs out.
    public enum Resource: Hashable, Sendable {
        /// Mappings: vm.max_map_count.
        case mappings
        /// Memory, by the named figure.
        case memory(source: String)
        /// Memory in pieces as large as a huge page of the host's own.
        case contiguousMemory
    }

    /// What runs out first.
    public let resource: Resource
    /// Huge pages asked for.
    public let asked: HugePageCount
    /// The size of each.
    public let pageSize: HugePageSize
    /// What they need of the resource, in its unit (mappings or bytes); nil if that does not fit a number.
    public let needed: Int?
    /// What there is of it.
    public let available: Int
    /// The host's limit, of which the rest is in use.
    public let limit: Int
    /// The most huge pages for which there is room.
    public let largest: HugePageCount
}

/// What this host has to give to one experiment, asked once, before anything is mapped.
public struct HostRoom: Hashable, Sendable {
    /// vm.max_map_count.
    public let mappingLimit: MappingCount
    /// Mappings the process has.
    public let mappingsInUse: MappingCount
    /// Memory that can be had.
    public let memory: ByteCount
    /// The name of the figure that says so.
    public let memorySource: String

    /// Mappings kept for the rest of the process: the restore's headroom, the stacks and malloc arenas of walkers,
    /// the report.
    static let mappingReserve = MappingReserve.size + MappingCount(64)
    /// What the next process may have more than this one: the runtime's stacks and malloc arenas, two mappings each, come when
    /// they like. A number that is named leaves room for them.
    static let mappingVariation = MappingCount(16)
    /// Memory kept for the process itself: staging, the books of measuring.
    static let memoryReserve = ByteCount.mebibytes(32)

    /// What a host has.
    public init(mappingLimit: MappingCount, mappingsInUse: MappingCount, memory: ByteCount, memorySource: String) {
        self.mappingLimit = mappingLimit
        self.mappingsInUse = mappingsInUse
        self.memory = memory
        self.memorySource = memorySource
    }

    /// Asks this host.
    public static func current() throws(ExperimentError) -> HostRoom {
        do throws(HostError) {
            let memory = try HostLimits.availableMemory()
            return HostRoom(
                mappingLimit: try HostLimits.maxMapCount(), mappingsInUse: try ProcMaps.count(), memory: memory.bytes,
                memorySource: memory.source)
        } catch {
            throw .host(error)
        }
    }

    /// Mappings that an experiment may have.
    public var freeMappings: MappingCount { max(.zero, mappingLimit - mappingsInUse - Self.mappingReserve) }

    /// The same host with vm.max_map_count out of the way: the kernel's own bound is an int.
    public var withoutMappingLimit: HostRoom {
        HostRoom(
            mappingLimit: MappingCount(Int(Int32.max)), mappingsInUse: mappingsInUse, memory: memory,
            memorySource: memorySource)
    }

    /// The same host with so many mappings more taken: for who measures and must not come near the limit, where the budget counts
    /// every mapping of the process anew.
    func keepingFree(_ mappings: MappingCount) -> HostRoom {
        HostRoom(
            mappingLimit: mappingLimit, mappingsInUse: mappingsInUse + mappings, memory: memory,
            memorySource: memorySource)
    }

    /// What vm.max_map_count must be for a plan, the rest of the process included, with room for its growth meanwhile.
    public func limitNeeded(for plan: MappingPlan) -> MappingCount {
        mappingsInUse + Self.mappingReserve + MappingCount(1024) + plan.mappings(.optimized) * plan.hugePages.rawValue
    }

    /// The most huge pages whose populated struct pages find memory here.
    public func mostPages(_ geometry: Geometry) -> HugePageCount {
        HugePageCount(freeMemory.rawValue / Self.bytesPerPage(geometry))
    }

    /// Throws ``Shortage`` if there is no room for a plan. Where both resources are short, it names the scarcer one.
    ///
    /// - Parameters:
    ///   - plan: what is to be mapped, for as many huge pages as memory holds.
    ///   - construction: built optimized, it takes only what stays.
    ///   - asked: the huge pages asked for; nil: those of the plan.
    public func check(
        _ plan: MappingPlan, _ construction: Construction = .populated, asked: HugePageCount? = nil
    ) throws(ExperimentError) {
        let asked = asked ?? plan.hugePages
        let mappings = shortage(
            .mappings, asked, plan, perPage: plan.mappings(.optimized).rawValue, free: freeMappings.rawValue,
            variation: Self.mappingVariation.rawValue, limit: mappingLimit.rawValue)
        let memory = shortage(
            .memory(source: memorySource), asked, plan, perPage: Self.bytesPerPage(plan, construction),
            free: freeMemory.rawValue, limit: memory.rawValue)
        let shortages = [mappings, memory].compactMap { $0 }
        if let worst = shortages.min(by: { $0.largest < $1.largest }) { throw .shortage(worst) }
    }

    private var freeMemory: ByteCount { max(.zero, memory - Self.memoryReserve) }

    /// Populated, a huge page has all its struct pages, their share of a page table, and a few words of books a vmemmap page.
    private static func bytesPerPage(_ geometry: Geometry) -> Int {
        let vmemmap = geometry.vmemmapBytesPerHugePage.rawValue
        return vmemmap + vmemmap / 512 + geometry.vmemmapPagesPerHugePage.rawValue * 32
    }

    private static func bytesPerPage(_ plan: MappingPlan, _ construction: Construction) -> Int {
        if construction == .populated { return bytesPerPage(plan.geometry) }
        // What stays, its share of the templates, and what is there for every page anyway.
        let frames = plan.framesOptimized.bytes(pageSize: plan.geometry.basePageSize).rawValue
        let vmemmap = plan.geometry.vmemmapBytesPerHugePage.rawValue
        return frames / plan.hugePages.rawValue + bytesPerPage(plan.geometry) - vmemmap
    }

    private func shortage(
        _ resource: Shortage.Resource, _ asked: HugePageCount, _ plan: MappingPlan, perPage: Int, free: Int,
        variation: Int = 0, limit: Int
    ) -> Shortage? {
        // Where nothing is optimized, a huge page costs no mapping.
        guard perPage > 0, asked.rawValue > free / perPage else { return nil }
        let (needed, overflow) = perPage.multipliedReportingOverflow(by: asked.rawValue)
        let available = max(0, free - variation)
        return Shortage(
            resource: resource, asked: asked, pageSize: plan.geometry.hugePageSize, needed: overflow ? nil : needed,
            available: available, limit: limit, largest: HugePageCount(available / perPage))
    }
}
