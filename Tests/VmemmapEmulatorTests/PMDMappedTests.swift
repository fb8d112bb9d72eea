import Glibc
import HostLab
import HostMemory
import Synchronization
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("The region mapped by PMDs", .enabled(if: HostProcess.mapsByPmds, "needs transparent huge pages and Linux 6.7"))
struct PMDMappedTests {
    @Test(
        "PMDs map whole blocks until they are split; gigantic pages, and only they, get them back",
        arguments: Shape.onPmds)
    func cycle(_ shape: Shape) throws {
        let region = try shape.region()
        let walkers = try Walkers(2, over: region, seed: 3)
        defer { _ = walkers.stop() }
        try region.expectBlocks(.populated)
        for _ in 0..<3 {
            try region.optimize(region.all, writers: .excluded)
            try region.expectBlocks(.optimized)
            // Anonymous frames that were given back one by one; those of a memory file are seen in its size.
            if shape.backing == .anonymous, let parts = try KernelPages.partsOfHugePages(in: region.range) {
                #expect(parts == .zero)
            }
            try region.restore(region.all, writers: .excluded)
            try region.expectBlocksAmongReaders()
        }
        #expect(walkers.stop().wrong == 0)
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored)
    }

    @Test("A page that a reader has a reference to keeps its block from being merged, no other, and no longer")
    func heldPage() throws {
        let shape = Shape(
            size: .oneGibibyte, pages: 1, scheme: .sharedTail, backing: .memfd, tailFrames: 512, mapping: .pmd)
        let region = try shape.region()
        for kept in [true, false] {
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
            let held = try kept ? HeldPage(at: region.range.start) : nil
            try region.restore(region.all, writers: .excluded)
            if let held {
                #expect(region.splitBlocks == [AddressRange(start: region.range.start, length: .mebibytes(2))])
                try region.expectBlocksAmongReaders()
                try region.expectWhole([.restored])
                held.release()
            } else {
                try region.expectAll(.restored)
            }
        }
    }

    @Test("A restore waits for readers who may be off their processors, a tenth of a second a block, and no longer")
    func waitsForReaders() throws {
        let region = try Shape(size: .oneGibibyte, pages: 1, backing: .memfd, mapping: .pmd).region()
        // Refused as a reader has it refused: throughout, and as often as is tried at least.
        for (failures, split) in [(1000, 8), (19, 0)] {
            try region.optimize(region.all, writers: .excluded)
            let start = HostKernel.monotonicNanoseconds()
            let (error, outcome) = Operation.restore.run(
                on: region, .excluded,
                under: InjectedFault(
                    first: 1, failures: failures, errno: .resourceTemporarilyUnavailable, operations: [.collapse]))
            #expect(error == nil && outcome.failed < 1000)
            #expect(region.splitBlocks.count == split)
            #expect(HostKernel.monotonicNanoseconds() - start >= 100_000_000 * split)
            try region.expectWhole([.restored])
        }
        try region.expectAll(.restored)
    }

    @Test("smaps says of the region what PAGEMAP_SCAN does", arguments: Backing.allCases)
    func secondSource(_ backing: Backing) async {
        await #expect(processExitsWith: .success) { [name = backing.rawValue as String] in
            let backing = try #require(Backing(rawValue: name))
            let region = try Shape(size: .oneGibibyte, pages: 2, backing: backing, mapping: .pmd).region()
            for pmds in [16, 8, 16] {
                let rollup = try SmapsRollup.current()
                #expect((backing == .anonymous ? rollup.anonHugePages : rollup.shmemPmdMapped) == .mebibytes(2) * pmds)
                #expect(try region.pmdMappedBytes() == .mebibytes(2) * pmds)
                if pmds == 16 {
                    try region.optimize(region.page(1), writers: .excluded)
                } else {
                    try region.restore(region.page(1), writers: .excluded)
                }
            }
        }
    }

    @Test("The host counts each split and each collapse", arguments: Backing.allCases)
    func events(_ backing: Backing) throws {
        // All processes together: at least ours.
        let region = try Shape(size: .oneGibibyte, pages: 1, backing: backing, mapping: .pmd).region()
        let built = try #require(try HugePageEvents.current())
        try region.optimize(region.all, writers: .excluded)
        let optimized = try #require(try HugePageEvents.current())
        #expect(optimized.splitPmd >= built.splitPmd + 8)
        // A hole gives whole huge pages back as they are, and splits the one that it reaches into.
        #expect(optimized.splitPage >= built.splitPage + (backing == .anonymous ? 8 : 1))
        try region.restore(region.all, writers: .excluded)
        let restored = try #require(try HugePageEvents.current())
        let merged = (restored.collapseAlloc + restored.faultAlloc) - (optimized.collapseAlloc + optimized.faultAlloc)
        #expect(merged >= 8)
    }

    @Test(
        "Only what this code has split is merged: other huge pages' blocks are left alone", arguments: Backing.allCases)
    func marks(_ backing: Backing) throws {
        let region = try Shape(size: .oneGibibyte, pages: 3, backing: backing, mapping: .pmd).region()
        try region.optimize(region.page(1), writers: .excluded)
        let second = region.layout.vmemmap(of: HugePageIndex(1))
        #expect(region.splitBlocks.map(\.start) == (0..<8).map { second.start + .mebibytes(2) * $0 })
        #expect(try region.pmdMappedBytes() == .mebibytes(32))
        try region.restore(region.page(1), writers: .excluded)
        #expect(region.splitBlocks.isEmpty)
        // Restored already: nothing is done, and nothing merged.
        try region.restore(region.page(0), writers: .excluded)
        #expect(try region.pmdMappedBytes() == .mebibytes(48))
    }

    @Test(
        "Of a block that several huge pages share, the others keep their contents and writers",
        arguments: Scheme.ofHugeTLB)
    func sharedBlock(_ scheme: Scheme) throws {
        for backing in Backing.allCases {
            let region = try Shape(size: .twoMebibytes, pages: 64, scheme: scheme, backing: backing, mapping: .pmd)
                .region()
            try region.optimize(region.page(5), writers: .excluded)
            try region.expectWhole((0..<64).map { $0 == 5 ? .optimized : .populated })
            #expect(region.splitBlocks == [region.range])
            try region.addToRefcount(of: region.frame(inVmemmapPage: 3, of: 6), 2)
            #expect(try region.refcount(of: region.frame(inVmemmapPage: 3, of: 6)) == 2)
            try region.addToRefcount(of: region.frame(inVmemmapPage: 3, of: 6), -2)
            try region.restore(region.page(5), writers: .excluded)
            #expect(region.splitBlocks == [region.range])
            try region.expectWhole((0..<64).map { $0 == 5 ? .restored : .populated })
        }
    }

    @Test("khugepaged, which puts huge pages together at any moment, is kept off the region's private memory")
    func keptFromKhugepaged() throws {
        for size in [HugePageSize.twoMebibytes, .oneGibibyte] {
            let region = try Shape(size: size, pages: size == .oneGibibyte ? 1 : 64, mapping: .pmd).region()
            #expect(try region.openToKhugepaged() == [])
            try region.optimize(region.page(0), writers: .excluded)
            #expect(try region.openToKhugepaged() == [])
            try region.restore(region.page(0), writers: .excluded)
            #expect(try region.openToKhugepaged() == [])
            try region.optimize(region.all, writers: .excluded)
            try region.restore(region.all, writers: .excluded)
            #expect(try region.openToKhugepaged() == [])
            try region.expectAll(.restored)
        }
    }

    @Test("Without memory for a huge page a restore leaves a working split mapping, and a later one merges it")
    func noHugePageForMerge() async {
        await #expect(processExitsWith: .success) {
            let regions = try Scheme.ofHugeTLB.map {
                try Shape(size: .oneGibibyte, pages: 2, scheme: $0, mapping: .pmd).region()
            }
            for region in regions {
                try region.optimize(region.all, writers: .excluded)
                try HostProcess.forbidHugePages(true)
                let walkers = try Walkers(1, over: region, seed: 1)
                try region.restore(region.all, writers: .excluded)
                #expect(walkers.stop().wrong == 0)
                #expect(try region.pmdMappedBytes() == .zero)
                #expect(region.splitBlocks.count == 16)
                try region.expectWhole([.restored, .restored])
                try HostProcess.forbidHugePages(false)
                try region.optimize(region.all, writers: .excluded)
                try region.expectAll(.optimized)
                try region.restore(region.all, writers: .excluded)
                try region.expectAll(.restored)
            }
        }
    }

    @Test("A refused collapse leaves what it found, whatever the reason", arguments: [Errno.noMemory, .resourceBusy])
    func refusedCollapse(_ errno: Errno) throws {
        let region = try Shape(size: .oneGibibyte, pages: 1, backing: .memfd, mapping: .pmd).region()
        try region.optimize(region.all, writers: .excluded)
        let (error, outcome) = Operation.restore.run(
            on: region, .excluded, under: InjectedFault(first: 3, failures: 2, errno: errno, operations: [.collapse]))
        #expect(error == nil && outcome.failed == 2)
        #expect(region.splitBlocks.count == 2)
        #expect(try region.pmdMappedBytes() == .mebibytes(12))
        try region.expectWhole([.restored])
    }

    @Test("A split that the host refuses leaves the huge page as it was", arguments: Scheme.ofHugeTLB)
    func refusedSplit(_ scheme: Scheme) throws {
        let region = try Shape(size: .oneGibibyte, pages: 1, scheme: scheme, mapping: .pmd).region()
        // What was split before the refusal stays split.
        for (number, split) in [(1, 0), (5, 4), (8, 7)] {
            let (error, outcome) = Operation.optimize.run(
                on: region, .present, under: InjectedFault(first: number, operations: [.splitHugePage]))
            #expect(outcome.failed == 1)
            #expect(error?.residue.isEmpty == true)
            #expect(region.splitBlocks.count == split)
            #expect(try region.pmdMappedBytes() == .mebibytes(2) * (8 - split))
            try region.expectWhole([.populated])
        }
        try region.optimize(region.all, writers: .excluded)
        try region.expectAll(.optimized)
    }

    @Test(
        "A memory file's huge page that cannot be split is exchanged under readers and writers, who notice nothing",
        arguments: Shape.onPmds.filter { $0.backing == .memfd })
    func exchange(_ shape: Shape) throws {
        let region = try shape.region()
        let frame = region.layout.geometry.headFrame(of: HugePageIndex(shape.pages - 1))
        let walkers = try Walkers(1, over: region, seed: 5)
        defer { _ = walkers.stop() }
        let shouldStop = SharedFlag()
        let written = Mutex(Int32(0))
        let writer = try HostThread {
            var count: Int32 = 0
            while !shouldStop.isSet {
                if (try? region.addToRefcount(of: frame, 1)) != nil { count += 1 }
            }
            written.withLock { $0 = count }
        }
        for _ in 0..<(shape.size == .oneGibibyte ? 2 : 10) {
            let (error, outcome) = Operation.optimize.run(
                on: region, .present, under: InjectedFault(first: 1, failures: 1000, operations: [.splitHugePage]))
            #expect(error == nil)
            // Once a batch; blocks of 2 MiB pages stay split.
            #expect(outcome.failed <= 2)
            try region.expectBlocks(.optimized)
            try region.restore(region.all, writers: .present)
            try region.expectBlocksAmongReaders()
        }
        shouldStop.set()
        writer.join()
        #expect(walkers.stop().wrong == 0)
        #expect(try region.refcount(of: frame) == 1 + written.withLock { $0 })
        try region.addToRefcount(of: frame, -written.withLock { $0 })
        try region.optimize(region.all, writers: .excluded)
        try region.restore(region.all, writers: .excluded)
        try region.expectAll(.restored)
    }

    @Test("When the host has no memory to move the exchanged page back, it is named, works, and is moved back later")
    func displaced() throws {
        for pages in [64, 128] {
            let region = try Shape(size: .twoMebibytes, pages: pages, backing: .memfd, mapping: .pmd).region()
            // Every write is refused, of the exchange and of putting it back; the split as well, so that there is one.
            let (error, _) = Operation.optimize.run(
                on: region, .present,
                under: InjectedFault(first: 1, failures: 1000, operations: [.splitHugePage, .write]))
            #expect(error?.residue.displacedBytes == .mebibytes(2))
            #expect(error?.description.contains("bytes not moved back to the memory file") == true)
            #expect(region.wrongHeads().isEmpty)
            #expect(region.differencesFromPrepared().isEmpty)
            try region.addToRefcount(of: PageFrameNumber(70), 1)
            try region.addToRefcount(of: PageFrameNumber(70), -1)
            try region.optimize(region.all, writers: .excluded)
            try region.expectAll(.optimized)
            try region.restore(region.all, writers: .excluded)
            try region.expectAll(.restored)
        }
    }

    @Test(
        "A block that is displaced keeps every huge page's contents, wherever it lies, and mending moves it back",
        arguments: [64..<128, 60..<70, 100..<101, 0..<1])
    func displacedElsewhere(_ span: Range<Int>) throws {
        let region = try Shape(size: .twoMebibytes, pages: 128, backing: .memfd, mapping: .pmd).region()
        let (error, _) = InjectedFault(first: 1, failures: 1000, operations: [.splitHugePage, .write]).during {
            Result { () throws(VmemmapError) in try region.optimize(region.pages(span), writers: .excluded) }
        }
        let residue = try #require(throws: VmemmapError.self) { try error.get() }.residue
        #expect(residue.displacedBytes == .mebibytes(2) && residue.torn.isEmpty)
        // The first block of the span, with all that it holds.
        let block = span.lowerBound / 64
        for (page, state) in region.states.enumerated() {
            #expect(state.tear?.contents == (page / 64 == block ? .privateMemory : nil), "huge page \(page)")
            #expect(state.tear?.isUsable != false)
        }
        #expect(region.wrongHeads().isEmpty)
        #expect(region.differencesFromPrepared().isEmpty)
        #expect(try region.mend(region.page(block * 64)).isEmpty)
        try region.expectWhole(Array(repeating: .populated, count: 128))
    }

    @Test(
        "Writers of a block that is left write-protected get an error, also those of huge pages that had no part in it")
    func protectionStays() throws {
        let region = try Shape(size: .twoMebibytes, pages: 128, backing: .memfd, mapping: .pmd).region()
        let frame = region.frame(inVmemmapPage: 0, of: 100)
        // The split fails for real; then the write back to the file is refused, and so is lifting the protection.
        let held = try HeldPage(at: region.vmemmapPage(0, of: 64).start)
        let (error, _) = InjectedFault(first: 4, failures: 1000, operations: [.protect, .write]).during {
            Result { () throws(VmemmapError) in try region.optimize(region.pages(64..<66), writers: .excluded) }
        }
        held.release()
        let residue = try #require(throws: VmemmapError.self) { try error.get() }.residue
        #expect(residue.torn.map(\.page.rawValue) == [64, 65])
        #expect(residue.torn.allSatisfy { $0.isWriteProtected && $0.contents == .privateMemory })
        let write = #expect(throws: VmemmapError.self) { try region.addToRefcount(of: frame, 1) }
        #expect(write?.cause == .torn(HugePageIndex(100)))
        try region.addToRefcount(of: region.frame(inVmemmapPage: 0, of: 3), 0)
        #expect(try region.mend(region.pages(64..<66)).isEmpty)
        try region.addToRefcount(of: frame, 0)
        try region.expectWhole(Array(repeating: .populated, count: 128))
    }

    @Test(
        "Each call of an operation that exchanges a block is refused: what is said is so, and mended by the next",
        arguments: FaultCase.isFull ? [1, 2, 1_000_000] : [1, 1_000_000])
    func exchange(_ failures: Int) throws { try sweepExchange(failures, .atOnce) }

    @Test("The same where the host refuses late", arguments: FaultCase.isFull ? [1, 2, 1_000_000] : [1, 1_000_000])
    func exchangeLate(_ failures: Int) async {
        await #expect(processExitsWith: .success) { [failures] in try sweepExchange(failures, .late) }
    }

    @Test("A region that fills no block, or is to be built optimized, is refused")
    func impossible() throws {
        let small = try Shape(size: .twoMebibytes, pages: 63, mapping: .pmd).plan()
        let error = #expect(throws: VmemmapError.self) { _ = try VmemmapRegion(small) }
        #expect(error?.cause == .notPMDMappable(region: small.framesPopulated.bytes(pageSize: HostLimits.pageSize)))
        let large = try Shape(size: .oneGibibyte, pages: 1, mapping: .pmd).plan()
        #expect(throws: VmemmapError(.build, .pmdMappedAtBoot)) { _ = try VmemmapRegion(large, .optimized) }
    }
}

