import HostLab
import HostMemory
import Synchronization
import VmemmapEmulator

/// Holds everything that the host shows against what it must be, while no worker works. Readers go on.
struct StressOracle {
    let setUp: StressSetUp
    let workers: [StressWorker]
    /// Descriptors that were open when the set-up was made.
    let openFiles: Int

    /// The budget that the machine was given for a round, and what stood then.
    struct Budget {
        let frames: PageCount
        let freed: PageCount
        let splitPageTables: Int
    }

    /// Gives the machine a frame budget for a round.
    func setBudget(_ frames: PageCount) -> Budget {
        setUp.machine.setFrameBudget(frames)
        return Budget(frames: frames, freed: freedByMachine, splitPageTables: setUp.machine.memmap().splitPageTables)
    }

    /// Checks all of it and reports what does not hold.
    ///
    /// - Parameters:
    ///   - budget: the frame budget that there was.
    ///   - part: contents are compared of one vmemmap page in eight, from this one on; nil: of all.
    func check(_ budget: Budget?, part: Int?) throws(HostError) {
        setUp.machine.flush()
        if let budget { checkBudget(budget) }
        guard mend() else { return }
        shrinkExactly()
        checkCounts()
        let pages = part.map { stride(from: $0 % 8, to: .max, by: 8) } ?? stride(from: 0, to: .max, by: 1)
        try checkMachineMemory(pages)
        try checkRegion(pages)
        try expect(.noDescriptorIsLost, "descriptors", openFiles, try OpenFiles.count())
        setUp.counters.checks.count()
    }

    private func expect(
        _ check: StressCheck, _ figure: String, _ expected: Int, _ found: Int, _ place: StressFinding.Place? = nil
    ) throws(HostError) {
        look(at: check)
        if expected != found { report(check, "\(figure): expected \(expected), found \(found)", place) }
    }

    private func look(at check: StressCheck, _ times: Int = 1) { setUp.counters.looked(at: check, times) }

    private func report(_ check: StressCheck, _ detail: String, _ place: StressFinding.Place? = nil) {
        setUp.report(StressFinding(check, detail, place))
    }

    // MARK: What failed operations have left

    /// With nothing in the way, everything that errors have named is mended. False if the host, short of something,
    /// refuses that: no figure can be as it must be then.
    private func mend() -> Bool {
        setUp.counters.mendedPages.count(setUp.region.hugePageStates.count(where: \.isTorn))
        guard mend(setUp.region, "the region") else { return false }
        // Writing nr_hugepages mends what is set aside, whatever is written.
        for size in setUp.machine.sizes where setUp.machine.memmap().setAsidePages > 0 {
            setUp.counters.mendedPages.count()
            _ = try? setUp.machine.setPool(size, to: setUp.machine.pool(size).persistent)
        }
        setUp.machine.flush()
        let aside = setUp.machine.memmap().setAsidePages
        let views = setUp.machine.sizes.compactMap { setUp.machine.region($0) }
        // A view that the host still refuses to mend says why they are set aside.
        guard views.allSatisfy({ mend($0, "the machine") }) else { return false }
        look(at: .setAsideIsMended)
        if aside > 0 {
            report(.setAsideIsMended, "\(aside) base pages are not")
        }
        return true
    }

    private func mend(_ region: VmemmapRegion, _ name: String) -> Bool {
        do throws(VmemmapError) {
            try region.mend(region.layout.allHugePages)
        } catch {
            if setUp.isHostShortage(error) {
                setUp.noteHindrance("a check of all figures", error)
                return false
            }
            report(.leftoversAreMended, "\(name): \(error)")
        }
        look(at: .leftoversAreMended)
        return true
    }

    // MARK: The pools

