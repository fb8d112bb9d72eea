@testable import HostLab
import Synchronization
import Testing

@testable import HostMemory

/// The host's own limit. Each test fills a process of its own with mappings.
@Suite(
    "At the limit of mappings",
    .enabled(if: MappingBallast.isPossible, "vm.max_map_count is too high to be filled in a test"))
struct MappingLimitTests {
    @Test("With as many free as the reserve holds, a restore's staging area can be mapped and moved in, piece by piece")
    func restoreWorks() async {
        await #expect(processExitsWith: .success) {
            let cuts = try CutRegion()
            try cuts.fill(leaving: MappingAccount.neededByRestore)
            let page = HostLimits.pageSize
            let staging = try HostKernel.mapAnonymous(length: page * 4)
            // The first is cut out of the middle, which costs the staging area a mapping more.
            for index in [1, 2, 0, 3] {
                let piece = AddressRange(start: staging.start + page * index, length: page)
                try HostKernel.populate(piece)
                let error = HostError.thrown { () throws(HostError) in
                    try HostKernel.move(piece, to: cuts.target(index))
                }
                #expect(error == nil)
                #expect(cuts.storeIntoTarget(index) == .done)
            }
        }
    }

    @Test("Letting the reserve go frees what a restore needs, once")
    func reserve() async {
        await #expect(processExitsWith: .success) {
            for _ in 0..<3 {
                try MappingReserve.process.fill()
                try MappingReserve.process.fill()
                let before = try ProcMaps.count()
                #expect(MappingReserve.process.letGo())
                #expect(try before - ProcMaps.count() >= MappingAccount.neededByRestore)
                #expect(!MappingReserve.process.letGo())
            }
        }
    }

    @Test("A reserve that is refused, and its unmapping too, is made whole next time or let go of", arguments: 1...7)
    func refusedReserve(first: Int) async {
        await #expect(processExitsWith: .success) { [first] in
            let fault = InjectedFault(first: first, failures: 1000, operations: [.mapAnonymous, .protect, .unmap])
            func turn() throws {
                let (error, outcome) = fault.during {
                    HostError.thrown { () throws(HostError) in try MappingReserve.process.fill() }
                }
                #expect((error == nil) == (outcome.failed == 0))
                try MappingReserve.process.fill()
                #expect(MappingReserve.process.letGo())
            }
            try turn()
            let before = try Statm.current().size
            for _ in 0..<10_000 { try turn() }
            // Were they lost, there would be ten pages a turn more. Half of that is left to a new thread's stack and
            // heap.
            #expect(try Statm.current().size - before < PageCount(50_000))
        }
    }

    @Test("At the very limit a move is refused as out of memory, and the target stays as it was")
    func moveRefused() async {
        await #expect(processExitsWith: .success) {
            let cuts = try CutRegion()
            let staging = try ScratchRegion(pages: 4)
            staging.stamp(0..<4, from: 50)
            try cuts.fillUntilRefused()
            let error = HostError.thrown { () throws(HostError) in
                try HostKernel.move(staging.pages(1..<2), to: cuts.target(0))
            }
            #expect(error?.code == .outOfMemory)
            #expect(error?.operation == .move)
            #expect(cuts.storeIntoTarget(0) == .refused)
            #expect(staging.words(0..<4) == [50, 51, 52, 53])
        }
    }

    @Test("A move that is refused while other threads map leaves its target mapped")
    func refusedBesideOthers() async {
        await #expect(processExitsWith: .success) {
            let isFull = Atomic(false)
            let isOver = Atomic(false)
            let (source, target) = (try ScratchRegion(pages: 1), try ScratchRegion(pages: 1))
            // Each makes ten mappings of one and merges them again, as often as it can.
            let others = try (0..<2).map { _ in
                let region = try ScratchRegion(pages: 12)
                return try HostThread {
                    while !isFull.load(ordering: .acquiring) { HostKernel.yield() }
                    while !isOver.load(ordering: .relaxed) {
                        for page in stride(from: 1, to: 11, by: 2) {
                            try? HostKernel.protect(region.pages(page..<page + 1), .none)
                        }
                        try? HostKernel.protect(region.pages(0..<12), .readWrite)
                    }
                }
            }
            let cuts = try CutRegion()
            try cuts.fill(leaving: MappingCount(16))
            isFull.store(true, ordering: .releasing)
            var (moved, refused, gaps) = (0, 0, 0)
            while moved + refused < 50_000 {
                // The last move took it away; at the limit it may take a while to get it back.
                guard (try? HostKernel.mapAnonymous(at: source.pages(0..<1))) != nil else { continue }
                if (try? HostKernel.move(source.pages(0..<1), to: target.page(0))) != nil {
                    moved += 1
                } else {
                    refused += 1
                    if target.store(1, page: 0) != .done { gaps += 1 }
                }
            }
            isOver.store(true, ordering: .relaxed)
            for other in others { other.join() }
            #expect(moved > 0 && refused > 0 && gaps == 0)
        }
    }

    @Test("At the very limit a region is refused as out of memory, and no part of it stays")
    func regionRefused() async {
        await #expect(processExitsWith: .success) {
            let cuts = try CutRegion()
            try cuts.fillUntilRefused()
            let before = try ProcMaps.count()
            let error = HostError.thrown { () throws(HostError) in
                _ = try HostKernel.mapRegion(length: .mebibytes(32), alignment: .mebibytes(16))
            }
            #expect(error?.code == .outOfMemory)
            #expect(try ProcMaps.count() <= before)
        }
    }
}