/// Fails call after call of an optimize in a block that a reader keeps whole, each on a new region.
private func sweepExchange(_ failures: Int, _ manner: InjectedFault.Manner) throws {
    for number in 1... {
        let region = try Shape(size: .twoMebibytes, pages: 64, backing: .memfd, mapping: .pmd).region()
        let (before, pages) = (region.states, region.pages(20..<22))
        let held = try HeldPage(at: region.vmemmapPage(0, of: 20).start)
        let (result, outcome) = InjectedFault(first: number, failures: failures, manner: manner).during {
            Result { () throws(VmemmapError) in try region.optimize(pages, writers: .excluded) }
        }
        held.release()
        if outcome.failed == 0 {
            // Eleven calls exchange a block.
            #expect(number > 20)
            return
        }
        let (residue, isFailed) =
            switch result {
            case .success(let residue): (residue, false)
            case .failure(let error): (error.residue, true)
            }
        let check = ResidueCheck(
            region: region, pages: pages, operation: .optimize, before: before, isFailed: isFailed, residue: residue,
            looksForStaging: false)
        let disagreements = try check.disagreements()
        let comment = "call \(number), \(manner)"
        #expect(disagreements.isEmpty, "\(comment): \(disagreements.prefix(3)) \(result)")
        #expect(try region.mend(region.all).isEmpty, "\(comment)")
        try region.expectWhole(region.states, comment)
        if isFailed { try region.optimize(pages, writers: .excluded) }
        #expect(region.states.map(\.isOptimized) == region.all.map { pages.contains($0) }, "\(comment)")
        try region.expectWhole(region.states, comment)
    }
}

