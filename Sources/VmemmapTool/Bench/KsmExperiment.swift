import Glibc
import HostLab
import HostMemory
import VmemmapEmulator

/// The engine beside KSM, by alternating pairs in one run.
struct KsmExperiment {
    let plan: MappingPlan
    let pairs: Int
    /// Guards ``SamePageMerging/tunables``.
    let settings: ChangedSettings

    /// So many pages may show one frame: no bound for any number of huge pages that fits a host.
    private static let maxPageSharing = Int(Int32.max)
    /// How long ksmd may save nothing more before it is taken to be done.
    private static let patienceNanoseconds = 20_000_000_000

    /// Why KSM saved fewer frames than it was to.
    struct OutOfReach: Error {
        let reason: String
    }

    /// - Parameter isThrough: called after every pair, the warm-up too; false ends it with those there are.
    func run(isThrough: () -> Bool) throws -> KsmResult {
        let region = try VmemmapRegion(plan)
        let copy = try PrivateCopy(of: region.range)
        try settings.set(SamePageMerging.maxPageSharing, to: Self.maxPageSharing)
        // It does not sleep; between two passes it lets go of the lock that writing its tunables takes.
        try settings.set(SamePageMerging.pagesToScan, to: plan.framesPopulated.rawValue)
        try settings.set(SamePageMerging.sleepMilliseconds, to: 0)
        let saved = try warmUp(region, copy)
        _ = isThrough()
        let cycles = try PairedRuns.alternate(
            pairs,
            {
                (
                    try timed { try region.optimize(region.layout.allHugePages, writers: .excluded) }.nanoseconds,
                    try timed { try region.restore(region.layout.allHugePages, writers: .excluded) }.nanoseconds
                )
            }, { try cycle(copy) }, isThrough: isThrough)
        let pages = plan.hugePages.rawValue
        return KsmResult(
            engineSavedFrames: engineSaves, ksmSavedFrames: saved, targetFrames: target,
            optimize: PairedRuns(cycles.map { .init($0.first.0, $0.second.0) }, pages: pages),
            restore: PairedRuns(cycles.map { .init($0.first.1, $0.second.1) }, pages: pages))
    }

    private var engineSaves: PageCount { plan.framesPopulated - plan.framesOptimized }

    private var target: PageCount {
        // All tail pages of a huge page are equal, and in the shared-tail scheme those of a zone.
        let tailPages = plan.framesPopulated - PageCount(plan.hugePages.rawValue)
        let different = PageCount(plan.templates > .zero ? plan.zones : plan.hugePages.rawValue)
        return min(engineSaves, tailPages - different)
    }

    /// One merge and one unmerge, uncounted; the frames behind the copy are counted between.
    private func warmUp(_ region: VmemmapRegion, _ copy: PrivateCopy) throws -> PageCount {
        try region.optimize(region.layout.allHugePages, writers: .excluded)
        try region.restore(region.layout.allHugePages, writers: .excluded)
        _ = try merge(copy)
        let saved = plan.framesPopulated - (try FrameCount.count(in: copy.range).distinct)
        guard saved >= target else {
            throw OutOfReach(
                reason:
                    "KSM counts \(target.rawValue) frames saved on the host, and here \(saved.rawValue) are: somebody "
                    + "else uses KSM; run "
                    + "it alone"
            )
        }
        try unmerge(copy)
        return saved
    }

    private func cycle(_ copy: PrivateCopy) throws -> (Int, Int) {
        let merged = try merge(copy)
        return (merged, try timed { try unmerge(copy) }.nanoseconds)
    }

    /// Has ksmd merge the copy until as many frames are saved as the target says, and returns how long it took.
    private func merge(_ copy: PrivateCopy) throws -> Int {
        // Forgets what ksmd remembers of the copy, so that each run is the first.
        try settings.set(SamePageMerging.run, to: 2)
        let start = HostKernel.monotonicNanoseconds()
        try HostKernel.advise(copy.range, .mergeable)
        try settings.set(SamePageMerging.run, to: 1)
        defer { _ = try? settings.set(SamePageMerging.run, to: 0) }
        var (saved, lastProgress) = (PageCount.zero, start)
        while true {
            // The clock last: whoever is interrupted between the two reports too much time, not too little.
            let current = try SamePageMerging.pagesSaved()
            let now = HostKernel.monotonicNanoseconds()
            if current >= target { return now - start }
            if current > saved { (saved, lastProgress) = (current, now) }
            guard now - lastProgress < Self.patienceNanoseconds else {
                throw OutOfReach(
                    reason: "KSM saved \(saved.rawValue) of \(target.rawValue) frames and then nothing more for "
                        + "\(Self.patienceNanoseconds / 1_000_000_000) s")
            }
            HostKernel.sleep(nanoseconds: 500_000)
        }
    }

    private func unmerge(_ copy: PrivateCopy) throws { try HostKernel.advise(copy.range, .unmergeable) }
}

/// Private memory of small pages with the contents of another range.
private final class PrivateCopy {
    let range: AddressRange

    init(of original: AddressRange) throws(HostError) {
        range = try HostKernel.mapRegion(length: original.length, alignment: HostLimits.pageSize)
        do throws(HostError) {
            try HostKernel.forbidHugePages(range)
            try HostKernel.populate(range)
        } catch {
            try? HostKernel.unmapRegion(range)
            throw error
        }
        // SAFETY: both ranges are mapped from end to end, of one length, and apart; nobody else knows of the copy.
        guard let source = unsafe original.start.pointer(as: UInt8.self),
            let target = unsafe range.start.pointer(as: UInt8.self)
        else { return }
        unsafe memcpy(target, source, original.length.rawValue)
    }

    // A refusal leaks address space; there is nobody to tell.
    deinit { try? HostKernel.unmapRegion(range) }
}
