import HostMemory
import Synchronization
import VmemmapEmulator

/// A thread that reads what the workers remap: compound_head of random frames, and every so often a whole vmemmap page.
struct StressWalker {
    private let setUp: StressSetUp
    private var generator: SplitMix64
    private let small: VmemmapRegion?

    init(_ setUp: StressSetUp, number: Int) {
        self.setUp = setUp
        generator = SplitMix64(
            seed: StressSeed.derive(setUp.configuration.seed, 3, UInt64(setUp.number), UInt64(number)))
        small = setUp.small
    }

    /// Between two looks at the flag, and two entries in the counters.
    private static let headsPerStretch = 1024
    private static let pagesPerStretch = 4

    mutating func run() {
        while !setUp.shouldStop.load(ordering: .acquiring) {
            for _ in 0..<Self.headsPerStretch {
                visitRegion()
                visitMachine()
            }
            setUp.counters.reads.count(2 * Self.headsPerStretch)
            setUp.counters.looked(at: .walkerSeesHead, 2 * Self.headsPerStretch)
            for _ in 0..<Self.pagesPerStretch {
                readPage(setUp.regionContents, setUp.region)
                if let small { readPage(setUp.machineContents, small) }
            }
        }
    }

    private mutating func draw(_ count: Int) -> Int {
        // The high half of a full product is uniform to within 2^-44 and costs no division.
        Int(truncatingIfNeeded: generator.next().multipliedFullWidth(by: UInt64(count)).high)
    }

    /// A frame of the region is always in the same huge page.
    private mutating func visitRegion() {
        let region = setUp.region
        let frame = PageFrameNumber(draw(region.layout.frames.count))
        let seen = region.observedHead(of: frame)
        let expected = region.layout.head(of: frame)
        if seen?.head != expected { wrongHead(seen?.word, frame, region, expected) }
    }

    /// A frame of the machine is nobody's, or in a huge page of either size: which, the machine says.
    private mutating func visitMachine() {
        guard let small else { return }
        let frame = PageFrameNumber(draw(small.layout.frames.count))
        if case .wrong(let word, let expected) = setUp.machine.observeHead(of: frame) {
            wrongHead(word, frame, small, expected)
        }
    }

    private func wrongHead(
        _ word: UInt64?, _ frame: PageFrameNumber, _ region: VmemmapRegion, _ expected: Address
    ) {
        let page = region.layout.geometry.hugePage(of: frame)
        let vmemmapPage = region.layout.geometry.vmemmapPage(of: frame)
        // The one thing that a second refusal may leave: pages that it names, until they are mended.
        if word == nil, region.hugePageStates[page.rawValue].isTorn { return }
        setUp.counters.wrongReads.count()
        let found = word.map { "compound_head \(Self.hex($0))" } ?? "a fault"
        setUp.report(
            StressFinding(
                .walkerSeesHead,
                "frame \(frame.rawValue), in \(vmemmapPage) of \(page): \(found), which does not lead to \(expected)",
                StressFinding.Place(region: region, page: page)))
    }

    private mutating func readPage(_ contents: LegalContents, _ region: VmemmapRegion) {
        let page = draw(region.plan.framesPopulated.rawValue)
        let deadline = HostKernel.monotonicNanoseconds() + 5_000_000_000
        setUp.counters.pageReads.count()
        setUp.counters.looked(at: .pageIsLegal)
        while true {
            switch contents.observe(page) {
            case .whole: return
            case .wrong(let wrong): return wrongPage(page, wrong, region)
            case .crossed:
                setUp.counters.crossedReads.count()
                if HostKernel.monotonicNanoseconds() > deadline { return wrongPage(page, nil, region) }
                HostKernel.yield()
            }
        }
    }

    private func wrongPage(_ page: Int, _ wrong: LegalContents.Wrong?, _ region: VmemmapRegion) {
        let perPage = region.plan.geometry.vmemmapPagesPerHugePage.rawValue
        let hugePage = HugePageIndex(page / perPage)
        if let wrong, wrong.word == nil, region.hugePageStates[hugePage.rawValue].isTorn { return }
        setUp.counters.wrongReads.count()
        setUp.report(Self.finding(page, wrong, region))
    }

    /// What is said of a vmemmap page, counted from the start of the region, that holds what it must not.
    static func finding(_ page: Int, _ wrong: LegalContents.Wrong?, _ region: VmemmapRegion) -> StressFinding {
        let perPage = region.plan.geometry.vmemmapPagesPerHugePage.rawValue
        let what =
            wrong.map { "holds \($0.word.map(hex) ?? "nothing that can be read") at byte \($0.offset.rawValue)" }
            ?? "is neither of its states and stays so"
        return StressFinding(
            .pageIsLegal,
            "vmemmap page \(page % perPage) of huge page \(page / perPage) \(what)",
            StressFinding.Place(region: region, page: HugePageIndex(page / perPage)))
    }

    static func hex(_ word: UInt64) -> String { "0x" + String(word, radix: 16) }
}
