import HostMemory
import Testing

@testable import VmemmapEmulator

@Suite("The plan of every scheme on every backing")
struct SchemePlanTests {
    /// A plan's parameters.
    struct Case: Sendable, CustomTestStringConvertible {
        let base: ByteCount
        let size: HugePageSize
        let scheme: Scheme
        let backing: Backing
        let run: Int
        var count = 3

        var testDescription: String {
            "\(base.rawValue >> 10) KiB/\(size.bytes.rawValue >> 20) MiB \(scheme.rawValue) \(backing.rawValue) \(run)"
        }

        var geometry: Geometry {
            get throws { try #require(Geometry(basePageSize: base, hugePageSize: size)) }
        }

        func plan() throws -> MappingPlan {
            try MappingPlan(
                geometry: try geometry, scheme: scheme, backing: backing, hugePages: HugePageCount(count),
                tailFrames: .frames(PageCount(run)))
        }

        static let sizes: [(ByteCount, HugePageSize, [Int])] = [
            (.kibibytes(4), .twoMebibytes, [1, 2, 3, 4, 5, 6, 7, 100]),
            (.kibibytes(4), .oneGibibyte, [1, 2, 16, 100, 512, 2047, 2048, 4093, 4094, 4095, 5000]),
            (.kibibytes(16), .oneGibibyte, [1, 7, 16, 255]),
            (.kibibytes(64), .oneGibibyte, [1, 4, 15]),
            (.kibibytes(16), .twoMebibytes, [1, 3]),
            (.kibibytes(64), .twoMebibytes, [1, 3]),
        ]

        static let all = sizes.flatMap { base, size, runs in
            Scheme.ofHugeTLB.flatMap { scheme in
                Backing.allCases.flatMap { backing in
                    runs.map { Case(base: base, size: size, scheme: scheme, backing: backing, run: $0) }
                }
            }
        }
    }

    private func plan(
        _ size: HugePageSize, _ count: Int, _ scheme: Scheme, _ backing: Backing = .anonymous, run: Int = 1
    ) throws -> MappingPlan {
        try Case(base: .kibibytes(4), size: size, scheme: scheme, backing: backing, run: run, count: count).plan()
    }

    @Test("Replacements cover the replaced pages once, in order, and as many as the formula says", arguments: Case.all)
    func cover(_ given: Case) throws {
        let plan = try given.plan()
        let covered = plan.replacements.flatMap { replacement in
            (0..<replacement.count.rawValue).map { replacement.first.advanced(by: $0) }
        }
        #expect(covered == Array(plan.replacedPages))
        #expect(plan.replacements.allSatisfy { $0.count > .zero })
        let (tails, run) = (plan.geometry.vmemmapPagesPerHugePage.rawValue - 1, plan.tailFrames.rawValue)
        let isAnonymous = given.backing == .anonymous ? 1 : 0
        let expected =
            switch given.scheme {
            case _ where !plan.isWorthwhile: 0
            case .firstTail: isAnonymous + (run > 1 ? 1 : 0) + (tails - 1) / run
            case .head: isAnonymous + tails
            case .sharedTail: (tails + run - 1) / run
            case .deviceDax: 0
            }
        #expect(plan.replacements.count == expected)
    }

    @Test(
        "Only page 1 (first tail) and page 0 (head) can still be written, and only where they move", arguments: Case.all
    )
    func protections(_ given: Case) throws {
        let plan = try given.plan()
        let writable = plan.replacements.filter { $0.protection == .readWrite }
        let expected: Int? =
            switch (given.scheme, given.backing) {
            case _ where !plan.isWorthwhile: nil
            case (.firstTail, .anonymous): 1
            case (.head, .anonymous): 0
            case (_, .memfd), (.sharedTail, _), (.deviceDax, _): nil
            }
        #expect(writable.map(\.first.rawValue) == (expected.map { [$0] } ?? []))
        #expect(writable.allSatisfy { $0.count == PageCount(1) && $0.frame == .own(0) })
        #expect(plan.rewritablePage?.rawValue == expected)
        let end =
            switch given.scheme {
            case _ where !plan.isWorthwhile: plan.geometry.vmemmapPagesPerHugePage.rawValue
            case .deviceDax: plan.geometry.vmemmapPagesPerHugePage.rawValue
            case .firstTail: 2
            case .head, .sharedTail: 1
            }
        #expect(plan.writablePages == VmemmapPageIndex(0)..<VmemmapPageIndex(end))
    }

