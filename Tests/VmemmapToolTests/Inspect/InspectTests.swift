import Glibc
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator
@testable import VmemmapTool

/// A region of this process is changed behind its back, as a debugger would do it, and looked at from outside.
@Suite("Inspect notices every difference that it can read")
struct InspectTests {
    private typealias Subject = String

    private static func region(
        _ scheme: Scheme = .firstTail, _ backing: Backing = .anonymous, pages: Int = 6, isOptimized: Bool = true
    ) throws -> VmemmapRegion {
        let region = try VmemmapRegion(
            MappingPlan(
                geometry: try #require(Geometry(basePageSize: HostLimits.pageSize, hugePageSize: .twoMebibytes)),
                scheme: scheme, backing: backing, hugePages: HugePageCount(pages), tailFrames: .frames(PageCount(1))))
        if isOptimized { try region.optimize(region.layout.allHugePages, writers: .excluded) }
        _ = region.visitEveryStructPage()
        return region
    }

    private static func inspect(_ region: VmemmapRegion) throws -> InspectResult {
        try InspectExperiment(pid: getpid(), region: region.range).run()
    }

    /// Looks, and returns what does not agree.
    private static func differences(_ region: VmemmapRegion) throws -> Set<Subject> {
        let result = try inspect(region)
        let failed = Set(result.checks.filter { $0.outcome == .failed }.map(\.id))
        #expect(result.holds == failed.isEmpty)
        // Of huge pages out of scheme the scheme says nothing.
        #expect(result.checks.allSatisfy { $0.outcome != .notMeasured } || failed.contains("huge_pages_in_scheme"))
        #expect((result.firstDifference.value == nil) == !failed.contains("pages_mapped_as_their_state"))
        return failed
    }

    private static func tail(_ region: VmemmapRegion, _ vmemmapPage: Int, of page: Int) -> AddressRange {
        region.layout.vmemmap(of: HugePageIndex(page), from: VmemmapPageIndex(vmemmapPage), count: PageCount(1))
    }

    /// mprotect as a debugger calls it.
    private static func protect(_ range: AddressRange, _ flags: CInt) {
        // SAFETY: the range is a page of the test's own region, which nobody uses meanwhile.
        let result = unsafe mprotect(
            UnsafeMutableRawPointer(bitPattern: range.start.rawValue), range.length.rawValue, flags)
        #expect(result == 0)
    }

    /// mmap with MAP_FIXED as a debugger calls it.
    private static func map(_ range: AddressRange, _ protection: CInt, _ flags: CInt, _ file: CInt, _ offset: Int) {
        // SAFETY: as above.
        let result = unsafe mmap(
            UnsafeMutableRawPointer(bitPattern: range.start.rawValue), range.length.rawValue, protection,
            flags | MAP_FIXED, file, offset)
        #expect(unsafe result != MAP_FAILED)
    }

    @Test(
        "What nobody has changed is what the scheme says: optimized, restored, some of each",
        arguments: Scheme.ofHugeTLB,
        Backing.allCases)
    func unchanged(_ scheme: Scheme, _ backing: Backing) throws {
        let region = try Self.region(scheme, backing, isOptimized: false)
        #expect(try Self.differences(region) == [])
        for pages in [1..<3, 5..<6, 0..<6] {
            try region.optimize(HugePageIndex(pages.lowerBound)..<HugePageIndex(pages.upperBound), writers: .excluded)
            #expect(try Self.differences(region) == [], "\(pages)")
        }
        try region.restore(HugePageIndex(2)..<HugePageIndex(4), writers: .excluded)
        #expect(try Self.differences(region) == [])
        try region.restore(region.layout.allHugePages, writers: .excluded)
        #expect(try Self.differences(region) == [])
    }

    @Test("A page that was given back and read again shows the kernel's zero page: seen without privileges (Linux 6.7)")
    func zeroPage() throws {
        let region = try Self.region(isOptimized: false)
        try region.optimize(HugePageIndex(0)..<HugePageIndex(2), writers: .excluded)
        // A head that is kept, and a page of a huge page that is not optimized.
        for (page, hugePage) in [(0, 1), (5, 4)] {
            let zapped = Self.tail(region, page, of: hugePage)
            // SAFETY: a page of the test's own region, which nobody uses meanwhile.
            let result = unsafe madvise(
                UnsafeMutableRawPointer(bitPattern: zapped.start.rawValue), zapped.length.rawValue, MADV_DONTNEED)
            #expect(result == 0)
            #expect(try Self.differences(region).contains("huge_pages_in_scheme"))
            // SAFETY: as above.
            #expect(unsafe UnsafeRawPointer(bitPattern: zapped.start.rawValue)?.load(as: UInt64.self) == 0)
        }
        let result = try Self.inspect(region)
        let zeroPages = try #require(result.checks.first { $0.id == "zero_pages" })
        if zeroPages.outcome == .notMeasured { try Test.cancel("this kernel does not tell zero pages") }
        #expect(zeroPages.figures[0].measured == .value(2) && zeroPages.outcome == .failed)
        #expect(result.pages.neither == HugePageCount(2) && !result.holds)
    }

