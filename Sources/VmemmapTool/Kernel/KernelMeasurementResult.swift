import HostLab
import HostMemory
import VmemmapEmulator

/// What the host's own pool took, with vmemmap optimization off and on, and what that freed.
struct KernelMeasurementResult: Hashable, Sendable, Codable {
    /// Huge pages put into the pool and taken out again.
    struct Cycle: Hashable, Sendable, Codable {
        /// vm.hugetlb_optimize_vmemmap meanwhile.
        let isOptimizing: Bool
        /// Huge pages that the host gave; it may be fewer than it was asked for.
        let pages: HugePageCount
        /// The write to nr_hugepages that put them in.
        let allocateNanoseconds: Int
        /// The write that took them out.
        let freeNanoseconds: Int
        /// How far nr_memmap_pages + nr_memmap_boot_pages fell with them in. Null before Linux 6.11.
        let memmapFallPages: Measured<PageCount>
        /// What was missing of that sum with them out again.
        let memmapMissingPages: Measured<PageCount>

        /// The time to put one in.
        var allocatePerPage: Double { Double(allocateNanoseconds) / Double(pages.rawValue) }
        /// The time to take one out.
        var freePerPage: Double { Double(freeNanoseconds) / Double(pages.rawValue) }
    }

    /// One cycle with the optimization off, one with it on, one right after the other.
    struct Pair: Hashable, Sendable, Codable {
        /// Optimization off.
        let off: Cycle
        /// Optimization on.
        let on: Cycle
    }

    /// One operation for one huge page, over all pairs.
    struct Operation: Hashable, Sendable, Codable {
        /// Optimization off.
        let offNanoseconds: Spread
        /// Optimization on.
        let onNanoseconds: Spread
        /// What the optimization adds: the pairs' differences. Below 0 where the host's own noise is larger.
        let addedNanoseconds: Spread

        init(_ pairs: [Pair], _ time: (Cycle) -> Double) {
            offNanoseconds = Spread(pairs.map { time($0.off) })
            onNanoseconds = Spread(pairs.map { time($0.on) })
            addedNanoseconds = Spread(pairs.map { time($0.on) - time($0.off) })
        }
    }

    /// Huge pages asked for, on top of those that were there.
    let pagesAsked: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// Huge pages that the pool had.
    let pagesBefore: HostHugePageCount
    /// The huge page that came before all others.
    let trial: KernelTrial
    /// The scheme that the kernel optimizes by.
    let scheme: Scheme
    /// Who says so.
    let schemeSource: SchemeOfKernel.Source
    /// The pair that is not counted: it pays for memory that the host sees for the first time.
    let warmUp: Pair
    /// The counted pairs, in the order of the run. Who goes first changes with every pair.
    let pairs: [Pair]
    /// Why nothing is judged by the times: too few huge pages, or pairs. Null if they are enough.
    let notJudged: Measured<String>
    /// Putting into the pool.
    let allocate: Operation
    /// Taking out.
    let free: Operation
    /// Base pages of struct pages that this scheme frees for each huge page: 7 (2 MiB) or 4095 (1 GiB), and one less
    /// under first-tail.
    let freedPagesPerHugePage: PageCount
    /// The flags of one of the host's huge pages, not optimized. Null where the kernel does not show them to this
    /// process.
    let flagsOff: Measured<FlagsCheck>
    /// The flags of one that is.
    let flagsOn: Measured<FlagsCheck>

    init(
        asked: HugePageCount, size: HugePageSize, before: HostHugePageCount, trial: KernelTrial, scheme: SchemeOfKernel,
        warmUp: Pair, pairs: [Pair], freedPagesPerHugePage: PageCount, flagsOff: FlagsCheck?, flagsOn: FlagsCheck?
    ) {
        pagesAsked = asked
        hugePageBytes = size.bytes
        pagesBefore = before
        self.trial = trial
        self.scheme = scheme.scheme
        schemeSource = scheme.source
        self.warmUp = warmUp
        self.pairs = pairs
        allocate = Operation(pairs, \.allocatePerPage)
        free = Operation(pairs, \.freePerPage)
        notJudged = Measured(
            SampleSize.shortfall(Self.fewest(of: [warmUp] + pairs), of: size.bytes, pairs: pairs.count))
        self.freedPagesPerHugePage = freedPagesPerHugePage
        self.flagsOff = Measured(flagsOff)
        self.flagsOn = Measured(flagsOn)
    }

    /// The fewest huge pages that the host gave in any cycle.
    var fewestPages: HugePageCount { Self.fewest(of: [warmUp] + pairs) }

    private static func fewest(of pairs: [Pair]) -> HugePageCount {
        pairs.flatMap { [$0.off.pages, $0.on.pages] }.min() ?? .zero
    }

    /// Why the times are not judged, and which pairs stand far out; empty where there is nothing to say.
    ///
    /// - Parameter reason: why nothing is judged that has been said already.
    func notes(besides reason: String? = nil) -> [String] {
        let outliers = [("allocate", allocate), ("free", free)].flatMap { name, operation in
            [("off", operation.offNanoseconds), ("on", operation.onNanoseconds)].compactMap { how, spread in
                SampleSize.note("the kernel, \(name), optimization \(how)", spread)
            }
        }
        let why = notJudged.value.flatMap { $0 == reason ? nil : $0 }
        return (why.map { ["the kernel's times are not judged: \($0)"] } ?? []) + outliers
    }
}

/// The rule of the kernel's own test (``HugePageFlagsRule``) applied to huge pages.
struct FlagsCheck: Hashable, Sendable, Codable {
    /// Base pages looked at.
    let basePages: Int
    /// Those that break the rule.
    let violations: Int
    /// Those of them that are fake heads, shown as heads.
    let fakeHeadsShown: Int
    /// The first other one, in words; null if there is none.
    let firstOtherViolation: Measured<String>

    /// - Parameters:
    ///   - hugePages: the flags of each huge page looked at.
    ///   - geometry: theirs.
    init(_ hugePages: some Sequence<[UInt64]>, _ geometry: Geometry) {
        var (basePages, violations, fakeHeads) = (0, 0, 0)
        var other: HugePageFlagsRule.Violation?
        for flags in hugePages {
            basePages += flags.count
            for violation in HugePageFlagsRule.violations(flags) {
                violations += 1
                if violation.isFakeHead(structPagesPerVmemmapPage: geometry.structPagesPerVmemmapPage) {
                    fakeHeads += 1
                } else {
                    other = other ?? violation
                }
            }
        }
        self.basePages = basePages
        self.violations = violations
        fakeHeadsShown = fakeHeads
        firstOtherViolation = Measured(other.map { "\($0)" })
    }
}
