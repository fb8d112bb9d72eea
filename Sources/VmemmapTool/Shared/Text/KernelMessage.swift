import HostLab
import HostMemory
import VmemmapEmulator

/// What the kernel logs of a size of huge page when it boots (`hugetlb_vmemmap_init()`).
enum KernelMessage {
    /// `HugeTLB: 24 KiB vmemmap can be freed for a 2.00 MiB page`.
    static func freed(_ bytes: ByteCount, hugePage: ByteCount) -> String {
        "HugeTLB: \(bytes.rawValue / 1024) KiB vmemmap can be freed for a \(Format.bytes(hugePage)) page"
    }

    /// Why nothing is optimized where sizeof(struct page) is no power of two, as Linux has it since 5.18, and the size.
    static func crossing(_ structPageSize: ByteCount) -> String {
        "HugeTLB: cannot optimize vmemmap pages because \"struct page\" crosses page boundaries "
            + "(\(structPageSize.rawValue) bytes)"
    }

    /// What v5 (patches 17 and 21) says of each size for which the feature is off: `disable free vmemmap pages for
    /// hugepages-2048kB`.
    static func disabled(_ hugePage: ByteCount) -> String {
        "HugeTLB: disable free vmemmap pages for \(HugeTLBPool.folderName(of: hugePage))"
    }
}
