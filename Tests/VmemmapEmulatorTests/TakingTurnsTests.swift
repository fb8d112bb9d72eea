import HostMemory
import Testing
@testable import VmemmapEmulator

@Suite("Operations take turns on huge pages")
struct TakingTurnsTests {
    private let region: VmemmapRegion
    private var book: HugePageStates { region.parts.states }

    init() throws {
        region = try Shape(size: .twoMebibytes, pages: 8).region()
    }

    @Test("Whoever waits for many huge pages goes before those who come later for one of them")
    func order() {
        let (one, many) = (region.page(0), region.pages(0..<4))
        book.begin(one)
        let long = book.wait(for: many)
        #expect(!book.take(long))
        let short = book.wait(for: region.page(3))
        // Free, and somebody's who came first.
        #expect(!book.take(short))
        book.end(one)
        #expect(!book.take(short))
        #expect(book.take(long))
        #expect(!book.take(short))
        book.end(many)
        #expect(book.take(short))
        book.end(region.page(3))
    }

    @Test("Nobody waits for those who wait for other huge pages")
    func apart() {
        book.begin(region.page(0))
        let long = book.wait(for: region.pages(0..<4))
        #expect(!book.take(long))
        book.begin(region.pages(4..<8))
        book.end(region.pages(4..<8))
        book.end(region.page(0))
        #expect(book.take(long))
        book.end(region.pages(0..<4))
    }

    @Test("A writer waits for the batch that an operation is at, not for all that it has taken")
    func writers() throws {
        try region.optimize(region.all, writers: .excluded)
        let (kept, tail) = (region.frame(inVmemmapPage: 0, of: 1), region.frame(inVmemmapPage: 5, of: 1))
        book.begin(region.all)
        book.setAtWork(region.page(0), true)
        try region.addToRefcount(of: kept, 1)
        #expect(throws: VmemmapError(.write, .sharedTail(frame: tail))) { try region.addToRefcount(of: tail, 1) }
        book.setAtWork(region.page(0), false)
        book.end(region.all)
        try region.restore(region.all, writers: .excluded)
        try region.addToRefcount(of: tail, 1)
    }
}
