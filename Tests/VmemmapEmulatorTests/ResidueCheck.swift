import HostMemory
import VmemmapEmulator

/// Compares what an operation says that it has left of a region with what the host says of it: states, mappings and
/// their protection, contents byte for byte, heads, and the memory file.
struct ResidueCheck {
    let region: VmemmapRegion
    /// The huge pages of the operation, and what it makes of them.
    let pages: Range<HugePageIndex>
    let operation: Operation
    /// The states before it.
    let before: [HugePageState]
    /// Whether it failed.
    let isFailed: Bool
    let residue: VmemmapError.Residue
    /// Whether to look for staged pages that are still mapped, which reads /proc/self/smaps.
    var looksForStaging = true

    /// Everything in which the two disagree.
    func disagreements() throws -> [String] {
        let mappings = try PageMappings(of: region)
        let torn = Dictionary(residue.torn.map { ($0.page, $0) }, uniquingKeysWith: { first, _ in first })
        let notPutBack = Set(residue.notPutBack.flatMap { Array($0) })
        var problems: [String] = []
        if torn.count != residue.torn.count { problems.append("a huge page is torn twice") }
        if !isFailed, !torn.isEmpty || !notPutBack.isEmpty { problems.append("a success with torn huge pages") }
        for (page, state) in zip(region.all, region.states) {
            if let tear = state.tear {
                let isNamed =
                    torn[page] == tear || !pages.contains(page) || (tear.isUsable && residue.displacedBytes > .zero)
                if !isNamed { problems.append("\(tear) is not named in the residue") }
                if notPutBack.contains(page) { problems.append("\(page) is torn and yet whole in its new state") }
                problems += disagreements(tear, mappings)
                continue
            }
            if torn[page] != nil { problems.append("\(page) is named as torn and is \(state)") }
            let isChanged = pages.contains(page) && (!isFailed || notPutBack.contains(page))
            let isOptimized = isChanged ? operation == .optimize : before[page.rawValue].wasOptimized
            if (state == .optimized) != isOptimized {
                problems.append("\(page) is \(state), was \(before[page.rawValue])")
            }
            problems += mappings.pagesNotAs(state, in: page.rawValue).map { "\(page), \(state): \($0)" }
        }
        problems += region.differencesFromPrepared().prefix(5).map { "\($0)" }
        problems += wrongHeads()
        problems += writersKeptOut()
        if residue.torn.isEmpty, residue.displacedBytes == .zero, !region.expects(mappings.count) {
            problems.append("\(mappings.count) mappings")
        }
        if looksForStaging { problems += try orphanDisagreements() }
        return try problems + fileDisagreements()
    }

    /// Every staged page that is still mapped is named: as kept for a torn huge page, or as not unmapped. Staging that
    /// has not been taken from children yet cannot be told from other memory.
    private func orphanDisagreements() throws -> [String] {
        let torn = region.plan.backing == .anonymous ? region.states.compactMap(\.tear) : []
        let kept = region.plan.geometry.vmemmapBytesPerHugePage * torn.count { $0.contents == .privateMemory }
        let found = try region.staging().reduce(.zero) { $0 + $1.length }
        if found <= kept + residue.orphanedBytes { return [] }
        return ["\(found) staged bytes are mapped, \(kept) are kept, \(residue.orphanedBytes) named as not unmapped"]
    }

    private func disagreements(_ tear: TornHugePage, _ mappings: PageMappings) -> [String] {
        (0..<region.plan.geometry.vmemmapPagesPerHugePage.rawValue).compactMap { index in
            let vmemmapPage = VmemmapPageIndex(index)
            if tear.uncertain.contains(vmemmapPage) { return nil }
            let found = mappings.kind(index, of: tear.page.rawValue)
            let isShown = tear.replaced.contains(vmemmapPage)
            let isWritable = !isShown || mappings.replacement(of: index) != .readOnly
            let isShared = isShown || (region.plan.backing == .memfd && tear.contents != .privateMemory)
            func kind(_ isWritable: Bool) -> PageMappings.Kind {
                isShared ? .shared(isWritable: isWritable) : .own(isWritable: isWritable)
            }
            if found == kind(isWritable) || (tear.isWriteProtected && found == kind(false)) { return nil }
            return "\(tear): vmemmap page \(index) is \(found)"
        }
    }

    /// Looks at struct pages of every vmemmap page, heads and those next to them among them.
    private func wrongHeads() -> [String] {
        let geometry = region.plan.geometry
        let states = region.states
        let wrong = region.wrongHeads(every: 21).filter { frame in
            let page = geometry.hugePage(of: frame)
            return states[page.rawValue].tear?.uncertain.contains(geometry.vmemmapPage(of: frame)) != true
        }
        return wrong.isEmpty ? [] : ["\(wrong.count) wrong compound_heads, the first of frame \(wrong[0])"]
    }

    /// Writers of pages that are writable by what the region says are not kept waiting.
    private func writersKeptOut() -> [String] {
        zip(region.all, region.states).compactMap { page, state in
            if state.tear?.isWriteProtected == true || state.tear?.uncertain.contains(VmemmapPageIndex(0)) == true {
                return nil
            }
            let frame = region.plan.geometry.headFrame(of: page).advanced(by: 5)
            do {
                try region.addToRefcount(of: frame, 1)
                try region.addToRefcount(of: frame, -1)
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    /// The memory file holds what is shown, what a torn huge page needs, what is named as stale, and no more.
    private func fileDisagreements() throws -> [String] {
        let plan = region.plan
        let (pageSize, states) = (plan.geometry.basePageSize, region.states)
        let optimized = states.count { $0 == .optimized }
        let torn = states.compactMap(\.tear)
        // Own frames of a torn huge page are in use unless it is whole but for its mapping; on memfd its holes may be
        // filled.
        let shown = torn.count { plan.backing == .anonymous ? $0.contents != .region : $0.contents == .sharedFrames }
        let least = plan.fileFrames(optimized: HugePageCount(optimized + shown)).bytes(pageSize: pageSize)
        let filled = plan.backing == .memfd ? PageCount(plan.freedPages.count) * shown : .zero
        let most = least + (residue.staleFrames + filled).bytes(pageSize: pageSize)
        let found = try region.sharedFrameBytes()
        if least - residue.displacedBytes <= found, found <= most { return [] }
        return ["the memory file has \(found) bytes, the residue accounts for \(least) to \(most)"]
    }
}
