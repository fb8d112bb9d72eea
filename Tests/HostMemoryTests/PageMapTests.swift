@testable import HostLab
import SystemPackage
import Testing

@testable import HostMemory

@Suite("The page map")
struct PageMapTests {
    private let page = ScratchRegion.pageSize

    private func views(_ range: AddressRange) throws -> [PageView] {
        var views: [PageView] = []
        try PageMap.forEachPage(in: range) { (view) throws(HostError) in views.append(view) }
        return views
    }

    @Test("Each page comes once, in order, with the place in the file that it shows")
    func pages() throws {
        let region = try ScratchRegion(pages: 6)
        let file = try MemoryFile(name: "views", length: page * 8)
        try region.map(file.readOnly, from: 5, over: 2..<4)
        region.store(1, page: 0)
        let views = try views(region.range)
        #expect(views.map(\.address) == (0..<6).map { region.page($0) })
        #expect(views.map { $0.file?.offset } == [nil, nil, page * 5, page * 6, nil, nil])
        #expect(views.map(\.entry.isPresent) == [true, false, false, false, false, false])
    }

    @Test("A range that starts and ends inside mappings gives its own pages and no others")
    func inside() throws {
        let region = try ScratchRegion(pages: 10)
        let file = try MemoryFile(name: "inside", length: page * 4)
        try region.map(file.readOnly, over: 6..<10)
        let views = try views(region.pages(3..<8))
        #expect(views.map(\.address) == (3..<8).map { region.page($0) })
        #expect(views.last?.file?.offset == page)
    }

    @Test("Pages that are not mapped are left out")
    func hole() async {
        await #expect(processExitsWith: .success) {
            let region = try ScratchRegion(pages: 5)
            try HostKernel.unmap(region.pages(1..<4))
            var seen: [Address] = []
            try PageMap.forEachPage(in: region.range) { (view) throws(HostError) in seen.append(view.address) }
            #expect(seen == [region.page(0), region.page(4)])
        }
    }

    @Test("More pages than one read's worth, over several mappings, all come")
    func manyReads() throws {
        let pages = 20_000
        let region = try ScratchRegion(pages: pages)
        try HostKernel.protect(region.pages(8191..<8193), .readOnly)
        region.store(1, page: 19_999)
        var next = 0
        var present: [Int] = []
        try PageMap.forEachPage(in: region.range) { (view) throws(HostError) in
            if view.address == region.range.start + page * next { next += 1 }
            if view.entry.isPresent { present.append(next - 1) }
        }
        #expect(next == pages)
        #expect(present == [19_999])
    }

    @Test("A refused step is reported", arguments: [HostOperation.open, .read, .close])
    func refused(operation: HostOperation) throws {
        let region = try ScratchRegion(pages: 1)
        let (error, _) = InjectedFault(first: 1, errno: .permissionDenied, operations: [operation]).during {
            HostError.thrown { () throws(HostError) in
                try PageMap.forEachPage(in: region.range) { (_) throws(HostError) in }
            }
        }
        #expect(error?.code == .notPermitted)
        #expect(error?.operation == operation)
    }

    @Test("Nobody else's business is a frame number", .enabled(if: !Privilege.seesFrames, "runs as an ordinary user"))
    func hidden() throws {
        let region = try ScratchRegion(pages: 4)
        region.stamp(0..<4, from: 1)
        #expect(try views(region.range).allSatisfy { $0.entry.isPresent && $0.entry.pfn == 0 })
    }

    @Test("Frame numbers tell aliases from copies", .enabled(if: Privilege.seesFrames, "needs CAP_SYS_ADMIN"))
    func frames() throws {
        let region = try ScratchRegion(pages: 4)
        let file = try MemoryFile(name: "frames", length: page)
        try region.map(file.readOnly, over: 0..<1)
        try region.map(file.writable, over: 1..<2, .readWrite)
        region.stamp(1..<4, from: 1)
        #expect(region.load(page: 0) == 2)
        let frames = try views(region.range).map(\.entry.pfn)
        #expect(frames[0] == frames[1])
        #expect(Set(frames).count == 3 && !frames.contains(0))
    }
}
