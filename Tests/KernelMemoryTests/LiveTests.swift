import Glibc
import HostLab
import HostMemory
import SystemPackage
import Testing

@testable import KernelMemory

/// Whether the live tests can run here. Found out apart from the code under test: root, x86-64, no lockdown.
enum Live {
    static let isPossible: Bool = {
        #if arch(x86_64)
            let lockdown = try? HostKernel.readText("/sys/kernel/security/lockdown")
            return geteuid() == 0 && lockdown?.contains("[confidentiality]") != true && capabilities >> 21 & 1 == 1
        #else
            return false
        #endif
    }()

    private static var capabilities: UInt64 {
        let status = (try? HostKernel.readText("/proc/self/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:\t") } ?? ""
        return UInt64(line.dropFirst(8), radix: 16) ?? 0
    }

    /// Whether huge pages can be made with the optimization on and off.
    static let canOptimize = isPossible && (try? HVOConfiguration.current().isOn) != nil
}

/// The kernel that the tests run on, as root.
@Suite(.serialized, .enabled(if: Live.isPossible, "takes root (CAP_SYS_ADMIN), x86-64 and no lockdown"))
struct LiveTests {
    @Test("Each place is found in at least two ways")
    func evidence() throws {
        let layout = try KernelVmemmap().layout
        #expect(layout.evidence.map(\.what) == ["page table root", "direct map", "vmemmap"])
        for found in layout.evidence { #expect(Set(found.ways).count >= 2, "\(found)") }
    }

    @Test("The kernel's text lies where /proc/iomem has it")
    func kernelText() throws {
        let symbols = try HostKernel.readText("/proc/kallsyms").split(separator: "\n", maxSplits: 4096)
        let text = try #require(symbols.first { $0.hasSuffix(" _text") }?.split(separator: " ").first)
        let memory = try HostKernel.readText("/proc/iomem").split(separator: "\n")
        let code = try #require(memory.first { $0.hasSuffix("Kernel code") })
        let start = code.split(separator: "-")[0].drop { $0 == " " }
        let (address, place) = (try #require(UInt64(text, radix: 16)), try #require(UInt64(start, radix: 16)))
        let mapping = try KernelVmemmap().layout.tables.mapping(of: KernelAddress(address), by: BPFReader())
        #expect(mapping?.frame == place >> 12)
    }

    @Test("What cannot be read gives an error")
    func unreadable() throws {
        let reader = try BPFReader()
        for address: UInt64 in [0, 8, 1 << 62, 0xffff_8000_0000_0001, .max & ~7] {
            #expect(throws: KernelMemoryError.unreadable(KernelAddress(address))) {
                try reader.words(at: KernelAddress(address), count: 1)
            }
        }
        #expect(throws: KernelMemoryError.self) { try reader.words(at: KernelAddress(0xffff_8880_0000_0ff8), count: 2) }
        #expect(throws: KernelMemoryError.self) { try reader.words(at: KernelAddress(0xffff_8880_0000_0000), count: 0) }
    }

    @Test(
        "A pool made in part with HVO on and in part with HVO off: scheme, frames, the kernel's own count and mark",
        .enabled(if: Live.canOptimize, "this kernel has no vm.hugetlb_optimize_vmemmap"),
        arguments: [(2 << 20, 8, 5), (1 << 30, 1, 1)])
    func parts(size: Int, on: Int, off: Int) throws {
        let size = ByteCount(size)
        let available = try HostLimits.hostAvailableMemory()
        guard available.rawValue > (on + off + 2) * size.rawValue,
            try (HugeTLBPool.all() ?? []).contains(where: { $0.pageSize == size })
        else { try Test.cancel("no pool of such pages, or no memory for them") }
        let pool = try HugeTLBPool.size(ofPagesOf: size)
        let settings = try ChangedSettings(guarding: [pool, .optimizeVmemmap])
        defer { try? settings.putBack() }
        let kernel = try KernelVmemmap()
        let before = try kernel.hugePages()
        let counted = try counted()
        let there = try #require(settings.original(pool))
        try settings.set(.optimizeVmemmap, to: 0)
        try settings.set(pool, to: there + off)
        let (unoptimized, countedOff) = (try kernel.hugePages(), try self.counted())
        try settings.set(.optimizeVmemmap, to: 1)
        try settings.set(pool, to: there + off + on)
        let (all, countedOn) = (try kernel.hugePages(), try self.counted())
        func added(_ pages: [(pfn: UInt64, size: ByteCount)], since: [(pfn: UInt64, size: ByteCount)]) -> [(
            pfn: UInt64, size: ByteCount
        )] {
            let old = Set(since.map(\.pfn))
            return pages.filter { $0.size == size && !old.contains($0.pfn) }
        }
        let offCount = try kernel.look(at: added(unoptimized, since: before), .off, pools: []).count(of: size)
        let onLook = try kernel.look(at: added(all, since: unoptimized), .on, pools: [])
        let onCount = onLook.count(of: size)
        let given = (off: try pool.value() - there - onCount.pages, on: onCount.pages)
        try settings.putBack()

        let vmemmapPages = size.rawValue / 4096 * 64 / 4096
        if given != (off, on) { try Test.cancel("the host had memory for \(given) such pages, not \((off, on))") }
        #expect(offCount.split + offCount.whole == off && offCount.framesFreed == 0 && offCount.other == 0)
        #expect(onCount.optimized == on && onCount.changing == 0 && onCount.contradicted == 0)
        for view in onLook.pages.compactMap(\.view) {
            #expect(view.readOnlyPages == vmemmapPages - (onLook.scheme?.keptPages ?? 0))
            #expect(view.pages.count == vmemmapPages && view.absentPages == 0)
        }
        if let counted, let countedOff, let countedOn {
            #expect(counted - countedOff == offCount.framesFreed && countedOff - countedOn == onCount.framesFreed)
        }
        // What was read reads the same from its recording.
        let recording = try KernelRecording(text: kernel.recording(kernel: "here").text)
        #expect(try recording.look(.on) == onLook)
        #expect(try recording.look(.off)?.count(of: size) == offCount)
    }

    /// nr_memmap_pages + nr_memmap_boot_pages, with what each processor has not yet added; nil before Linux 6.11.
    private func counted() throws -> Int? {
        _ = try? HostKernel.readText("/proc/sys/vm/stat_refresh")
        return try MemmapCounts.current()?.total.rawValue
    }
}
