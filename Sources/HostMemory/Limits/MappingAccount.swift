/// The figures that the account of mappings is kept by: what a process needs free of vm.max_map_count, what it has
/// beside its regions, and how far that changes; and those of its threads' stacks.
package enum MappingAccount {
    /// The highest limit that a kernel takes: an int.
    package static let highestLimit = MappingCount(Int(Int32.max))
    /// The limit that a kernel has by itself (DEFAULT_MAX_MAP_COUNT).
    package static let defaultLimit = MappingCount(65530)

    // MARK: In the engine

    /// What a restore at the limit needs free: staging takes a mapping, cutting a piece out of it another, and
    /// mremap(MREMAP_FIXED) wants six to be free before it looks at what it needs.
    package static let neededByRestore = MappingCount(8)
    /// What is held in reserve for it: the outermost two may merge with their neighbours.
    package static let reserve = neededByRestore + MappingCount(2)
    /// How far the rest of the process may change between two counts: thread stacks, malloc.
    package static let slack = MappingCount(256)

    // MARK: Planning for a host

    /// Kept for the rest of the process: the reserve, the stacks and malloc arenas of walkers, the report.
    package static let keptForProcess = reserve + MappingCount(64)
    /// What the next process may have more than this one: the runtime's stacks and malloc arenas, two mappings each,
    /// come when they like. A number that is named leaves room for them.
    package static let variation = MappingCount(16)
    /// The same for an emulated node, since the process that plans for it has not run anything yet.
    package static let nodeVariation = MappingCount(64)
    /// What the process may map meanwhile, where a limit is worked out.
    package static let growth = MappingCount(1024)
    /// What stays free while something is timed: near the limit the budget counts every mapping of the process anew.
    package static let spareWhileTiming = MappingCount(1024)
    /// What may be added from one set-up of a long run to a later one: glibc keeps up to 16 heaps of two mappings each
    /// on two processors, and 40 MiB of stacks.
    package static let mostGrowth = MappingCount(64)

    // MARK: Stacks of threads, which take from the process's own limits

    /// Threads whose stacks the limits must have room for.
    package static let threads = 8
    /// What the next process may take more of the limits than this one: the runtime's threads map stacks when they
    /// like.
    package static let stackVariation = ByteCount.mebibytes(16)
}
