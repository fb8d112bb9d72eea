import HostLab
import HostMemory
import VmemmapEmulator

/// What the host's own kernel offers of vmemmap optimization and uses, and what it would give here. Read without
/// privileges.
struct KernelOverview: Hashable, Sendable, Codable {
    /// What optimizing gives for some huge pages of one size. Worked out from the geometry, not measured.
    struct Saving: Hashable, Sendable, Codable {
        /// The huge pages.
        let pages: HugePageCount
        /// Their struct pages, none of them optimized.
        let structPageBytes: ByteCount
        /// What optimizing frees of that: all but the head's vmemmap page of each, and under first-tail one more.
        let freedBytes: ByteCount
        /// What the kernel spends on page tables for it: one for each 2 MiB of vmemmap, which a PMD mapped before.
        let pageTableBytes: ByteCount
        /// What is left.
        let netBytes: ByteCount
    }

    /// One of the host's pools (hstates). Null is what is hidden.
    struct Pool: Hashable, Sendable, Codable {
        /// Its huge page.
        let hugePageBytes: ByteCount
        /// Whether that is the default size; null where /proc/meminfo is hidden.
        let isDefaultSize: Measured<Bool>
        /// Huge pages there are.
        let pages: Measured<HostHugePageCount>
        /// Those nobody uses.
        let freePages: Measured<HostHugePageCount>
        /// Free ones that are reserved for a mapping.
        let reservedPages: Measured<HostHugePageCount>
        /// Those above the size the pool was given.
        let surplusPages: Measured<HostHugePageCount>
        /// How many of those there may be.
        let overcommitPages: Measured<HostHugePageCount>
        /// What optimizing all of its huge pages gives.
        let asItIs: Measured<Saving>
        /// What it would give with all of memory in huge pages of this size.
        let allOfMemory: Saving
    }

    /// What struct pages take of one kind of memory.
    struct Memmap: Hashable, Sendable, Codable {
        /// Where the kernel has the memory of struct pages from.
        enum Kind: String, Hashable, Sendable, Codable {
            /// nr_memmap_pages of /proc/vmstat.
            case pageAllocator = "page-allocator"
            /// nr_memmap_boot_pages.
            case boot
        }

        /// Where it comes from.
        let kind: Kind
        /// The struct pages in it.
        let structPageBytes: ByteCount
    }

    /// Whether the kernel was built with it; null where nothing that can be read says so.
    let isConfigured: Measured<Bool>
    /// Where that comes from.
    let configuredSource: HVOConfiguration.Source
    /// Whether the kernel shows its configuration in /proc/config.gz, which this tool does not decompress.
    let hasCompressedConfig: Bool
    /// vm.hugetlb_optimize_vmemmap: whether huge pages that enter a pool now are optimized; null without the sysctl.
    let isOptimizing: Measured<Bool>
    /// nr_memmap_pages of /proc/vmstat; null before Linux 6.11, and where that is hidden.
    let memmapPages: Measured<PageCount>
    /// nr_memmap_boot_pages; null likewise.
    let memmapBootPages: Measured<PageCount>
    /// The two in bytes; null likewise.
    let memmap: Measured<[Memmap]>
    /// MemTotal.
    let memoryBytes: ByteCount
    /// What the huge pages of all pools occupy (Hugetlb of /proc/meminfo); null on a kernel that does not say.
    let hugetlbBytes: Measured<ByteCount>
    /// Every pool, by size; null where /sys is hidden.
    let pools: Measured<[Pool]>

    /// Asks this host.
    static func current() throws(ExperimentError) -> KernelOverview {
        do throws(HostError) {
            return KernelOverview(
                try HVOConfiguration.current(), try HostKernel.unlessHidden(MemmapCounts.current),
                try HostKernel.unlessHidden(HugeTLBMeminfo.current), try HostKernel.unlessHidden(HugeTLBPool.all),
                memory: try HostLimits.totalMemory(), basePage: HostLimits.pageSize,
                scheme: SchemeOfKernel.scheme(ofRelease: SystemName.current.release))
        } catch {
            throw .host(error)
        }
    }

    /// Puts together what was read. Pure.
    ///
    /// - Parameter scheme: the kernel's.
    init(
        _ configuration: HVOConfiguration, _ memmap: MemmapCounts?, _ meminfo: HugeTLBMeminfo?, _ pools: [HugeTLBPool]?,
        memory: ByteCount, basePage: ByteCount, scheme: Scheme = .head
    ) {
        isConfigured = Measured(configuration.isConfigured)
        configuredSource = configuration.source
        hasCompressedConfig = configuration.hasCompressedConfig
        isOptimizing = Measured(configuration.isOn)
        memmapPages = Measured(memmap?.memmap)
        memmapBootPages = Measured(memmap?.memmapBoot)
        self.memmap = Measured(
            memmap.map {
                [
                    Memmap(kind: .pageAllocator, structPageBytes: $0.memmap.bytes(pageSize: basePage)),
                    Memmap(kind: .boot, structPageBytes: $0.memmapBoot.bytes(pageSize: basePage)),
                ]
            })
        memoryBytes = memory
        hugetlbBytes = Measured(meminfo?.memory)
        let described = pools?.map { pool in
            func saving(_ pages: Int) -> Saving {
                Saving(HugePageCount(pages), of: pool.pageSize, basePage: basePage, scheme)
            }
            return Pool(
                hugePageBytes: pool.pageSize, isDefaultSize: Measured(meminfo.map { $0.pageSize == pool.pageSize }),
                pages: Measured(pool.pages), freePages: Measured(pool.free), reservedPages: Measured(pool.reserved),
                surplusPages: Measured(pool.surplus), overcommitPages: Measured(pool.overcommit),
                asItIs: Measured(pool.pages.map { saving($0.rawValue) }),
                allOfMemory: saving(memory.rawValue / pool.pageSize.rawValue))
        }
        self.pools = Measured(described)
    }
}

extension KernelOverview.Saving {
    /// As the forecast has it: right to within the few frames that the tails of all huge pages share in Linux 7.1 and
    /// later, of which the kernel has one for each zone and size.
    init(_ pages: HugePageCount, of size: ByteCount, basePage: ByteCount, _ scheme: Scheme) {
        self.pages = pages
        structPageBytes = StructPage.size * (size.rawValue / basePage.rawValue * pages.rawValue)
        let row = HugePageSize(bytes: size).flatMap { size in
            Forecast(
                memory: size.bytes * pages.rawValue, basePage: basePage, sizes: [size],
                schemes: [scheme], backing: .anonymous,
                tailFrames: .frames(PageCount(1)), cost: .assumed, limit: MappingCount(.max)
            )?.rows.first
        }
        freedBytes = row?.freedBytes ?? .zero
        pageTableBytes = row?.kernelPageTableBytes ?? .zero
        netBytes = row?.kernelNetBytes ?? .zero
    }
}