    @Test("What is shown is there: own pages or templates, and every own page shows itself", arguments: Case.all)
    func frames(_ given: Case) throws {
        let plan = try given.plan()
        for replacement in plan.replacements {
            switch replacement.frame {
            case .own(let first):
                #expect(given.scheme != .sharedTail)
                #expect(first >= 0 && first + replacement.count.rawValue <= plan.ownPages.count)
                for page in 0..<replacement.count.rawValue {
                    let shown = replacement.first.advanced(by: page)
                    guard plan.ownPages.contains(shown) else { continue }
                    #expect(shown == plan.ownPages.lowerBound.advanced(by: first + page))
                }
            case .template(let first):
                #expect(given.scheme == .sharedTail)
                #expect(first >= 0 && first + replacement.count.rawValue <= plan.templatesPerZone.rawValue)
            }
        }
    }

    @Test("PageID and kept are all, and every frame is either in the file or anonymous", arguments: Case.all)
    func sums(_ given: Case) throws {
        let plan = try given.plan()
        let pages = plan.geometry.vmemmapPagesPerHugePage.rawValue
        let own = given.scheme == .head ? 0 : plan.ownPages.count
        let kept = plan.isWorthwhile ? 1 + own : pages
        #expect(plan.freedPages.count == pages - kept)
        #expect(plan.freedPages.upperBound == VmemmapPageIndex(pages))
        #expect(plan.ownPages.allSatisfy { !plan.freedPages.contains($0) })
        #expect(plan.freedPages.allSatisfy(plan.replacedPages.contains))
        // Templates for two zones serve in the place of what the three huge pages give back.
        let templates = given.scheme == .sharedTail && plan.isWorthwhile ? 2 * plan.tailFrames.rawValue : 0
        let structBytes = given.size.bytes.rawValue / given.base.rawValue * 64 * given.count
        let populated = (structBytes + given.base.rawValue - 1) / given.base.rawValue
        #expect(plan.framesPopulated == PageCount(populated))
        #expect(plan.framesOptimized == PageCount(populated - (pages - kept) * given.count + templates))
        #expect(plan.framesFreed == PageCount((pages - kept) * given.count - templates))
        for optimized in 0...given.count {
            let count = HugePageCount(optimized)
            let all = plan.fileFrames(optimized: count) + plan.anonymousFrames(optimized: count)
            #expect(all == plan.framesPopulated - PageCount(plan.freedPages.count) * optimized + plan.templates)
        }
        #expect(plan.templates == plan.templatesPerZone * 2)
        #expect((plan.templates > .zero) == (plan.isWorthwhile && given.scheme == .sharedTail))
    }

    @Test(
        "Head: 7 and 4095 frames a huge page, 28 KiB and 16380 KiB, the kernel's own words", arguments: Backing.allCases
    )
    func head(_ backing: Backing) throws {
        let small = try plan(.twoMebibytes, 1, .head, backing)
        #expect(small.framesFreed == PageCount(7))
        #expect(small.grossSaving == .kibibytes(28))
        let large = try plan(.oneGibibyte, 1, .head, backing)
        #expect(large.framesFreed == PageCount(4095))
        #expect(large.grossSaving == .kibibytes(16380))
        // 128 GiB, from a user's report.
        #expect(try plan(.twoMebibytes, 65536, .head, backing).grossSaving == .gibibytes(1) + .mebibytes(768))
        // Whatever is asked for, there is no run.
        #expect(try plan(.oneGibibyte, 2, .head, backing, run: 16) == plan(.oneGibibyte, 2, .head, backing))
    }

