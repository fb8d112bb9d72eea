import HostMemory
import Testing
import VmemmapEmulator

@Suite("Walkers over a machine know what each frame is used as")
struct MachineWalkTests {
    private static func boot(
        _ scheme: Scheme, memory: ByteCount = .mebibytes(64), isOptimizing: Bool = false
    ) throws -> EmulatedMachine {
        try EmulatedMachine(MachineConfiguration(memory: memory, scheme: scheme, optimizesAtBoot: isOptimizing))
    }

    private static func wrong(_ machine: EmulatedMachine, _ frames: some Sequence<PageFrameNumber>) -> Int {
        frames.count { if case .wrong = machine.observeHead(of: $0) { true } else { false } }
    }

    @Test("Tails that show zeros lead to themselves, and each of them is wrong", arguments: Scheme.ofHugeTLB)
    func zeroedTails(_ scheme: Scheme) throws {
        let machine = try Self.boot(scheme)
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        let page = try machine.allocate(.twoMebibytes)
        #expect(machine.visitEveryStructPage().wrong == 0)
        for offset in 1..<512 { machine.storeHeadWord(0, of: page.head.advanced(by: offset)) }
        let seen = machine.visitEveryStructPage()
        #expect(seen.wrong == 511 && seen.reads == 32 * 512)
        #expect(seen.firstWrong?.frame == page.head.advanced(by: 1) && seen.firstWrong?.word == 0)
        #expect(seen.firstWrong?.expectedHead == machine.region(.twoMebibytes)?.layout.structPage(of: page.head))
    }

    @Test("Walkers read while something is done, and end with it")
    func walk() throws {
        let machine = try Self.boot(.head, isOptimizing: true)
        let seen = try machine.walk { try machine.setPool(.twoMebibytes, to: HugePageCount(2)) }
        #expect(seen.reads > 0 && seen.wrong == 0)
        #expect(throws: CancellationError.self) { try machine.walk { throw CancellationError() } }
    }

    @Test("So are the tails of an optimized huge page that show zeros, to a walker in a thread as well")
    func zeroedOptimizedTails() throws {
        let machine = try Self.boot(.firstTail, memory: .mebibytes(4), isOptimizing: true)
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        let region = try #require(machine.region(.twoMebibytes))
        let zeros = try HostKernel.mapAnonymous(length: HostLimits.pageSize * 6)
        try HostKernel.populate(zeros)
        try HostKernel.move(zeros, to: region.vmemmapPage(2, of: 1).start)
        #expect(machine.visitEveryStructPage().wrong == 6 * 64)
        let isNoticed = try HostProcess.eventually {
            let walkers = try Walkers(1, over: machine, seed: 3)
            HostKernel.sleep(nanoseconds: 10_000_000)
            return walkers.stop().wrong > 0
        }
        #expect(isNoticed)
    }

    @Test("A tail that leads to the head of another huge page is wrong", arguments: [Scheme.firstTail, .head])
    func anotherHead(_ scheme: Scheme) throws {
        let machine = try Self.boot(scheme)
        try machine.setPool(.twoMebibytes, to: HugePageCount(2))
        let (first, second) = (try machine.allocate(.twoMebibytes), try machine.allocate(.twoMebibytes))
        let word = try machine.headWord(of: second.head.advanced(by: 7))
        machine.storeHeadWord(word, of: first.head.advanced(by: 70))
        #expect(machine.visitEveryStructPage().firstWrong?.frame == first.head.advanced(by: 70))
    }

    /// How a huge page of 2 MiB stops being one.
    enum End: CaseIterable { case dissolved, shrunk, poisoned, surplusFreed }

    @Test(
        "A head kept from a huge page that is no more is wrong: dissolved, given back, poisoned, freed",
        arguments: Scheme.ofHugeTLB, End.allCases)
    func staleHead(_ scheme: Scheme, _ end: End) throws {
        let machine = try Self.boot(scheme)
        try machine.setPool(.twoMebibytes, to: HugePageCount(end == .surplusFreed ? 0 : 1))
        try machine.setOvercommit(.twoMebibytes, HugePageCount(1))
        let page = try machine.allocate(.twoMebibytes)
        let frame = page.head.advanced(by: 300)
        let word = try machine.headWord(of: frame)
        if end == .poisoned { try machine.poison(frame) }
        #expect(machine.visitEveryStructPage().wrong == 0)
        try machine.free(page)
        switch end {
        case .dissolved, .poisoned: try machine.dissolve(frame)
        case .shrunk: try machine.setPool(.twoMebibytes, to: .zero)
        case .surplusFreed: break
        }
        #expect(machine.hugePage(of: frame) == nil && machine.isPoisoned(frame) == (end == .poisoned))
        #expect(machine.visitEveryStructPage().wrong == 0)
        machine.storeHeadWord(word, of: frame)
        let seen = machine.visitEveryStructPage()
        #expect(seen.wrong == 1 && seen.firstWrong?.frame == frame)
    }

