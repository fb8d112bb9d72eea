import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

@Suite("Tails cannot be written")
struct ProtectionTests {
    /// What a store of the value that is there already does at the first and the last word of a vmemmap page.
    private func stores(_ region: VmemmapRegion, _ vmemmapPage: Int, of page: Int) -> [AccessOutcome] {
        let range = region.vmemmapPage(vmemmapPage, of: page)
        return [range.start, range.end - ByteCount(8)].map { address in
            // SAFETY: the word lies in the region, which is mapped throughout; nobody else uses this one.
            let word = unsafe MemoryAccess.load(address)
            return unsafe MemoryAccess.tryStore(word, at: address)
        }
    }

    @Test("Stores to tails are refused while optimized, to pages 0 and 1 never", arguments: Shape.all)
    func stores(_ shape: Shape) throws {
        let region = try shape.region()
        let last = region.lastVmemmapPage
        for state in [HugePageState.populated, .optimized, .restored] {
            if state == .optimized { try region.optimize(region.all, writers: .excluded) }
            if state == .restored { try region.restore(region.all, writers: .excluded) }
            for page in Set([0, shape.pages - 1]) {
                for vmemmapPage in [0, 1] {
                    #expect(stores(region, vmemmapPage, of: page) == [.done, .done], "page \(vmemmapPage), \(state)")
                }
                for vmemmapPage in [2, 3, last / 2, last - 1, last] {
                    let expected: AccessOutcome = state == .optimized ? .refused : .done
                    #expect(
                        stores(region, vmemmapPage, of: page) == [expected, expected], "page \(vmemmapPage), \(state)")
                }
            }
            try region.expectAll(state)
        }
    }

    @Test("A refused store leaves every tail as it was", arguments: Shape.single)
    func contentsStay(_ shape: Shape) throws {
        let region = try shape.region()
        try region.optimize(region.all, writers: .excluded)
        for vmemmapPage in [2, region.lastVmemmapPage] {
            let address = region.vmemmapPage(vmemmapPage, of: 0).start + StructPage.compoundHeadOffset
            // SAFETY: the word lies in the region, which is mapped throughout.
            #expect(unsafe MemoryAccess.tryStore(0xbad, at: address) == .refused)
        }
        try region.expectAll(.optimized)
    }

    @Test("mprotect cannot make a tail writable: EACCES", arguments: Shape.all)
    func mprotect(_ shape: Shape) throws {
        let region = try shape.region()
        try region.optimize(region.all, writers: .excluded)
        for vmemmapPage in [2, region.lastVmemmapPage] {
            let range = region.vmemmapPage(vmemmapPage, of: shape.pages - 1)
            let error = try #require(throws: HostError.self) { try HostKernel.protect(range, .readWrite) }
            #expect(error.code == .notPermitted)
            #expect(error.errno == .permissionDenied)
            #expect(error.operation == .protect)
            #expect(error.place == .addresses(range))
        }
        try region.expectAll(.optimized)
        // Pages 0 and 1 may be asked for; they are writable.
        try HostKernel.protect(region.vmemmapPage(0, of: 0), .readWrite)
        try HostKernel.protect(region.vmemmapPage(1, of: 0), .readWrite)
    }

    @Test("A reference count in a shared tail cannot be changed until its huge page is restored", arguments: Shape.all)
    func sharedTail(_ shape: Shape) throws {
        let region = try shape.region()
        let page = shape.pages - 1
        try region.optimize(region.page(page), writers: .excluded)
        for vmemmapPage in [2, region.lastVmemmapPage] {
            let frame = region.frame(inVmemmapPage: vmemmapPage, of: page).advanced(by: 63)
            let error = #expect(throws: VmemmapError.self) { try region.addToRefcount(of: frame, 1) }
            #expect(error?.cause == .sharedTail(frame: frame))
            #expect(error?.operation == .write)
            #expect(error?.residue.isEmpty == true)
            #expect(try region.refcount(of: frame) == 0)
        }
        try region.restore(region.all, writers: .excluded)
        for vmemmapPage in [2, region.lastVmemmapPage] {
            let frame = region.frame(inVmemmapPage: vmemmapPage, of: page).advanced(by: 63)
            try region.addToRefcount(of: frame, 1)
            #expect(try region.refcount(of: frame) == 1)
            try region.addToRefcount(of: frame, -1)
        }
        #expect(region.differencesFromPrepared().isEmpty)
    }
}
