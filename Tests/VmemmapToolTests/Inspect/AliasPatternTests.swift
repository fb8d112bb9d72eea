import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Who shares with whom, seen from outside")
struct AliasPatternTests {
    private typealias Identity = AliasPattern.Identity
    private static let file = Mapping.FileIdentity(device: 1, inode: 7)
    private static let pageSize = ByteCount.kibibytes(4)

    /// A plan's huge pages as an outsider would see them, optimized or not.
    private static func views(_ plan: MappingPlan, optimized: (Int) -> Bool) -> [[Identity]] {
        let count = plan.geometry.vmemmapPagesPerHugePage.rawValue
        let end = count * plan.hugePages.rawValue
        return (0..<plan.hugePages.rawValue).map { page in
            var views = (0..<count).map { index -> Identity in
                plan.backing == .memfd
                    ? .file(file, offset: pageSize * (page * count + index))
                    : .own(Address(UInt(page * count + index) << 12))
            }
            guard optimized(page) else { return views }
            let own =
                plan.backing == .memfd ? page * count + plan.ownPages.lowerBound.rawValue : page * plan.ownPages.count
            let templates = end + plan.templatesPerZone.rawValue * plan.zone(of: HugePageIndex(page))
            for replacement in plan.replacements {
                for step in 0..<replacement.count.rawValue {
                    let place =
                        switch replacement.frame {
                        case .own(let number): own + number + step
                        case .template(let number): templates + number + step
                        }
                    views[replacement.first.rawValue + step] = .file(file, offset: pageSize * place)
                }
            }
            return views
        }
    }

    private static func tally(_ plan: MappingPlan, _ views: [[Identity]]) -> InspectResult.Pages {
        var tally = PatternTally(plan)
        for (index, identity) in views.joined().enumerated() { tally.add(identity, at: index) }
        return tally.pages()
    }

    private static func plan(_ scheme: Scheme, _ backing: Backing, run: Int) throws -> MappingPlan {
        try MappingPlan(
            geometry: try #require(Geometry(basePageSize: pageSize, hugePageSize: .twoMebibytes)), scheme: scheme,
            backing: backing, hugePages: HugePageCount(6), tailFrames: .frames(PageCount(run)))
    }

    @Test(
        "Optimized and unoptimized huge pages are told apart, whatever the tail frames", arguments: Scheme.ofHugeTLB,
        Backing.allCases)
    func states(scheme: Scheme, backing: Backing) throws {
        for run in [1, 2, 3, 7] {
            let plan = try Self.plan(scheme, backing, run: run)
            let pages = Self.tally(plan, Self.views(plan) { $0.isMultiple(of: 3) })
            #expect(pages.optimized == HugePageCount(2), "run \(run)")
            #expect(pages.unoptimized == HugePageCount(4), "run \(run)")
        }
    }

    @Test(
        "One page that shows another's frame, or none, is out of scheme", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func outOfScheme(scheme: Scheme, backing: Backing) throws {
        let plan = try Self.plan(scheme, backing, run: 1)
        let right = Self.views(plan) { _ in true }
        let wrong: [Identity] = [.file(Self.file, offset: Self.pageSize * 999), .absent, right[1][7]]
        for identity in wrong {
            var views = right
            views[3][5] = identity
            // Templates are everybody's: there, a neighbour's frame is the page's own.
            let isShared = identity == right[3][5]
            #expect(Self.tally(plan, views).neither == HugePageCount(isShared ? 0 : 1))
        }
    }

    @Test("A huge page of which a page is not mapped, or nothing is seen, is out of scheme")
    func gaps() throws {
        let plan = try Self.plan(.firstTail, .anonymous, run: 1)
        var tally = PatternTally(plan)
        for (index, identity) in Self.views(plan, optimized: { _ in true }).joined().enumerated()
        where index != 12 && index / 8 != 4 {
            tally.add(identity, at: index)
        }
        #expect(tally.pages().optimized == HugePageCount(4))
        #expect(tally.pages().neither == HugePageCount(2))
    }
}
