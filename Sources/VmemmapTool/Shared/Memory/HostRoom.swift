import HostMemory
import VmemmapEmulator

/// What an experiment asks of the host and the host does not have, with the largest number that fits.
struct Shortage: Hashable, Sendable {
    /// What runs out.
    enum Resource: Hashable, Sendable {
        /// Mappings: vm.max_map_count.
        case mappings
        /// Memory, by the named figure.
        case memory(source: String)
        /// Memory in pieces as large as a huge page of the host's own.
        case contiguousMemory
    }

    /// What runs out first.
    let resource: Resource
    /// Huge pages asked for.
    let asked: HugePageCount
    /// The size of each.
    let pageSize: HugePageSize
    /// Whether bench has them, too: HugeTLB's, of its sizes, on this host's base pages.
    var isOfBench = true
    /// What they need of the resource, in its unit (mappings or bytes); nil if that does not fit a number.
    var needed: Int?
    /// What there is of it.
    var available: Int
    /// The host's limit, of which the rest is in use.
    let limit: Int
    /// Whether that is what vm.max_map_count is taken for, as it is hidden.
    var isLimitHidden = false
    /// The most huge pages for which there is room.
    let largest: HugePageCount
    /// How much more of it all would take, with what may be gone until the next process asks; nil where that is not
    /// worked out.
    var lacking: ByteCount?
    /// As many tail frames as let all of them fit, where it is mappings that run out; nil where no number does.
    var fittingTailFrames: PageCount?
    /// All huge pages, where those asked for are one node's share; nil where they are all.
    var share: Share?

    /// Huge pages that are divided among nodes.
    struct Share: Hashable, Sendable {
        /// All of them.
        let pages: HugePageCount
        /// The nodes.
        let nodes: Int
    }

    /// The same of so many that need as much, and have as much, each.
    fileprivate func multiplied(by parts: Int) -> Shortage {
        var all = self
        let product = needed?.multipliedReportingOverflow(by: parts)
        all.needed = product.flatMap { $0.overflow ? nil : $0.partialValue }
        all.available = available * parts
        return all
    }
}

/// What this host has to give to one experiment, asked once, before anything is mapped.
struct HostRoom: Hashable, Sendable {
    /// vm.max_map_count.
    var mappingLimit: MappingCount
    /// Whether it is hidden, and taken for that.
    var isMappingLimitHidden = false
    /// Mappings the process has.
    var mappingsInUse: MappingCount
    /// Memory that can be had.
    var memory: ByteCount
    /// The name of the figure that says so.
    var memorySource: String
    /// What else limits memory: the process's own limits.
    var limits: [MemoryLimit] = []
    /// How many that need as much share the mappings. The memory is one part already.
    var parts = 1

    /// A limit of the process's own memory.
    struct MemoryLimit: Hashable, Sendable {
        /// What is left of it beside the stacks of the process's threads; below 0 where it has no room for those.
        var left: ByteCount
        /// Its name.
        var source: String
        /// Whether shared memory counts too: RLIMIT_AS counts all of a region, RLIMIT_DATA what is private.
        let countsSharedMemory: Bool
    }

    /// Memory kept for the process itself: staging, the account of measuring.
    static let memoryReserve = ByteCount.mebibytes(32)

    /// Asks this host.
    static func current() throws(ExperimentError) -> HostRoom {
        do throws(HostError) {
            let memory = try HostLimits.availableMemory()
            let limit = try HostKernel.unlessHidden(HostLimits.maxMapCount)
            return HostRoom(
                mappingLimit: HostLimits.mappingLimit(told: limit), isMappingLimitHidden: limit == nil,
                mappingsInUse: try ProcMaps.count(), memory: memory.bytes, memorySource: memory.source,
                limits: try currentLimits())
        } catch {
            throw .host(error)
        }
    }