/// A region cut into mappings of one page each.
private final class CutRegion: Sendable {
    private static let firstCut = 1
    private let region: ScratchRegion

    init() throws(HostError) {
        HeapReserve.fill()
        region = try ScratchRegion(pages: try HostLimits.maxMapCount().rawValue + 16)
    }

    /// A page that is a mapping by itself, as a remapped tail is: what a restore moves to.
    func target(_ index: Int) -> Address { region.page(Self.firstCut + 2 * index) }
    func storeIntoTarget(_ index: Int) -> AccessOutcome { region.store(1, page: Self.firstCut + 2 * index) }

    /// Cuts until all but `spare` mappings are in use.
    func fill(leaving spare: MappingCount) throws {
        var cuts = 0
        var lastIsCut = false
        // The process's own threads may still be starting meanwhile, so what was reached is looked at again.
        for _ in 0..<10 {
            var wanted = try (HostLimits.maxMapCount() - ProcMaps.count() - spare).rawValue
            if wanted == 0 { return }
            if !wanted.isMultiple(of: 2) {
                // The last page has one neighbour only, so cutting it off makes one mapping.
                let last = region.pageCount - 1
                try HostKernel.protect(region.pages(last..<last + 1), lastIsCut ? .readWrite : .none)
                wanted += lastIsCut ? 1 : -1
                lastIsCut.toggle()
            }
            let target = cuts + wanted / 2
            while cuts < target {
                try cut(cuts)
                cuts += 1
            }
            while cuts > target {
                cuts -= 1
                try cut(cuts, .readWrite)
            }
        }
        Issue.record("the process never stays the same")
    }

    /// Cuts until the kernel refuses.
    func fillUntilRefused() throws {
        let cuts = region.pageCount / 2 - 1
        for cut in 0..<cuts {
            let refusal = HostError.thrown { () throws(HostError) in try self.cut(cut) }
            if let refusal {
                #expect(refusal.code == .outOfMemory)
                return
            }
        }
        Issue.record("never refused")
    }

    /// One page more without access: two mappings more. Undone by giving the access back.
    private func cut(_ index: Int, _ protection: Protection = .none) throws(HostError) {
        let page = Self.firstCut + 2 * index
        try HostKernel.protect(region.pages(page..<page + 1), protection)
    }
}
