import HostMemory
import VmemmapEmulator

/// In how many rounds a part of the run was made short of something, for real.
struct StressShortages: Hashable, Sendable, Codable {
    /// Of address space: RLIMIT_AS lowered.
    var addressSpace = 0
    /// Of mappings: vm.max_map_count reached by ballast.
    var mappings = 0
    /// Of descriptors: RLIMIT_NOFILE lowered.
    var openFiles = 0
    /// Of room in the file system that the region's frames come from: a tmpfs filled (ENOSPC).
    var fileSystem = 0
    /// Of frames: a budget for restores.
    var frames = 0
}

/// What a stress run has done and seen, up to now or in all.
struct StressFigures: Hashable, Sendable, Codable {
    /// Time since the run began.
    var elapsedNanoseconds = 0
    /// Huge pages optimized and restored again.
    var cycles = 0
    /// Huge pages optimized, and huge pages restored, put-backs included.
    var remaps = 0
    /// Those of them that the region's own optimize and restore calls made.
    var regionRemaps = 0
    /// Time in these calls, of all workers.
    var regionRemapNanoseconds = 0
    /// The time for each; null before the first.
    var remapMeanNanoseconds = Measured<Int>.notMeasured
    /// Operations of all workers.
    var operations = 0
    /// compound_heads read and checked.
    var headReads = 0
    /// Whole vmemmap pages read and checked.
    var pageReads = 0
    /// Of these, how often one was read again because a change had crossed the read.
    var crossedReads = 0
    /// Reads that were not as they must be.
    var wrongReads = 0
    /// Calls that were not made but failed on purpose.
    var failedCalls = 0
    /// Operations that this happened to.
    var faultedOperations = 0
    /// Operations that ended in an error because of it, or because the host refused.
    var refusedOperations = 0
    /// Those of them in which no call was failed on purpose: the host's own refusals.
    var hostRefusals = 0
    /// Huge pages that two refusals had left half-way, mended.
    var mendedPages = 0
    /// What was made scarce.
    var shortages = StressShortages()
    /// Signals sent to walkers and workers.
    var signals = 0
    /// Children forked.
    var forks = 0
    /// Times that frames, mappings, files, contents and counts were held against the model.
    var checks = 0
    /// Times that machine and region were built.
    var epochs = 0

    /// Everything that is counted up.
    private static let counts: [any WritableKeyPath<StressFigures, Int> & Sendable] = [
        \.elapsedNanoseconds, \.cycles, \.remaps, \.regionRemaps, \.regionRemapNanoseconds, \.operations, \.headReads,
        \.pageReads, \.crossedReads, \.wrongReads, \.failedCalls, \.faultedOperations, \.refusedOperations,
        \.hostRefusals, \.mendedPages, \.shortages.addressSpace, \.shortages.mappings, \.shortages.openFiles,
        \.shortages.fileSystem, \.shortages.frames, \.signals, \.forks, \.checks, \.epochs,
    ]

    /// What has been done between an earlier moment and this one.
    func since(_ earlier: StressFigures) -> StressFigures {
        var difference = self
        for count in Self.counts { difference[keyPath: count] -= earlier[keyPath: count] }
        difference.takeMean()
        return difference
    }

    mutating func takeMean() {
        remapMeanNanoseconds = regionRemaps > 0 ? .value(regionRemapNanoseconds / regionRemaps) : .notMeasured
    }
}

/// A moment of a run, for a line of progress.
struct StressProgress: Hashable, Sendable {
    /// The scheme that is run.
    let scheme: Scheme
    /// Its backing.
    let backing: Backing
    /// What has been done since the last line.
    let sinceLast: StressFigures
    /// What has been done since the run began.
    let total: StressFigures
}

/// What the process has between two epochs, when neither machine nor region is there.
struct StressFootprint: Hashable, Sendable, Codable {
    /// Rss of smaps_rollup; null before Linux 4.14.
    let rssBytes: Measured<ByteCount>
    /// Lines of /proc/self/maps.
    let mappings: MappingCount
    /// Entries of /proc/self/fd.
    let openFiles: Int
}

/// A scheme on a backing, as it was run.
struct StressCombinationResult: Hashable, Sendable, Codable {
    /// The scheme.
    let scheme: Scheme
    /// The backing.
    let backing: Backing
    /// What was done.
    let figures: StressFigures
}

/// A stress run and its verdict.
struct StressResult: Hashable, Sendable, Codable {
    /// What there was to run it on.
    let host: HostBlock
    /// Everything drawn followed from it.
    let seed: UInt64
    /// Huge pages of the region, and of the machine.
    let pages: HugePageCount
    /// Their size.
    let hugePageBytes: ByteCount
    /// Threads that read.
    let walkers: Int
    /// Threads that remap.
    let workers: Int
    /// What was made to fail.
    let faults: StressConfiguration.Faults
    /// What was run, one after the other.
    let combinations: [StressCombinationResult]
    /// All of it.
    let total: StressFigures
    /// What this host did not let be made scarce, and why.
    let leftOut: [String]
    /// The process after each epoch, in order. One that found a violation is not among them, but for growth.
    let footprints: [StressFootprint]
    /// Every promise, and how often it was looked at.
    let claims: [StressClaimCheck]
    /// Whether somebody ended the run before its time.
    let wasEnded: Bool
    /// What must never have been; left out if there is nothing.
    let violation: StressViolation?

    /// Whether everything held.
    var holds: Bool { violation == nil && total.wrongReads == 0 }
}
