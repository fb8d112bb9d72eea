import HostMemory
import Testing
@testable import VmemmapEmulator

@Suite("Operations take turns on huge pages")
struct TakingTurnsTests {
    private let region: VmemmapRegion
    private var states: HugePageStates { region.parts.states }

    init() throws {
        region = try Shape(size: .twoMebibytes, pages: 8).region()
    }

    @Test("Whoever waits for many huge pages goes before those who come later for one of them")
    func order() {
        var first: HugePageStates.Claim? = states.claim(region.page(0))
        let long = states.wait(for: region.pages(0..<4))
        #expect(!isTaken(long))
        let short = states.wait(for: region.page(3))
        // Free, and somebody's who came first.
        #expect(!isTaken(short))
        give(&first)
        #expect(!isTaken(short))
        var many = states.take(long)
        #expect(many?.pages == region.pages(0..<4))
        #expect(!isTaken(short))
        give(&many)
        #expect(isTaken(short))
    }

    @Test("Nobody waits for those who wait for other huge pages")
    func apart() {
        var first: HugePageStates.Claim? = states.claim(region.page(0))
        let long = states.wait(for: region.pages(0..<4))
        #expect(!isTaken(long))
        _ = states.claim(region.pages(4..<8))
        give(&first)
        #expect(isTaken(long))
    }

    /// Whether it is a ticket's turn: taken, its huge pages are given back at once.
    private func isTaken(_ ticket: Int) -> Bool { states.take(ticket) != nil }

    private func give(_ claim: inout HugePageStates.Claim?) { claim = nil }

    @Test("A writer waits for the batch that an operation is at, not for all that it has taken")
    func writers() throws {
        try region.optimize(region.all, writers: .excluded)
        let (kept, tail) = (region.frame(inVmemmapPage: 0, of: 1), region.frame(inVmemmapPage: 5, of: 1))
        var claim: HugePageStates.Claim? = states.claim(region.all)
        states.setAtWork(region.page(0), true)
        try region.addToRefcount(of: kept, 1)
        #expect(throws: VmemmapError(.write, .sharedTail(frame: tail))) { try region.addToRefcount(of: tail, 1) }
        states.setAtWork(region.page(0), false)
        give(&claim)
        try region.restore(region.all, writers: .excluded)
        try region.addToRefcount(of: tail, 1)
    }
}