    /// Frees huge pages whose restore is put off, waits for the deferred work, and has the counts exactly.
    private func shrinkExactly() {
        let size = setUp.machine.configuration.sizes.block
        let before = setUp.machine.pool(size)
        let asked = max(0, before.total.rawValue - 12)
        guard let change = try? setUp.machine.setPool(size, to: HugePageCount(asked)) else { return }
        setUp.machine.flush()
        var (total, surplus) = (before.total.rawValue, before.surplus.rawValue)
        if asked > total - surplus {
            surplus -= min(surplus, asked - (total - surplus))
        } else {
            // Of free pages, as many as there are surplus ones may be those.
            let persistent = total - surplus
            let free = before.free.rawValue
            let own = free > persistent ? max(0, free - surplus) : free
            let least = max(asked, before.reserved.rawValue + persistent - own)
            total -= max(0, persistent - least)
            surplus += max(0, total - surplus - asked)
        }
        let after = setUp.machine.hugePages(size)
        look(at: .poolIsAsAsked)
        if change.refusal == nil, after.total.rawValue == total, after.surplus.rawValue == surplus { return }
        // What grows may find no memory in one piece.
        if case .noContiguousMemory = change.refusal?.cause { return }
        if let refusal = change.refusal, setUp.isHostShortage(refusal) {
            return setUp.noteHindrance("a change of a pool to a size exactly", refusal)
        }
        report(
            .poolIsAsAsked,
            "\(before.total.rawValue) huge pages, \(before.surplus.rawValue) surplus, \(before.available.rawValue) "
                + "available, asked for \(asked): "
                + "expected "
                + "\(total) and \(surplus) surplus, found \(after.total.rawValue) and \(after.surplus.rawValue), "
                + (change.refusal.map { "\($0)" } ?? "nothing refused"))
    }

    private func checkCounts() {
        let held = workers.flatMap { worker in worker.state.withLock { $0.held } }
        var used = 0
        for size in setUp.machine.sizes {
            let info = setUp.machine.hugePages(size)
            let active = held.count { $0.size == size }
            let reserved = workers.reduce(0) { $0 + $1.state.withLock { $0.reserved[size] ?? 0 } }
            used += info.total.rawValue * setUp.machine.configuration.sizes.pages(in: size)
            look(at: .poolCountsAddUp)
            let isExact = info.total.rawValue - info.free.rawValue == active && info.reserved.rawValue == reserved
            if isExact, info.reserved <= info.free, info.surplus <= info.total, info.optimized <= info.total {
                continue
            }
            report(
                .poolCountsAddUp,
                "\(size.bytes.rawValue): \(info); in use by workers: \(active), reserved by them: \(reserved)")
        }
        let frames = setUp.small?.layout.frames.count ?? 0
        let lost = setUp.poisoned.withLock { $0 }.count { setUp.machine.hugePage(of: $0) == nil }
        let free = setUp.machine.memmap().freePages
        look(at: .basePagesAddUp)
        if free + used + lost == frames { return }
        report(
            .basePagesAddUp,
            "\(free) free, \(used) in huge pages, \(lost) with errors, of \(frames)")
    }

    /// Frames that the machine's huge pages have given back.
    private var freedByMachine: PageCount {
        setUp.machine.sizes.reduce(.zero) { sum, size in
            guard let view = setUp.machine.region(size) else { return sum }
            return sum + PageCount(view.plan.freedPages.count) * optimizedCount(view)
        }
    }

    private func optimizedCount(_ view: VmemmapRegion) -> Int {
        view.hugePageStates.count { $0 == .optimized }
    }

    /// Restores have taken no more frames than there were, and those that were optimized have given theirs back.
    private func checkBudget(_ budget: Budget) {
        let memmap = setUp.machine.memmap()
        let left = memmap.frameBudget ?? PageCount(-1)
        let tables = PageCount(memmap.splitPageTables - budget.splitPageTables)
        let expected = budget.frames + freedByMachine - budget.freed - tables
        setUp.machine.setFrameBudget(nil)
        look(at: .keepsToFrameBudget)
        if left == expected, left >= .zero { return }
        report(
            .keepsToFrameBudget,
            "of \(budget.frames.rawValue) frames \(left.rawValue) are left, \(expected.rawValue) by the huge pages "
                + "and page tables there are"
        )
    }

    // MARK: Memory

    private func checkMachineMemory(_ pages: StrideTo<Int>) throws(HostError) {
        let machine = setUp.machine
        guard let small = setUp.small else { return }
        let memmap = machine.memmap()
        let expected = small.plan.framesPopulated - freedByMachine
        let views = machine.sizes.compactMap { machine.region($0) }
        let templates = views.reduce(PageCount.zero) { $0 + $1.plan.templates }
        try expect(
            .memmapCountersAgree, "frames for the memory map",
            (expected + templates).rawValue, (memmap.allocatorPages + memmap.bootPages).rawValue)
        try expect(
            .machineFrames, "distinct frames",
            machine.expectedFrames().rawValue,
            try FrameCount.count(in: machine.range).distinct.rawValue)
        try checkMachineFile(views)
        try checkContents(pages, setUp.machineContents, small)
        let mappings = try ProcMaps.count(overlapping: machine.range).rawValue
        let most = views.reduce(1) { $0 + $1.expectedMappings.rawValue - 1 }
        look(at: .machineMappings)
        // Two views meet where huge pages of one size lie beside those of the other.
        if mappings > most + views.count {
            report(.machineMappings, "expected at most \(most), found \(mappings)")
        }
    }

