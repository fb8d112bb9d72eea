import HostMemory
import Testing
import VmemmapEmulator

/// Small regions drawn by hand: a character for each vmemmap page, a bar where a mapping ends.
@Suite("Mappings as drawn by hand")
struct MappingDrawingTests {
    /// Two neighbouring huge pages, optimized. `h`: shows the head's frame; 1 to 9: shows the n-th frame of the tail
    /// frames.
    struct Drawing: Sendable, CustomTestStringConvertible {
        /// Vmemmap pages of a huge page.
        let pages: Int
        let scheme: Scheme
        let backing: Backing
        let run: Int
        let optimized: String

        var testDescription: String { "\(scheme.rawValue) \(backing.rawValue) \(run): \(optimized)" }

        func plan() throws -> MappingPlan {
            // A vmemmap page of 4 KiB describes 256 KiB.
            let size = try #require(HugePageSize(bytes: .kibibytes(256 * pages)))
            let geometry = try #require(Geometry(basePageSize: .kibibytes(4), hugePageSize: size))
            return try MappingPlan(
                geometry: geometry, scheme: scheme, backing: backing, hugePages: HugePageCount(2),
                tailFrames: .frames(PageCount(run)))
        }

        static func mappings(_ drawing: String) -> MappingCount { MappingCount(1 + drawing.count { $0 == "|" }) }

        static let all = [
            Drawing(4, .firstTail, .anonymous, 1, "h|1|1|1|h|1|1|1"),
            Drawing(4, .firstTail, .anonymous, 2, "h|1|2|1|h|1|2|1"),
            Drawing(8, .firstTail, .anonymous, 3, "h|1|23|123|1|h|1|23|123|1"),
            Drawing(8, .firstTail, .anonymous, 6, "h|1|23456|1|h|1|23456|1"),
            Drawing(4, .firstTail, .memfd, 1, "h1|1|1|h1|1|1"),
            Drawing(4, .firstTail, .memfd, 2, "h1|2|1|h1|2|1"),
            Drawing(8, .firstTail, .memfd, 3, "h1|23|123|1|h1|23|123|1"),
            Drawing(4, .head, .anonymous, 1, "h|h|h|h|h|h|h|h"),
            Drawing(2, .head, .anonymous, 1, "h|h|h|h"),
            Drawing(4, .head, .memfd, 1, "h|h|h|h|h|h|h|h"),
            Drawing(2, .head, .memfd, 1, "h|h|h|h"),
            Drawing(4, .sharedTail, .anonymous, 1, "h|1|1|1|h|1|1|1"),
            Drawing(4, .sharedTail, .anonymous, 2, "h|12|1|h|12|1"),
            Drawing(4, .sharedTail, .anonymous, 3, "h|123|h|123"),
            Drawing(2, .sharedTail, .anonymous, 1, "h|1|h|1"),
            Drawing(8, .sharedTail, .anonymous, 5, "h|12345|12|h|12345|12"),
            Drawing(4, .sharedTail, .memfd, 1, "h|1|1|1|h|1|1|1"),
            Drawing(4, .sharedTail, .memfd, 3, "h|123|h|123"),
        ]

        init(_ pages: Int, _ scheme: Scheme, _ backing: Backing, _ run: Int, _ optimized: String) {
            self.pages = pages
            self.scheme = scheme
            self.backing = backing
            self.run = run
            self.optimized = optimized
        }
    }

    @Test("Each vmemmap page shows the frame that is drawn", arguments: Drawing.all)
    func frames(_ drawing: Drawing) throws {
        let plan = try drawing.plan()
        var shown = Array("h" + String(repeating: "1", count: drawing.pages - 1))
        for replacement in plan.replacements {
            for page in 0..<replacement.count.rawValue {
                let frame: Character =
                    switch replacement.frame {
                    case .own(let index): drawing.scheme == .head ? "h" : Character("\(index + page + 1)")
                    case .template(let index): Character("\(index + page + 1)")
                    }
                shown[replacement.first.rawValue + page] = frame
            }
        }
        let drawn = drawing.optimized.filter { $0 != "|" }
        #expect(String(shown) == drawn.prefix(drawing.pages))
        #expect(String(shown) == drawn.suffix(drawing.pages))
    }

    @Test("The region has as many mappings as are drawn", arguments: Drawing.all)
    func mappings(_ drawing: Drawing) throws {
        let plan = try drawing.plan()
        #expect(plan.regionMappings(.populated) == MappingCount(1))
        #expect(plan.regionMappings(.optimized) == Drawing.mappings(drawing.optimized))
        #expect(plan.regionMappings(.restored) == MappingCount(1))
        #expect(plan.mappings(.populated) == .zero)
    }

    @Test(
        "So does the host, in the middle and at the end of a cycle", .enabled(if: HostLimits.pageSize == .kibibytes(4)),
        arguments: Drawing.all)
    func host(_ drawing: Drawing) throws {
        let region = try VmemmapRegion(drawing.plan())
        for _ in 0..<2 {
            try region.optimize(region.all, writers: .excluded)
            #expect(try ProcMaps.count(overlapping: region.range) == Drawing.mappings(drawing.optimized))
            try region.restore(region.all, writers: .excluded)
            #expect(try ProcMaps.count(overlapping: region.range) == MappingCount(1))
        }
    }

    @Test(
        "Every mix of states beside each other is counted as the host counts it",
        .enabled(if: HostLimits.pageSize == .kibibytes(4)), arguments: Drawing.all)
    func mixed(_ drawing: Drawing) throws {
        let plan = try drawing.plan()
        let three = try MappingPlan(
            geometry: plan.geometry, scheme: plan.scheme, backing: plan.backing, hugePages: HugePageCount(3),
            tailFrames: .frames(plan.tailFrames))
        let kinds = [HugePageState.populated, .optimized, .restored]
        for number in 0..<27 {
            let states = [kinds[number / 9], kinds[number / 3 % 3], kinds[number % 3]]
            let region = try VmemmapRegion(three)
            for (page, state) in states.enumerated() {
                if state != .populated { try region.optimize(region.page(page), writers: .excluded) }
                if state == .restored { try region.restore(region.page(page), writers: .excluded) }
            }
            try region.expectWhole(states, "\(states)")
            #expect(try ProcMaps.count(overlapping: region.range) == region.expectedMappings, "\(states)")
        }
    }
}