    /// Throws where there is less memory than the process itself needs, or its own limits leave less: an allocation
    /// that is refused ends it.
    ///
    /// - Parameter extra: what it needs beside ``memoryReserve``; nil: more than can be counted.
    static func checkOwnMemory(beside extra: ByteCount? = .zero) throws(ExperimentError) {
        let room = try current()
        guard let extra, extra < room.memory - memoryReserve else {
            let needed = extra.map { Format.bytes(memoryReserve + $0) } ?? "more memory than can be counted"
            throw .refused(
                "the command itself needs \(needed), but \(room.memorySource) leaves \(Format.bytes(room.memory))")
        }
        let needed = memoryReserve + extra
        for limit in room.limits where limit.left < needed {
            throw .refused(
                "\(limit.source) leaves \(Format.bytes(max(.zero, limit.left))), and the command itself needs "
                    + "\(Format.bytes(needed)): raise that limit by "
                    + Format.mebibytes(atLeast: needed + MappingAccount.stackVariation - limit.left))
        }
    }

    /// Where the process's memory has limits, has all threads share one heap from now on: of its own a thread maps
    /// 64 MiB for it, and where that is refused, its first allocation ends the process. First of all in the program,
    /// before there are threads, so that what is left of a limit does not depend on them.
    static func shareHeap() throws(HostError) { if try ProcessLimits.limitMemory() { HeapReserve.share() } }

    /// What the process's own limits leave beside the stacks of its threads.
    private static func currentLimits() throws(HostError) -> [MemoryLimit] {
        guard try ProcessLimits.limitMemory() else { return [] }
        HeapReserve.fill()
        let stacks = try ProcessLimits.threadStack() * MappingAccount.threads
        func limit(_ left: ByteCount?, _ source: String, countsSharedMemory: Bool) -> MemoryLimit? {
            left.map {
                MemoryLimit(left: $0 - stacks, source: source, countsSharedMemory: countsSharedMemory)
            }
        }
        return [
            limit(try ProcessLimits.addressSpaceLeft(), "RLIMIT_AS (ulimit -v)", countsSharedMemory: true),
            limit(try ProcessLimits.privateMemoryLeft(), "RLIMIT_DATA (ulimit -d)", countsSharedMemory: false),
        ].compactMap { $0 }
    }

    /// Mappings that an experiment may have.
    var freeMappings: MappingCount {
        let part = MappingCount((mappingLimit - mappingsInUse).rawValue / parts)
        return max(.zero, part - MappingAccount.keptForProcess)
    }

    /// The same host with vm.max_map_count as high as can be.
    var withoutMappingLimit: HostRoom {
        var room = self
        room.mappingLimit = MappingAccount.highestLimit
        return room
    }

    /// The same host with so many mappings more taken: for who measures and must not come near the limit, where the
    /// budget counts every mapping of the process anew.
    func keepingFree(_ mappings: MappingCount) -> HostRoom {
        var room = self
        room.mappingsInUse = mappingsInUse + mappings * parts
        return room
    }

    /// Half of what is free: for one of two that need as much.
    var half: HostRoom {
        var room = self
        room.memory = ByteCount(memory.rawValue / 2)
        room.memorySource = "half of \(memorySource)"
        for index in limits.indices {
            room.limits[index].left = ByteCount(limits[index].left.rawValue / 2)
            room.limits[index].source = "half of \(limits[index].source)"
        }
        room.parts = parts * 2
        return room
    }

    /// What vm.max_map_count must be for a plan, the rest of the process included, with room for its growth meanwhile.
    func limitNeeded(for plan: MappingPlan) -> MappingCount {
        mappingsInUse + MappingAccount.keptForProcess + MappingAccount.growth
            + plan.mappings(.optimized) * plan.hugePages.rawValue
    }

    /// The most huge pages whose populated struct pages find memory here.
    func mostPages(_ geometry: Geometry) -> HugePageCount {
        HugePageCount(freeMemory.rawValue / Self.bytesPerPage(geometry))
    }