extension VmemmapRegion {
    /// The mappings of private memory in the region that may be given huge pages unasked: those without the flag `nh`.
    fileprivate func openToKhugepaged() throws -> [Substring] {
        var open: [Substring] = []
        var mapping: Substring?
        for line in try HostKernel.readText("/proc/self/smaps").split(separator: "\n") {
            let words = line.split(separator: " ")
            let ends = words[0].split(separator: "-").map { UInt($0, radix: 16) }
            if words.count > 4, ends.count == 2, let start = ends[0] {
                // Private memory has no inode.
                mapping = words[4] == "0" && range.contains(Address(start)) ? words[0] : nil
            } else if words[0] == "VmFlags:", let found = mapping, !words.contains("nh") {
                open.append(found)
            }
        }
        return open
    }
}

/// A reference to a page, as a reader has one while he faults it in: vmsplice leaves it in a pipe.
private struct HeldPage {
    private let ends: [CInt]

    init(at address: Address) throws {
        typealias Vmsplice = @convention(c) (CInt, UnsafePointer<iovec>, UInt, CUnsignedInt) -> Int
        var ends: [CInt] = [0, 0]
        // SAFETY: the kernel writes two numbers.
        try #require(unsafe pipe(&ends) == 0)
        self.ends = ends
        var piece = unsafe iovec(iov_base: UnsafeMutableRawPointer(bitPattern: address.rawValue), iov_len: 1)
        // SAFETY: vmsplice is hidden from Swift (GNU-only) and is called as it is declared; the page is mapped and only
        // read.
        let held = unsafe dlsym(nil, "vmsplice").map { symbol in
            unsafe unsafeBitCast(symbol, to: Vmsplice.self)(ends[1], &piece, 1, 0)
        }
        try #require(held == 1)
    }

    func release() { for end in ends { close(end) } }
}

extension HostProcess {
    /// Has the kernel give this process no transparent huge pages from now on, as if there were no memory for them, or
    /// lets it again: prctl(PR_SET_THP_DISABLE).
    fileprivate static func forbidHugePages(_ isForbidden: Bool) throws {
        typealias Prctl = @convention(c) (CInt, UInt, UInt, UInt, UInt) -> CInt
        // SAFETY: prctl is variadic, and so not imported; with five integers it is called like this on every Linux.
        let result = unsafe dlsym(nil, "prctl").map { symbol in
            unsafe unsafeBitCast(symbol, to: Prctl.self)(41, isForbidden ? 1 : 0, 0, 0, 0)
        }
        try #require(result == 0)
    }
}