    @Test(
        "After a demotion a frame that keeps the gigantic head is wrong, and so is one that leads to itself",
        arguments: Scheme.ofHugeTLB)
    func staleAfterDemote(_ scheme: Scheme) throws {
        let machine = try Self.boot(scheme, memory: .gibibytes(1))
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        let frame = PageFrameNumber(77 * 512 + 130)
        let word = try machine.headWord(of: frame)
        let every = stride(from: 1, to: 262_144, by: 97).map { PageFrameNumber($0) }
        #expect(Self.wrong(machine, every) == 0)
        try machine.demote(PageFrameNumber(0))
        #expect(Self.wrong(machine, every + [frame]) == 0)
        machine.storeHeadWord(word, of: frame)
        let small = try #require(machine.region(.twoMebibytes)).layout.head(of: frame)
        #expect(machine.observeHead(of: frame) == .wrong(word: word, expected: small))
        machine.storeHeadWord(0, of: frame)
        #expect(machine.observeHead(of: frame) == .wrong(word: 0, expected: small))
    }

    @Test("In a gigantic page neither a frame's own head nor that of its 2 MiB will do", arguments: Scheme.ofHugeTLB)
    func wrongInGigantic(_ scheme: Scheme) throws {
        let machine = try Self.boot(scheme, memory: .gibibytes(1))
        try machine.setPool(.twoMebibytes, to: HugePageCount(512))
        let frame = PageFrameNumber(300 * 512 + 9)
        let word = try machine.headWord(of: frame)
        try machine.setPool(.twoMebibytes, to: .zero)
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        #expect(machine.observeHead(of: frame) == .right)
        for wrong in [word, 0] {
            machine.storeHeadWord(wrong, of: frame)
            guard case .wrong(wrong, _) = machine.observeHead(of: frame) else {
                Issue.record("\(wrong) is taken for right")
                continue
            }
        }
    }

    @Test(
        "A page that holds what it might at another time is wrong: plain struct pages in a huge page, tails in none"
    )
    func contents() throws {
        let machine = try Self.boot(.firstTail)
        let contents = LegalContents(of: machine)
        let region = try #require(machine.region(.twoMebibytes))
        try machine.setPool(.twoMebibytes, to: HugePageCount(1))
        let page = try machine.allocate(.twoMebibytes)
        let (used, plain) = (page.index.rawValue * 8 + 3, (page.index.rawValue == 5 ? 6 : 5) * 8 + 3)
        func isWrong(_ vmemmapPage: Int) -> Bool {
            if case .wrong = contents.observe(vmemmapPage) { true } else { false }
        }
        #expect(!isWrong(used) && !isWrong(plain))
        let words = (0..<512).map { word in (region.word(word, of: used), region.word(word, of: plain)) }
        for (word, (tail, free)) in words.enumerated() {
            region.store(free, word, of: used)
            // The head's address would show the page to be another's.
            region.store(word % 8 == 1 ? UInt64(region.range.start.rawValue) + 1 : tail, word, of: plain)
        }
        #expect(isWrong(used) && isWrong(plain))
    }

    @Test(
        "Memory becomes huge pages and is taken apart again under walkers, and no read is wrong",
        arguments: Scheme.ofHugeTLB)
    func underWalkers(_ scheme: Scheme) throws {
        let machine = try Self.boot(scheme, memory: .gibibytes(1), isOptimizing: true)
        let walkers = try Walkers(2, over: machine, seed: 11)
        defer { _ = walkers.stop() }
        for _ in 0..<3 {
            try machine.setPool(.oneGibibyte, to: HugePageCount(1))
            try machine.demote(PageFrameNumber(0))
            try machine.dissolve(PageFrameNumber(512 * 9))
            try machine.setPool(.twoMebibytes, to: .zero)
        }
        let seen = walkers.stop()
        #expect(seen.reads > 0 && seen.wrong == 0, "\(String(describing: seen.firstWrong))")
    }
}

extension EmulatedMachine {
    /// The word in a frame's compound_head.
    fileprivate func headWord(of frame: PageFrameNumber) throws -> UInt64 {
        try #require(region(.twoMebibytes)?.observedHead(of: frame)).word
    }

    /// Puts a word into a frame's compound_head, which must be writable.
    fileprivate func storeHeadWord(_ word: UInt64, of frame: PageFrameNumber) {
        guard let layout = region(.twoMebibytes)?.layout else { return }
        // SAFETY: the word lies in the machine's memory, which stays; a store that faults is reported.
        let outcome = unsafe MemoryAccess.tryStore(
            word, at: layout.structPage(of: frame) + StructPage.compoundHeadOffset)
        #expect(outcome == .done)
    }
}

extension VmemmapRegion {
    private func address(_ word: Int, of vmemmapPage: Int) -> Address {
        range.start + HostLimits.pageSize * vmemmapPage + ByteCount(8 * word)
    }

    /// A word of a vmemmap page, counted from the start of the region.
    fileprivate func word(_ word: Int, of vmemmapPage: Int) -> UInt64 {
        // SAFETY: the word lies in the region.
        unsafe MemoryAccess.load(address(word, of: vmemmapPage))
    }

    fileprivate func store(_ value: UInt64, _ word: Int, of vmemmapPage: Int) {
        // SAFETY: as above; a store that faults is reported.
        #expect(unsafe MemoryAccess.tryStore(value, at: address(word, of: vmemmapPage)) == .done)
    }
}
