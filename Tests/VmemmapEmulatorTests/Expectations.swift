import HostMemory
import Testing
import VmemmapEmulator

extension VmemmapRegion {
    /// Everything that holds of a region whose huge pages are all in one state.
    func expectAll(
        _ state: HugePageState, _ comment: @autoclosure () -> String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        try expectWhole(Array(repeating: state, count: all.count), comment(), location)
        let frames = state == .optimized ? plan.framesOptimized : plan.framesPopulated
        #expect(
            try FrameCount.count(in: range).distinct == plan.hostFrames(frames), "\(comment())",
            sourceLocation: location)
        // Restored one after the other, they are more.
        let isRestored = state == .restored && plan.backing == .anonymous
        let mappings = plan.regionMappings(state)
        #expect(
            isRestored ? expectedMappings >= mappings : expectedMappings == mappings, "\(comment())",
            sourceLocation: location)
        if plan.mapping == .pmd { try expectBlocks(state, comment(), location) }
    }

    /// What PMDs map, and which blocks carry the mark of a split, with every huge page in one state.
    func expectBlocks(
        _ state: HugePageState, _ comment: @autoclosure () -> String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let blocks = range.length.rawValue / ByteCount.mebibytes(2).rawValue
        let isWhole = state == .populated || (state == .restored && plan.mergesOnRestore)
        #expect(
            try pmdMappedBytes() == ByteCount.mebibytes(2) * (isWhole ? blocks : 0), "\(comment())",
            sourceLocation: location)
        let split = (0..<(isWhole ? 0 : blocks)).map { block in
            AddressRange(start: range.start + .mebibytes(2) * block, length: .mebibytes(2))
        }
        #expect(splitBlocks == split, "\(comment())", sourceLocation: location)
    }

    /// As ``expectBlocks(_:_:_:)`` of a restored region that readers are at: in a memory file they may keep a block
    /// from being merged, which then carries its mark, and which no PMD maps.
    func expectBlocksAmongReaders(_ location: SourceLocation = #_sourceLocation) throws {
        guard plan.backing == .memfd, plan.mergesOnRestore else { return try expectBlocks(.restored, "", location) }
        let split = splitBlocks
        let rest = range.length - ByteCount.mebibytes(2) * split.count
        #expect(try pmdMappedBytes() == rest, sourceLocation: location)
        for block in split {
            #expect(try TransparentHugePages.pmdMapped(in: block).isEmpty, sourceLocation: location)
        }
    }

    /// Everything that holds of a region whose huge pages are in these states: contents, frames, memory file, mappings.
    func expectWhole(
        _ states: [HugePageState], _ comment: @autoclosure () -> String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        try expectMapped(states, comment(), location)
        let differences = differencesFromPrepared()
        #expect(differences.isEmpty, "\(differences.prefix(3)) \(comment())", sourceLocation: location)
        try expectFrames(states, comment(), location)
    }

    /// Whether the region may consist of this many mappings.
    func expects(_ mappings: MappingCount) -> Bool {
        // What two threads have moved in side by side at the same moment may merge.
        mappings == expectedMappings || (plan.backing == .anonymous && mappings < expectedMappings)
    }

    /// The frames behind the region.
    func expectFrames(
        _ states: [HugePageState], _ comment: @autoclosure () -> String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let optimized = all.filter { states[$0.rawValue] == .optimized }
        let zones = Set(optimized.map(plan.zone)).count
        let frames =
            plan.framesPopulated - PageCount(plan.freedPages.count) * optimized.count + plan.templatesPerZone * zones
        let counted = try FrameCount.count(in: range)
        #expect(counted.distinct == plan.hostFrames(frames), "\(comment())", sourceLocation: location)
    }

    /// The cheap part of it: states, memory file, and what is mapped where.
    func expectMapped(
        _ states: [HugePageState], _ comment: @autoclosure () -> String = "",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(self.states == states, "\(comment())", sourceLocation: location)
        let optimized = HugePageCount(states.count { $0 == .optimized })
        let shared = plan.fileFrames(optimized: optimized).bytes(pageSize: plan.geometry.basePageSize)
        #expect(try sharedFrameBytes() == shared, "\(comment())", sourceLocation: location)
        let kinds = try PageMappings(of: self)
        let mappings = kinds.count
        #expect(
            expects(mappings), "\(mappings), not \(expectedMappings) \(comment())", sourceLocation: location)
        for (page, state) in states.enumerated() {
            let wrong = kinds.pagesNotAs(state, in: page)
            #expect(wrong.isEmpty, "huge page \(page), \(state): \(wrong) \(comment())", sourceLocation: location)
        }
    }
}