    @Test(
        "A tail that nobody can read any more, or that may be executed", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func protection(_ scheme: Scheme, _ backing: Backing) throws {
        let region = try Self.region(scheme, backing)
        for (page, flags) in [(0, PROT_NONE), (3, PROT_READ | PROT_EXEC)] {
            let tail = Self.tail(region, 5, of: page)
            Self.protect(tail, flags)
            #expect(try Self.differences(region).contains("pages_mapped_as_their_state"), "\(flags)")
            // It is no guard page: the region is as long as it was.
            #expect(try FoundRegion.all(in: .current).contains { $0.range == region.range })
            Self.protect(tail, PROT_READ)
            #expect(try Self.differences(region) == [])
        }
    }

    /// MADV_GUARD_INSTALL as a debugger calls it. False on a kernel without it for shared memory (before Linux 6.15).
    private static func guardPage(_ range: AddressRange, _ isInstalled: Bool) -> Bool {
        // SAFETY: as above.
        unsafe madvise(
            UnsafeMutableRawPointer(bitPattern: range.start.rawValue), range.length.rawValue, isInstalled ? 102 : 103)
            == 0
    }

    @Test("A guard region in a tail or a head: mapped as it was, and nobody can read it", arguments: Backing.allCases)
    func guardRegion(_ backing: Backing) throws {
        let region = try Self.region(.firstTail, backing)
        for page in [0, 5] {
            let place = Self.tail(region, page, of: 3)
            guard Self.guardPage(place, true) else { try Test.cancel("no guard regions here (Linux 6.15)") }
            #expect(try Self.differences(region).contains("huge_pages_in_scheme"), "\(page)")
            _ = Self.guardPage(place, false)
            // What an anonymous page held is gone, and what a file's page shows is there again when it is read.
            _ = region.visitEveryStructPage()
        }
        if backing == .memfd { #expect(try Self.differences(region) == []) }
    }

    @Test("A tail of the first huge page and of the last that look like guard pages do not shorten the region")
    func likeGuardPages() throws {
        let region = try Self.region(.sharedTail)
        for page in [0, 2, 5] {
            Self.map(
                Self.tail(region, 4, of: page), PROT_NONE, MAP_SHARED, region.memoryFile.readOnly.rawValue, 0)
        }
        #expect(try FoundRegion.all(in: .current).contains { $0.range == region.range })
        #expect(try Self.differences(region).contains("pages_mapped_as_their_state"))
    }

    @Test("A head that is read-only, and a tail that can be written", arguments: Scheme.ofHugeTLB, Backing.allCases)
    func writable(_ scheme: Scheme, _ backing: Backing) throws {
        let region = try Self.region(scheme, backing)
        Self.protect(Self.tail(region, 0, of: 2), PROT_READ)
        #expect(try Self.differences(region).contains("pages_mapped_as_their_state"))
        Self.protect(Self.tail(region, 0, of: 2), PROT_READ | PROT_WRITE)
        // The same page of the file, through the descriptor that writes.
        let tail = Self.tail(region, 6, of: 1)
        var offset: ByteCount?
        try ProcMaps.forEach(overlapping: tail) { (mapping) throws(HostError) in
            offset = mapping.offset + (tail.start - mapping.range.start)
        }
        let file = region.memoryFile.writable.rawValue
        Self.map(tail, PROT_READ | PROT_WRITE, MAP_SHARED, file, try #require(offset).rawValue)
        _ = region.visitEveryStructPage()
        #expect(try Self.differences(region) == ["pages_mapped_as_their_state"])
        // And privately: what is stored there nobody else sees.
        Self.map(tail, PROT_READ, MAP_PRIVATE, file, try #require(offset).rawValue)
        _ = region.visitEveryStructPage()
        #expect(try Self.differences(region).contains("pages_mapped_as_their_state"))
    }

    @Test("A page that is not mapped, moved away, or private memory in its place", arguments: Backing.allCases)
    func gone(_ backing: Backing) throws {
        let region = try Self.region(.firstTail, backing)
        try HostKernel.unmap(Self.tail(region, 4, of: 0))
        let elsewhere = try HostKernel.mapAnonymous(length: HostLimits.pageSize)
        defer { try? HostKernel.unmap(elsewhere) }
        try HostKernel.move(Self.tail(region, 7, of: 5), to: elsewhere.start)
        try HostKernel.mapAnonymous(at: Self.tail(region, 3, of: 2))
        let result = try Self.inspect(region)
        #expect(result.checks.first { $0.id == "huge_pages_in_scheme" }?.figures[0].measured == .value(3))
        // Private memory is what a page of an unoptimized huge page shows, on the anonymous backing.
        #expect(
            result.checks.first { $0.id == "pages_mapped_as_their_state" }?.figures[0].measured
                == .value(backing == .anonymous ? 2 : 3))
        #expect(
            result.firstDifference.value?.hasPrefix("vmemmap page 4 of huge page 0 is not mapped; the scheme says r--s")
                == true)
        #expect(InspectReport.lines(result).last?.contains(" of 7 checks failed") == true)
    }

    @Test(
        "Two huge pages whose tails show each other's frames: as many frames, shared by as many, and all of them wrong")
    func exchanged() throws {
        let region = try Self.region()
        let file = region.memoryFile
        for (page, other) in [(1, 4), (4, 1)] {
            for vmemmapPage in 1..<8 {
                try HostKernel.mapFile(
                    vmemmapPage == 1 ? file.writable : file.readOnly, at: Self.tail(region, vmemmapPage, of: page),
                    offset: HostLimits.pageSize * other, vmemmapPage == 1 ? .readWrite : .readOnly)
            }
        }
        _ = region.visitEveryStructPage()
        #expect(try Self.differences(region) == ["pages_mapped_as_their_state"])
    }

    @Test("Another file in the place of the region's own, with the same protection and at the same offset")
    func anotherFile() throws {
        let region = try Self.region()
        let other = try MemoryFile(name: "other", length: HostLimits.pageSize * 6)
        for vmemmapPage in 1..<8 {
            try HostKernel.mapFile(
                vmemmapPage == 1 ? other.writable : other.readOnly, at: Self.tail(region, vmemmapPage, of: 3),
                offset: HostLimits.pageSize * 3, vmemmapPage == 1 ? .readWrite : .readOnly)
        }
        _ = region.visitEveryStructPage()
        #expect(try Self.differences(region).contains("pages_mapped_as_their_state"))
    }

    @Test("What is restored must be writable and private again", arguments: Backing.allCases)
    func restored(_ backing: Backing) throws {
        let region = try Self.region(.firstTail, backing)
        try region.restore(region.layout.allHugePages, writers: .excluded)
        #expect(try Self.differences(region) == [])
        Self.protect(Self.tail(region, 5, of: 3), PROT_READ)
        #expect(try Self.differences(region).contains("pages_mapped_as_their_state"))
    }

    @Test(
        "Without a guard page the region is found by the other one, and said to lack it; without both it is not found",
        arguments: [0, 1])
    func guards(_ gone: Int) throws {
        let region = try Self.region()
        let pages = HostKernel.guardPages(of: region.range)
        // Taken by nobody else, so that the region can be given back with what lies beside it.
        try HostKernel.mapAnonymous(at: pages[gone])
        #expect(try FoundRegion.all(in: .current).contains { $0.range == region.range })
        #expect(try Self.differences(region) == ["guard_pages"])
        try HostKernel.mapAnonymous(at: pages[1 - gone])
        #expect(try !FoundRegion.all(in: .current).contains { $0.range == region.range })
        #expect(try Self.inspect(region).checks.first { $0.id == "guard_pages" }?.figures[0].measured == .value(0))
    }

    @Test("A frame too many in a region of which only some are optimized")
    func frames() throws {
        let region = try Self.region(.sharedTail, isOptimized: false)
        try region.optimize(HugePageIndex(0)..<HugePageIndex(4), writers: .excluded)
        _ = region.visitEveryStructPage()
        let result = try Self.inspect(region)
        #expect(result.holds && result.checks.allSatisfy { $0.outcome != .notMeasured })
        let frames = result.checks.first { $0.id == "distinct_frames" }?.figures[0]
        let zones = Set((0..<4).map { region.plan.zone(of: HugePageIndex($0)) }).count
        #expect(frames?.expected == .value(48 - 4 * 7 + zones) && frames?.measured == frames?.expected)
        let bytes = result.checks.first { $0.id == "memory_file" }?.figures[0]
        #expect(bytes?.measured == .value(4096 * region.plan.templates.rawValue))
    }

    @Test("What could not be measured is neither as the scheme says nor otherwise, and the verdict says so")
    func notMeasured() throws {
        let check = Check("memory_file", "it holds what it must", [.equal("memfd_bytes", 4096, nil)], method: "")
        #expect(check.outcome == .notMeasured)
        let passed = Check("other", "", [.equal("pages", 1, 1)], method: "")
        #expect(Check.closing([check, passed]) == "1 of 2 checks passed, 1 not measured")
    }

    @Test("The page says what the terminal says: process, region, scheme, and the drawing")
    func page() throws {
        let region = try Self.region()
        let result = try Self.inspect(region)
        let page = HTMLExport.text(result)
        #expect(page.contains("Process \(result.pid), read from outside"))
        #expect(
            page.contains("Region \(result.regionStart), ") && page.contains("first-tail scheme, anonymous backing"))
        #expect(page.contains("id=\"frames-now-t\"") && page.contains("6 optimized, 0 with frames of their own"))
    }
}
