import CSystemShims
import Glibc
import HostMemory
import Testing
import VmemmapEmulator

/// A shape that the engine's tests run over.
struct Shape: Sendable, CustomTestStringConvertible {
    let size: HugePageSize
    let pages: Int
    var scheme = Scheme.firstTail
    var backing = Backing.anonymous
    var tailFrames = 1
    var mapping = RegionMapping.pte
    var base = HostLimits.pageSize

    /// One huge page; several batches (the engine copies 64 at a time) and a part of one; gigantic ones.
    static let all = [
        Shape(size: .twoMebibytes, pages: 1),
        Shape(size: .twoMebibytes, pages: 200),
        Shape(size: .oneGibibyte, pages: 2),
    ]

    /// As small as a shape can be.
    static let single = [Shape(size: .twoMebibytes, pages: 1), Shape(size: .oneGibibyte, pages: 1)]

    /// Every scheme on every backing, with the kernel's tail frames and with longer ones where there are any, on small
    /// pages and, where the host has them, on huge ones.
    static let matrix = onPtes + onPmds

    /// Those mapped by PTEs.
    static let onPtes: [Shape] = Backing.allCases.flatMap { backing in
        [
            (HugePageSize.twoMebibytes, 70, Scheme.firstTail, 1), (.twoMebibytes, 5, .firstTail, 3),
            (.oneGibibyte, 2, .firstTail, 16), (.oneGibibyte, 1, .firstTail, 1),
            (.twoMebibytes, 70, .head, 1), (.oneGibibyte, 1, .head, 1),
            (.twoMebibytes, 70, .sharedTail, 7), (.twoMebibytes, 5, .sharedTail, 1), (.twoMebibytes, 1, .sharedTail, 2),
            (.oneGibibyte, 2, .sharedTail, 512), (.oneGibibyte, 3, .sharedTail, 100),
        ].map { size, pages, scheme, run in
            Shape(size: size, pages: pages, scheme: scheme, backing: backing, tailFrames: run)
        }
    }

    /// Those mapped by PMDs: a block of 64 huge pages of 2 MiB and a part of one that stays mapped by PTEs.
    static let onPmds: [Shape] = Backing.allCases.flatMap { backing -> [Shape] in
        guard HostProcess.mapsByPmds else { return [] }
        return [
            (HugePageSize.twoMebibytes, 70, Scheme.firstTail, 1), (.twoMebibytes, 64, .firstTail, 3),
            (.oneGibibyte, 2, .firstTail, 16), (.oneGibibyte, 1, .firstTail, 1),
            (.twoMebibytes, 70, .head, 1), (.oneGibibyte, 1, .head, 1),
            (.twoMebibytes, 70, .sharedTail, 7), (.twoMebibytes, 128, .sharedTail, 1),
            (.oneGibibyte, 2, .sharedTail, 512), (.oneGibibyte, 1, .sharedTail, 1),
        ].map { size, pages, scheme, run in
            Shape(size: size, pages: pages, scheme: scheme, backing: backing, tailFrames: run, mapping: .pmd)
        }
    }

    var testDescription: String {
        "\(pages) x \(size.bytes.rawValue >> 20) MiB, \(scheme.rawValue)"
            + (base == HostLimits.pageSize ? "" : ", base pages of \(base.rawValue >> 10) KiB")
            + (backing == .anonymous ? "" : ", \(backing.rawValue)")
            + (tailFrames == 1 ? "" : ", tail frames \(tailFrames)")
            + (mapping == .pte ? "" : ", PMD-mapped region")
    }

    func plan() throws -> MappingPlan {
        let geometry = try #require(Geometry(basePageSize: base, hugePageSize: size))
        return try MappingPlan(
            geometry: geometry, scheme: scheme, backing: backing, mapping: mapping, hugePages: HugePageCount(pages),
            tailFrames: .frames(PageCount(tailFrames)))
    }

    func region(_ construction: Construction = .populated) throws -> VmemmapRegion {
        try VmemmapRegion(plan(), construction)
    }
}

/// The seed of a random test: in its arguments, so a failure shows it. `VMEMMAP_TEST_SEED=n swift test` runs that one
/// again.
enum Seeds {
    static let all: [UInt64] = {
        if let again = Environment.value("VMEMMAP_TEST_SEED").flatMap({ UInt64($0) }) { return [again] }
        return [1, 2, UInt64(HostKernel.monotonicNanoseconds())]
    }()
}

extension VmemmapRegion {
    /// Every huge page.
    var all: Range<HugePageIndex> { layout.allHugePages }

    func page(_ index: Int) -> Range<HugePageIndex> { pages(index..<(index + 1)) }

    func pages(_ range: Range<Int>) -> Range<HugePageIndex> {
        HugePageIndex(range.lowerBound)..<HugePageIndex(range.upperBound)
    }

    /// The state of each huge page.
    var states: [HugePageState] { hugePageStates }

    /// The `index`-th vmemmap page of a huge page.
    func vmemmapPage(_ index: Int, of page: Int) -> AddressRange {
        layout.vmemmap(of: HugePageIndex(page), from: VmemmapPageIndex(index), count: PageCount(1))
    }

    /// The last vmemmap page of a huge page.
    var lastVmemmapPage: Int { plan.geometry.vmemmapPagesPerHugePage.rawValue - 1 }

    /// The first frame whose struct page is in the `index`-th vmemmap page of a huge page.
    func frame(inVmemmapPage index: Int, of page: Int) -> PageFrameNumber {
        plan.geometry.headFrame(of: HugePageIndex(page))
            .advanced(by: index * plan.geometry.structPagesPerVmemmapPage)
    }

    /// A copy of a struct page. Nobody may write to it meanwhile.
    func structPage(_ frame: PageFrameNumber) throws -> vme_page {
        // SAFETY: the struct page lies in the region, which is mapped readable and outlives the copy.
        let pointer = unsafe layout.structPage(of: frame).pointer(as: vme_page.self)
        return try unsafe #require(unsafe pointer).pointee
    }

    /// The frames among `frames` (nil: all), or every so many of them, whose compound_head leads elsewhere than the
    /// geometry says, or faults.
    func wrongHeads(in frames: Range<PageFrameNumber>? = nil, every stride: Int = 1) -> [PageFrameNumber] {
        let frames = frames ?? layout.frames
        return Swift.stride(from: frames.lowerBound, to: frames.upperBound, by: stride).filter { frame in
            compoundHead(of: frame) != layout.head(of: frame)
        }
    }
}

extension VmemmapRegion {
    /// What a reader of the scheme makes of a frame's struct page; nil in a gap.
    func compoundHead(of frame: PageFrameNumber) -> Address? { observedHead(of: frame)?.head }
}

/// The process's environment.
enum Environment {
    static func value(_ name: String) -> String? {
        // SAFETY: nobody changes the environment; the string is copied at once.
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}
