import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("What the kernel says of single frames")
struct KernelPagesTests {
    private static func frames(_ range: AddressRange) throws -> [UInt64] {
        var frames: [UInt64] = []
        try PageMap.forEachPage(in: range) { (view) throws(HostError) in frames.append(view.entry.pfn) }
        return frames
    }

    @Test("A frame mapped seven times reads 7", .enabled(if: Privilege.seesFrames, "needs CAP_SYS_ADMIN"))
    func mapCount() throws {
        let region = try ScratchRegion(pages: 8)
        let file = try MemoryFile(name: "seven", length: ScratchRegion.pageSize)
        for index in 0..<7 { try region.map(file.readOnly, over: index..<index + 1) }
        #expect(region.words(0..<7) == Array(repeating: 0, count: 7))
        region.store(1, page: 7)
        let frames = try Self.frames(region.range)
        #expect(Set(frames).count == 2)
        let asked = [frames[0], frames[7], frames[6]]
        let tells = try KernelPages.read(.flags, frames: asked).map { $0 != 0 }
        let counts = try KernelPages.mapCounts(of: asked)
        #expect(counts == [tells[0] ? 7 : nil, tells[1] ? 1 : nil, tells[2] ? 7 : nil])
    }

    /// Linux with deferred_init=lazy: frames at the end of memory, which it hands out, lie beyond the struct pages that
    /// its /proc files know.
    @Test("Of a mapped frame that has neither flags nor a count nothing is known")
    func unknown() {
        // KPF_MMAP, KPF_ZERO_PAGE.
        let flags: [UInt64] = [1 << 11, 0, 1 << 24]
        #expect(KernelPages.mapCounts([7, 0, 0], flags: flags) == [7, nil, 0])
    }

    @Test("Parts of huge pages are the frames with bit 22, in a list that may name one more than once")
    func partsOfHugePages() {
        let thp: UInt64 = 1 << 22
        let anonymous: UInt64 = 1 << 12
        let flags = [thp | anonymous, anonymous, thp, anonymous | 1 << 21, anonymous | 1 << 23, thp]
        #expect(KernelPages.partsOfHugePages([1, 2, 3, 4, 5, 3], flags: flags) == PageCount(3))
        #expect(KernelPages.partsOfHugePages([], flags: []) == .zero)
        // Of frame 7 the kernel knows nothing; of the second no number is told.
        #expect(KernelPages.partsOfHugePages([6, 7], flags: [thp, 0]) == nil)
        #expect(KernelPages.partsOfHugePages([6, 0], flags: [thp, thp]) == nil)
    }

    @Test("The share of a frame is its size by its mappings, for each entry; a frame that nobody maps has none")
    func share() {
        let page = ByteCount(4096)
        #expect(KernelPages.proportionalShare(of: [1, 1, 2], pageSize: page) == ByteCount(4096 * 2 + 2048))
        #expect(KernelPages.proportionalShare(of: Array(repeating: 7, count: 7), pageSize: page) == page)
        #expect(KernelPages.proportionalShare(of: Array(repeating: 8, count: 7), pageSize: page) == ByteCount(3584))
        #expect(KernelPages.proportionalShare(of: [0, 1, 0], pageSize: page) == page)
        #expect(KernelPages.proportionalShare(of: [1, nil], pageSize: page) == nil)
        #expect(KernelPages.proportionalShare(of: [], pageSize: page) == .zero)
        let large = KernelPages.proportionalShare(of: Array(repeating: 3, count: 3_000_000), pageSize: page)
        #expect(large == page * 1_000_000)
    }

    @Test("Flags tell anonymous frames from those of a file", .enabled(if: Privilege.seesFrames, "needs CAP_SYS_ADMIN"))
    func flags() throws {
        let region = try ScratchRegion(pages: 2)
        let file = try MemoryFile(name: "flags", length: ScratchRegion.pageSize)
        try region.map(file.writable, over: 0..<1, .readWrite)
        region.stamp(0..<2, from: 1)
        let flags = try KernelPages.read(.flags, frames: Self.frames(region.range))
        // KPF_ANON of linux/kernel-page-flags.h.
        if flags[0] != 0 { #expect(flags[0] >> 12 & 1 == 0) }
        if flags[1] != 0 { #expect(flags[1] >> 12 & 1 == 1) }
    }

    @Test("No frames are no words", .enabled(if: Privilege.seesFrames, "needs CAP_SYS_ADMIN"))
    func none() throws {
        #expect(try KernelPages.read(.mapCount, frames: []).isEmpty)
    }

    @Test(
        "A frame beyond the end of memory is unreadable, however far",
        .enabled(if: Privilege.seesFrames, "needs CAP_SYS_ADMIN"),
        arguments: [1 << 55 - 1, 1 << 60 - 1, 1 << 60, 1 << 61, .max] as [UInt64])
    func beyond(frame: UInt64) async {
        await #expect(processExitsWith: .success) { [frame = frame as UInt64] in
            let error = HostError.thrown { () throws(HostError) in
                _ = try KernelPages.read(.mapCount, frames: [frame])
            }
            #expect(error?.code == .unreadable)
        }
    }

    @Test("An ordinary user is not permitted", arguments: [KernelPages.Table.mapCount, .flags])
    func ordinaryUser(table: KernelPages.Table) async {
        await #expect(processExitsWith: .success) { [name = table.rawValue as String] in
            if Privilege.isRoot { try #require(setuid(65534) == 0) }
            let table = try #require(KernelPages.Table(rawValue: name))
            let error = HostError.thrown { () throws(HostError) in _ = try KernelPages.read(table, frames: [1]) }
            #expect(error == HostError(.permissionDenied, .open, .file(name)))
        }
    }
}