    /// Throws ``Shortage`` if there is no room for a plan. Where both resources are short, it names the scarcer one.
    ///
    /// - Parameters:
    ///   - plan: what is to be mapped, for as many huge pages as memory holds.
    ///   - construction: built optimized, it takes only what stays.
    ///   - asked: the huge pages asked for; nil: those of the plan.
    func check(
        _ plan: MappingPlan, _ construction: Construction = .populated, asked: HugePageCount? = nil
    ) throws(ExperimentError) {
        let asked = asked ?? plan.hugePages
        var mappings = shortage(
            .mappings, asked, plan, perPage: plan.mappings(.optimized).rawValue, free: freeMappings.rawValue,
            variation: MappingAccount.variation.rawValue, limit: mappingLimit.rawValue
        ).map { $0.multiplied(by: parts) }
        mappings?.isLimitHidden = isMappingLimitHidden
        let perPage = Self.bytesPerPage(plan, construction)
        let memory = shortage(
            .memory(source: memorySource), asked, plan, perPage: perPage, free: (memory - Self.memoryReserve).rawValue,
            variation: Self.variation(of: freeMemory), limit: memory.rawValue)
        let ofLimits = limits.map { limit in
            let free = limit.left - Self.memoryReserve
            // All of the region counts, whether there are frames behind it or not.
            let isCounted = limit.countsSharedMemory || plan.backing == .anonymous
            let region = isCounted ? 0 : plan.geometry.vmemmapBytesPerHugePage.rawValue
            return shortage(
                .memory(source: limit.source), asked, plan, perPage: Self.bytesPerPage(plan, .populated) - region,
                free: free.rawValue,
                variation: Self.variation(of: free) + MappingAccount.stackVariation.rawValue, limit: limit.left.rawValue
            )
        }
        let shortages = ([mappings, memory] + ofLimits).compactMap { $0 }
        if let worst = shortages.min(by: { $0.largest < $1.largest }) { throw .shortage(worst) }
    }

    /// What may be gone until the next process asks: a number that is named leaves room for it.
    private static func variation(of memory: ByteCount) -> Int { max(0, memory.rawValue) / 8 }

    private var freeMemory: ByteCount { max(.zero, memory - Self.memoryReserve) }

    /// Populated, a huge page has all its struct pages, their share of a page table, and a few words of account a
    /// vmemmap page.
    private static func bytesPerPage(_ geometry: Geometry) -> Int {
        let vmemmap = geometry.vmemmapBytesPerHugePage.rawValue
        return vmemmap + vmemmap / 512 + geometry.vmemmapPagesPerHugePage.rawValue * 32
    }

    private static func bytesPerPage(_ plan: MappingPlan, _ construction: Construction) -> Int {
        // The kernel's own memory for the mappings counts in a memory cgroup too.
        let populated = bytesPerPage(plan.geometry) + MappingCost.assumed.total(plan.mappings(.optimized)).rawValue
        if construction == .populated { return populated }
        // What stays, its share of the templates, and what is there for every page anyway.
        let frames = plan.framesOptimized.bytes(pageSize: plan.geometry.basePageSize).rawValue
        let vmemmap = plan.geometry.vmemmapBytesPerHugePage.rawValue
        return frames / plan.hugePages.rawValue + populated - vmemmap
    }

    private func shortage(
        _ resource: Shortage.Resource, _ asked: HugePageCount, _ plan: MappingPlan, perPage: Int, free: Int,
        variation: Int = 0, limit: Int
    ) -> Shortage? {
        // Where nothing is optimized, a huge page costs no mapping.
        guard perPage > 0, asked.rawValue > max(0, free) / perPage else { return nil }
        let (needed, overflow) = perPage.multipliedReportingOverflow(by: asked.rawValue)
        let available = max(0, free - variation)
        let (lacking, isFar) = (needed - (free - variation)).multipliedReportingOverflow(by: parts)
        return Shortage(
            resource: resource, asked: asked, pageSize: plan.geometry.hugePageSize,
            isOfBench: plan.scheme.isRemapped && plan.geometry.basePageSize == HostLimits.pageSize
                && HugePageSize.ofBench.contains(plan.geometry.hugePageSize),
            needed: overflow ? nil : needed, available: available, limit: limit,
            largest: HugePageCount(available / perPage),
            lacking: overflow || isFar ? nil : ByteCount(lacking))
    }
}