    @Test("1 TiB: gross and net of every scheme with the kernel's tail frames", arguments: Backing.allCases)
    func tebibyte(_ backing: Backing) throws {
        let small = 524_288
        let large = 1024
        // On memfd page 1 stays in the region's own mapping: 7 mappings a huge page, not 8.
        let first = try plan(.twoMebibytes, small, .firstTail, backing)
        #expect(first.grossSaving == .gibibytes(12))
        let perPage = backing == .anonymous ? 8 : 7
        #expect(first.netSaving(.assumed) == .gibibytes(12) - ByteCount((perPage * small - 1) * 256))

        // The 7th page: 2 GiB a TiB, 4 MiB with 1 GiB pages.
        let head = try plan(.twoMebibytes, small, .head, backing)
        #expect(head.grossSaving == .gibibytes(14))
        #expect(head.netSaving(.assumed) == .gibibytes(13) + ByteCount(256))
        let firstLarge = try plan(.oneGibibyte, large, .firstTail, backing)
        #expect(firstLarge.grossSaving == .gibibytes(16) - .mebibytes(8))
        #expect(try plan(.oneGibibyte, large, .head, backing).grossSaving == .gibibytes(16) - .mebibytes(4))

        // One frame a zone: 8 KiB less than the head scheme.
        #expect(try plan(.twoMebibytes, small, .sharedTail, backing).grossSaving == .gibibytes(14) - .kibibytes(8))
    }

    @Test(
        "1 TiB with runs: 2 mappings a 2 MiB page, 9 a 1 GiB page, 14 and 1024 template frames",
        arguments: Backing.allCases)
    func tebibyteInRuns(_ backing: Backing) throws {
        let small = try plan(.twoMebibytes, 524_288, .sharedTail, backing, run: 7)
        #expect(small.grossSaving == .gibibytes(14) - .kibibytes(56))
        #expect(small.regionMappings(.optimized) == MappingCount(1_048_576))
        #expect(small.overhead(.assumed) == .mebibytes(256) - ByteCount(256))
        let large = try plan(.oneGibibyte, 1024, .sharedTail, backing, run: 512)
        #expect(large.grossSaving == .gibibytes(16) - .mebibytes(4) - .mebibytes(4))
        #expect(large.regionMappings(.optimized) == MappingCount(9216))
        // 8 MiB of templates and heads, and 9 mappings a huge page but for the one that the region had, at 256 bytes.
        #expect(large.netSaving(.assumed) == .mebibytes(16376) - ByteCount((9 * 1024 - 1) * 256))
    }

    @Test("Shared tail: a run of 7 replaces a 2 MiB page's tails with one mapping, one of 512 a 1 GiB page's with 8")
    func sharedRuns() throws {
        for backing in Backing.allCases {
            let small = try plan(.twoMebibytes, 10, .sharedTail, backing, run: 7)
            #expect(small.replacements.count == 1)
            #expect(small.mappings(.optimized) == MappingCount(2))
            #expect(small.regionMappings(.optimized) == MappingCount(20))
            #expect(small.templatesPerZone == PageCount(7))
            let large = try plan(.oneGibibyte, 2, .sharedTail, backing, run: 512)
            #expect(large.replacements.map(\.count.rawValue) == [512, 512, 512, 512, 512, 512, 512, 511])
            #expect(large.regionMappings(.optimized) == MappingCount(18))
        }
    }

    @Test("First tail, 1 GiB, a run of 16: 257 mappings and 17 frames instead of 4095 and 2")
    func firstTailFrames() throws {
        // Page 0; page 1, and 2 to 16 beside it, are the run; 4079 further tails in 255 mappings.
        let anonymous = try plan(.oneGibibyte, 1, .firstTail, .anonymous, run: 16)
        #expect(anonymous.replacements.count == 257)
        #expect(anonymous.regionMappings(.optimized) == MappingCount(258))
        #expect(anonymous.framesOptimized == PageCount(17))
        let memfd = try plan(.oneGibibyte, 1, .firstTail, .memfd, run: 16)
        #expect(memfd.replacements.count == 256)
        #expect(memfd.regionMappings(.optimized) == MappingCount(257))
        #expect(memfd.framesOptimized == PageCount(17))
    }

    @Test("One zone for one huge page; of more, the first half and the odd one lie in the first")
    func zones() throws {
        for (count, expected) in [(1, [0]), (2, [0, 1]), (3, [0, 0, 1]), (5, [0, 0, 0, 1, 1])] {
            let plan = try plan(.twoMebibytes, count, .sharedTail)
            #expect((0..<count).map { plan.zone(of: HugePageIndex($0)) } == expected)
            #expect(plan.zones == Set(expected).count)
            #expect(plan.templates == PageCount(Set(expected).count))
        }
    }
}
