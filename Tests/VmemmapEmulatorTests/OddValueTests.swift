import HostMemory
import Testing
import VmemmapEmulator

/// Values that nobody means: each is refused as documented, or means what is documented, and none ends the process.
/// Each runs in a process of its own.
@Suite("Odd values of the emulator")
struct OddValueTests {
    static let odd = [
        Int.min, Int.min + 1, -4096, -1, 0, 1, 3, 60, 63, 512 << 10, 3 << 20, 1 << 35, 1 << 40, 1 << 56, 1 << 62,
        Int.max,
    ]

    @Test("A plan is of the numbers asked for, or refused with what is wrong", arguments: odd)
    func plans(value: Int) async {
        await #expect(processExitsWith: .success) { [value] in
            let geometry = try #require(Geometry(basePageSize: .kibibytes(4), hugePageSize: .twoMebibytes))
            #expect((geometry.regionLength(HugePageCount(value)) == nil) == (value < 0 || value > Int.max >> 15))
            for scheme in Scheme.ofHugeTLB {
                for tailFrames in [TailFrames.frames(PageCount(1)), .auto] {
                    do throws(VmemmapError) {
                        let plan = try MappingPlan(
                            geometry: geometry, scheme: scheme, hugePages: HugePageCount(value), tailFrames: tailFrames)
                        #expect(plan.hugePages.rawValue == value)
                        Self.useFigures(plan, value)
                    } catch {
                        #expect(error.cause == .unusableCount(HugePageCount(value)))
                        #expect(value <= 0 || value > 1 << 41)
                    }
                }
                let zoned = Result {
                    try MappingPlan(
                        geometry: geometry, scheme: scheme, hugePages: HugePageCount(5),
                        firstZone: HugePageCount(value))
                }
                if (1...5).contains(value) {
                    #expect(try zoned.get().hugePagesInFirstZone.rawValue == value)
                } else {
                    let error = #expect(throws: VmemmapError.self) { try zoned.get() }
                    #expect(error?.cause == .unusableFirstZone(HugePageCount(value), of: HugePageCount(5)))
                }
                let run = Result {
                    try MappingPlan(
                        geometry: geometry, scheme: scheme, hugePages: HugePageCount(5),
                        tailFrames: .frames(PageCount(value)))
                }
                if value >= 1 {
                    Self.useFigures(try run.get(), value)
                } else {
                    let error = #expect(throws: VmemmapError.self) { try run.get() }
                    #expect(error?.cause == .unusableTailFrames(PageCount(value)))
                }
            }
        }
    }

    private static func useFigures(_ plan: MappingPlan, _ value: Int) {
        for state in [HugePageState.populated, .optimized, .restored] {
            #expect(plan.regionMappings(state) > .zero && plan.mappings(state) >= .zero)
        }
        #expect(plan.framesOptimized + plan.framesFreed == plan.framesPopulated)
        #expect(plan.netSaving(.assumed) <= plan.grossSaving)
        let all = plan.fileFrames(optimized: plan.hugePages)
        let most = max(all, plan.fileFrames(optimized: .zero))
        #expect(plan.fileFrames(optimized: HugePageCount(value)) <= most)
        #expect(plan.anonymousFrames(optimized: HugePageCount(value)) >= .zero)
        _ = plan.zone(of: HugePageIndex(value))
    }

    @Test("Sizes and places", arguments: odd)
    func places(value: Int) async {
        await #expect(processExitsWith: .success) { [value] in
            let isSize = value > 0 && value & (value - 1) == 0 && value <= 16 << 30
            #expect((HugePageSize(bytes: ByteCount(value)) != nil) == isSize)
            let geometry = Geometry(
                basePageSize: .kibibytes(4), hugePageSize: .twoMebibytes, structPageSize: ByteCount(value))
            #expect((geometry != nil) == Geometry.structPageSizes.contains(ByteCount(value)))
            let region = try Shape(size: .twoMebibytes, pages: 2).region()
            let (layout, frame, page) = (region.layout, PageFrameNumber(value), HugePageIndex(value))
            // Arithmetic goes round an address space: of a frame that is not there, the place says nothing.
            #expect(region.range.contains(layout.structPage(of: frame)) || !layout.frames.contains(frame))
            #expect(layout.allHugePages.contains(layout.geometry.hugePage(of: frame)) == layout.frames.contains(frame))
            _ = layout.geometry.headFrame(of: page)
            #expect((0...7).contains(layout.geometry.vmemmapPage(of: frame).rawValue))
            _ = (layout.head(of: frame), layout.vmemmap(of: page), layout.tails(of: page))
            _ = layout.vmemmap(of: HugePageIndex(min(0, value))..<HugePageIndex(max(0, value)))
            _ = layout.vmemmap(of: page, VmemmapPageIndex(min(0, value))..<VmemmapPageIndex(max(0, value)))
            _ = layout.vmemmap(of: page, from: VmemmapPageIndex(value), count: PageCount(value))
            _ = layout.frame(describedAt: Address(UInt(bitPattern: value)))
            let word = UInt64(bitPattern: Int64(value))
            for address in [Address(0), Address(.max)] {
                _ = (CompoundHead.decoded(word, at: address), CompoundHead.masked(word, at: address))
                _ = CompoundHead.throughFakeHead(word, at: address, pageSize: ByteCount(value)) { word }
            }
            _ = RegionLabel(mappingName: "/memfd:vmemmap-frames:\(value):head:memfd:pte:\(value)")
        }
    }

    @Test("Frames and huge pages that are not of a region", arguments: odd)
    func regions(value: Int) async {
        await #expect(processExitsWith: .success) { [value] in
            let region = try Shape(size: .twoMebibytes, pages: 2).region()
            let (frame, page) = (PageFrameNumber(value), HugePageIndex(value))
            #expect(((try? region.refcount(of: frame)) == nil) == !region.layout.frames.contains(frame))
            do throws(VmemmapError) {
                try region.addToRefcount(of: frame, 1)
                #expect(region.layout.frames.contains(frame))
            } catch {
                #expect(
                    error.cause == .frameOutOfRange(frame, frames: region.layout.frames.count)
                        && !region.layout.frames.contains(frame))
            }
            let isOwn = region.all.contains(page)
            #expect(region.kernelPageFlags(ofHugePage: page).count == (isOwn ? 512 : 0))
            let frames = min(frame, PageFrameNumber(5))..<max(frame, PageFrameNumber(5))
            #expect(region.kernelPageFlags(of: frames).count == frames.clamped(to: region.layout.frames).count)
            let pages = min(page, HugePageIndex(1))..<max(page, HugePageIndex(1))
            #expect(region.visitStructPages(of: pages).reads == 512 * pages.clamped(to: region.all).count)
            #expect(((try? region.optimize(page)) != nil) == isOwn)
            #expect(((try? region.restore(page)) != nil) == isOwn)
            if value < 0 {
                #expect(throws: HostError.self) { _ = try Walkers(value, over: region, seed: 0) }
            }
        }
    }

    @Test("Machines of odd memory, struct pages and tail frames are refused with what is wrong", arguments: odd)
    func configurations(value: Int) async {
        await #expect(processExitsWith: .success) { [value] in
            let sizes = Self.odd.compactMap { HugePageSize(bytes: ByteCount($0)) } + MachineSizes.x86.hugePages
            func cause(_ change: (inout MachineConfiguration) -> Void) -> VmemmapError.Cause? {
                var configuration = MachineConfiguration(memory: .mebibytes(4))
                change(&configuration)
                for size in sizes where !MachineSizes.x86.hugePages.contains(size) {
                    #expect(configuration.plan(size) == nil)
                }
                _ = MachineSizes.x86.hugePages.map { configuration.plan($0) }
                do throws(VmemmapError) {
                    _ = try EmulatedMachine(configuration)
                    return nil
                } catch {
                    return error.cause
                }
            }
            // What the host may have room for is not tried.
            if value < 512 << 10 || value > 1 << 56 {
                let blocks = HugePageCount(value / (2 << 20))
                #expect(cause { $0.memory = ByteCount(value) } == .unusableCount(blocks))
            }
            let isStructPage = Geometry.structPageSizes.contains(ByteCount(value))
            #expect(
                cause { $0.structPageSize = ByteCount(value) }
                    == (isStructPage ? nil : .unusableStructPage(ByteCount(value))))
            #expect(
                cause { $0.tailFrames = .frames(PageCount(value)) }
                    == (value > 0 ? nil : .unusableTailFrames(PageCount(value))))
        }
    }

    @Test("A machine's pools, budgets and frames", arguments: odd, MachineConfiguration.Release.allCases)
    func machines(value: Int, release: MachineConfiguration.Release) async {
        await #expect(processExitsWith: .success) { [value, release] in
            let machine = try EmulatedMachine(
                MachineConfiguration(memory: .mebibytes(16), optimizesAtBoot: true, release: release))
            let (count, frame) = (HugePageCount(value), PageFrameNumber(value))
            let isFrame = (0..<8 * 512).contains(value)
            machine.setFrameBudget(PageCount(value))
            #expect(machine.memmap().frameBudget == PageCount(max(0, value)))
            _ = try machine.setPool(.twoMebibytes, to: HugePageCount(4))
            if value < 0 {
                let refused = HugeTLBError(.unusableCount(count))
                #expect(throws: refused) { try machine.setPool(.twoMebibytes, to: count) }
                #expect(throws: refused) { try machine.setOvercommit(.twoMebibytes, count) }
                #expect(throws: refused) { try machine.reserve(.twoMebibytes, count) }
            } else {
                #expect(try machine.setPool(.twoMebibytes, to: count).got <= HugePageCount(8))
                try machine.setOvercommit(.twoMebibytes, count)
                _ = try? machine.reserve(.twoMebibytes, count)
            }
            machine.unreserve(.twoMebibytes, count)
            for size in Self.odd.compactMap({ HugePageSize(bytes: ByteCount($0)) }) where machine.region(size) == nil {
                let refused = HugeTLBError(.noSuchSize(size))
                #expect(throws: refused) { try machine.setPool(size, to: .zero) }
                #expect(throws: refused) { try machine.setOvercommit(size, .zero) }
                #expect(throws: refused) { try machine.reserve(size, .zero) }
                #expect(throws: refused) { _ = try machine.allocate(size) }
                machine.unreserve(size, count)
                #expect(machine.pool(size).total == .zero && machine.hugePages(size).total == .zero)
            }
            if !isFrame {
                #expect(throws: HugeTLBError(.noSuchFrame(frame))) { try machine.poison(frame) }
                #expect(throws: HugeTLBError(.noSuchFrame(frame))) { _ = try machine.structPage(of: frame) }
                #expect(throws: HugeTLBError(.noSuchFrame(frame))) { try machine.dissolve(frame) }
                #expect(throws: HugeTLBError(.noSuchFrame(frame))) { try machine.demote(frame) }
                #expect(machine.hugePage(of: frame) == nil && !machine.isPoisoned(frame))
            } else {
                try machine.poison(frame)
                _ = try machine.structPage(of: frame)
                try? machine.demote(frame)
                try? machine.dissolve(frame)
            }
            if let page = try? machine.allocate(.twoMebibytes) {
                try machine.free(page)
                #expect(throws: HugeTLBError(.alreadyFree(page.index, page.size))) { try machine.free(page) }
            }
            machine.flush()
            machine.setFrameBudget(PageCount(value))
            _ = try machine.setPool(.twoMebibytes, to: .zero)
            machine.flush()
            #expect(machine.visitsRight())
        }
    }

    @Test(
        "The struct pages of a shared-tail huge page of any size lie where its mask finds them", arguments: [4, 8, 16])
    func aligned(gibibytes: Int) throws {
        let size = try #require(HugePageSize(bytes: .gibibytes(gibibytes)))
        let geometry = try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: size))
        // Built optimized: nothing of it is there but the heads and the templates.
        let plan = try MappingPlan(
            geometry: geometry, scheme: .sharedTail, hugePages: HugePageCount(1), tailFrames: .frames(PageCount(512)))
        // Each begins where the one before made it, and by chance a lesser alignment might do.
        let regions = try (0..<3).map { _ in try VmemmapRegion(plan, .optimized) }
        for region in regions {
            #expect(region.range.start.rawValue.isMultiple(of: UInt(geometry.vmemmapBytesPerHugePage.rawValue)))
            #expect(region.wrongHeads(every: 4099).isEmpty)
        }
    }
}

extension EmulatedMachine {
    /// Whether each frame's struct page leads somewhere in the machine.
    fileprivate func visitsRight() -> Bool {
        (0..<8 * 512).allSatisfy { (try? structPage(of: PageFrameNumber($0)).compoundHead) ?? nil != nil }
    }
}