    private func checkMachineFile(_ views: [VmemmapRegion]) throws(HostError) {
        let pageSize = setUp.machine.configuration.sizes.basePage
        switch setUp.combination.backing {
        case .anonymous:
            for view in views {
                let frames = view.plan.fileFrames(optimized: HugePageCount(optimizedCount(view)))
                try expect(
                    .fileHoldsWhatIsShown, "bytes", frames.bytes(pageSize: pageSize).rawValue,
                    try view.sharedFrameBytes().rawValue)
            }
        case .memfd:
            guard let small = views.first else { return }
            let templates = views.reduce(PageCount.zero) { $0 + $1.plan.templates }
            let frames = small.plan.framesPopulated - freedByMachine + templates
            try expect(
                .fileHoldsWhatIsShown, "bytes", frames.bytes(pageSize: pageSize).rawValue,
                try small.sharedFrameBytes().rawValue)
        }
    }

    private func checkRegion(_ pages: StrideTo<Int>) throws(HostError) {
        let region = setUp.region
        let plan = region.plan
        let states = region.hugePageStates
        let optimized = region.layout.allHugePages.filter { states[$0.rawValue] == .optimized }
        try expect(
            .fileHoldsWhatIsShown, "bytes",
            plan.fileFrames(optimized: HugePageCount(optimized.count)).bytes(pageSize: plan.geometry.basePageSize)
                .rawValue,
            try region.sharedFrameBytes().rawValue)
        let zones = Set(optimized.map { plan.zone(of: $0) }).count
        let frames =
            plan.framesPopulated - PageCount(plan.freedPages.count) * optimized.count + plan.templatesPerZone * zones
        try expect(
            .regionFrames, "distinct frames", plan.hostFrames(frames).rawValue,
            try FrameCount.count(in: region.range).distinct.rawValue)
        try checkMappings(region)
        try checkContents(pages, setUp.regionContents, region)
    }

    private func checkMappings(_ region: VmemmapRegion) throws(HostError) {
        let found = try ProcMaps.count(overlapping: region.range)
        let expected = region.expectedMappings
        // What two threads have moved in side by side at the same moment may merge.
        let isUpperBound = region.plan.backing == .anonymous
        look(at: .regionMappings)
        if isUpperBound ? found > expected : found != expected {
            report(
                .regionMappings, "expected \(expected.rawValue), found \(found.rawValue)",
                try unexpectedMappings(region))
        }
        let kinds = try PageMappings(of: region)
        look(at: .pagesAreMappedAsTheirState, region.plan.framesPopulated.rawValue)
        for (page, state) in zip(region.layout.allHugePages, region.hugePageStates) {
            guard let wrong = kinds.pagesNotAs(state, in: page.rawValue).first else { continue }
            return report(
                .pagesAreMappedAsTheirState,
                "\(page), \(state): \(wrong)",
                StressFinding.Place(region: region, page: page))
        }
    }

    /// The first huge page in which another number of mappings begins than the plan says; nil if each has its own.
    private func unexpectedMappings(_ region: VmemmapRegion) throws(HostError) -> StressFinding.Place? {
        var found = [Int](repeating: 0, count: region.plan.hugePages.rawValue)
        let bytes = region.plan.geometry.vmemmapBytesPerHugePage.rawValue
        try ProcMaps.forEach(overlapping: region.range) { (mapping) throws(HostError) in
            found[(max(mapping.range.start, region.range.start) - region.range.start).rawValue / bytes] += 1
        }
        return region.layout.allHugePages.first { page in
            (try? region.expectedMappings(beginningIn: page)) != MappingCount(found[page.rawValue])
        }.map { StressFinding.Place(region: region, page: $0) }
    }

    /// Every vmemmap page is one of its legal states, and with nobody at work, wholly.
    private func checkContents(
        _ pages: StrideTo<Int>, _ contents: LegalContents, _ region: VmemmapRegion
    ) throws(HostError) {
        let pages = pages.prefix { $0 < region.plan.framesPopulated.rawValue }
        look(at: .pageIsLegal, pages.count)
        for page in pages {
            switch contents.observe(page) {
            case .whole: continue
            case .crossed: return setUp.report(StressWalker.finding(page, nil, region))
            case .wrong(let wrong): return setUp.report(StressWalker.finding(page, wrong, region))
            }
        }
    }
}
