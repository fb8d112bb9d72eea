import FuzzSupport
import SystemPackage

@testable import HostLab
@testable import HostMemory

// Any text through every pure parser of HostMemory: none may trap, and what a parser has read, printed as the kernel
// would, reads the same again.

@main
enum ProcFilesFuzz {
    private static let seeds =
        Fixtures.lines + [
            Fixtures.rollup4_19, Fixtures.rollup5_15, Fixtures.rollup6_18, Fixtures.status4_9, Fixtures.status5_15,
            Fixtures.status6_18, "765 436 408 5 0 90 0\n", "9:cpu,memory:/docker/4f2\n0::/a/b\n",
            "always [madvise] never\n", "512M", "1T", "0-3,5\n", "8\n6\n1\n2\n4\n",
            "Hugepagesize: 2048 kB\nHugePages_Total: 8\nHugetlb: 16384 kB\n",
            "nr_memmap_pages 12\nnr_memmap_boot_pages 98304\n",
            "thp_fault_alloc 1\nthp_split_pmd 2\nthp_split_page 3\nthp_split_page_failed 4\n"
                + "thp_deferred_split_page 5\nthp_collapse_alloc 6\nthp_collapse_alloc_failed 7\n",
        ]

    static func main() { unsafe FuzzSupport.run(seeds: seeds) { unsafe test($0, $1) } }
}

/// One input. libFuzzer's archive wants it by this name, too.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // SAFETY: libFuzzer's own buffer, as long as it says.
    mappings(unsafe Array(UnsafeBufferPointer(start: bytes, count: count)))
    let text = unsafe FuzzSupport.text(bytes, count)
    fields(text)
    processFiles(text)
    hugeTLB(text)
    words(text)
    return 0
}

private func mappings(_ bytes: [UInt8]) {
    var sum = SmapsSum(AddressRange(start: Address(0), length: ByteCount(Int.max)))
    _ = MemoryMeter.residentPages(bytes.span)
    _ = MemoryMeter.pssKibibytes(bytes.span)
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        sum.add(Array(line).span)
        guard let mapping = Mapping(Array(line).span) else { continue }
        FuzzSupport.require(
            mapping.range.start < mapping.range.end && mapping.range.length > .zero && mapping.offset >= .zero,
            "\(mapping)")
        FuzzSupport.require(Mapping(Array(printed(mapping).utf8).span) == mapping, printed(mapping))
    }
    FuzzSupport.require(sum.rss >= .zero && sum.pss >= .zero && sum.mappings >= .zero, "\(sum)")
}

private func printed(_ mapping: Mapping) -> String {
    func hexadecimal(_ number: some BinaryInteger) -> String { String(number, radix: 16) }
    let device = mapping.file?.device ?? 0
    let protection =
        (mapping.isReadable ? "r" : "-") + (mapping.isWritable ? "w" : "-") + "-" + (mapping.isShared ? "s" : "p")
    return "\(hexadecimal(mapping.range.start.rawValue))-\(hexadecimal(mapping.range.end.rawValue)) \(protection) "
        + "\(hexadecimal(mapping.offset.rawValue)) \(hexadecimal(device >> 32)):\(hexadecimal(device & 0xffff_ffff)) "
        + "\(mapping.file?.inode ?? 0)"
}

private func fields(_ text: String) {
    let fields = ProcFields(text)
    for line in text.split(separator: "\n") {
        let key = String(line.prefix { $0 != ":" && $0 != " " })
        if let bytes = fields.kibibytes(key) {
            FuzzSupport.require(bytes >= .zero && bytes.rawValue.isMultiple(of: 1024), "\(key): \(bytes)")
        }
        if let number = fields.number(key) {
            FuzzSupport.require(ProcFields("\(key): \(number)").number(key) == number, "\(key): \(number)")
        }
    }
}

private func processFiles(_ text: String) {
    if let rollup = SmapsRollup(text) {
        FuzzSupport.require(SmapsRollup(printed(rollup)) == rollup, "\(rollup)")
    }
    if let status = ProcessStatus(text) {
        let printed = "VmPTE:\t\(kibibytes(status.pageTables))\nVmHWM:\t\(kibibytes(status.peakRSS))\n"
        FuzzSupport.require(ProcessStatus(printed) == status, "\(status)")
    }
    if let statm = Statm(text) {
        FuzzSupport.require(Statm("\(statm.size) \(statm.resident) \(statm.shared) 0 0 0 0\n") == statm, "\(statm)")
    }
    if let events = HugePageEvents(text) {
        let printed = """
            thp_fault_alloc \(events.faultAlloc)
            thp_split_pmd \(events.splitPmd)
            thp_split_page \(events.splitPage)
            thp_split_page_failed \(events.splitPageFailed)
            thp_deferred_split_page \(events.deferredSplitPage)
            thp_collapse_alloc \(events.collapseAlloc)
            thp_collapse_alloc_failed \(events.collapseAllocFailed)
            """
        FuzzSupport.require(HugePageEvents(printed) == events, "\(events)")
    }
}

private func printed(_ rollup: SmapsRollup) -> String {
    let optional = [("AnonHugePages", rollup.anonHugePages), ("ShmemPmdMapped", rollup.shmemPmdMapped)].compactMap {
        name, bytes in bytes.map { "\(name): \(kibibytes($0))\n" }
    }
    return "Rss: \(kibibytes(rollup.rss))\nPss: \(kibibytes(rollup.pss))\n" + optional.joined()
}

private func kibibytes(_ bytes: ByteCount) -> String { "\(bytes.rawValue / 1024) kB" }

private func hugeTLB(_ text: String) {
    if let counts = MemmapCounts(text) { FuzzSupport.require(counts.total >= counts.memmap, "\(counts)") }
    if let meminfo = HugeTLBMeminfo(text) { FuzzSupport.require(meminfo.pageSize >= .zero, "\(meminfo)") }
    _ = HVOConfiguration(sysctl: text, bootConfig: nil, hasCompressedConfig: false)
    _ = HVOConfiguration(sysctl: nil, bootConfig: text, hasCompressedConfig: true)
    _ = HugeTLBPool.firstOfSeveral(text)
    // The files of a pool's folder, a line each.
    let files = ["nr_hugepages", "free_hugepages", "resv_hugepages", "surplus_hugepages", "nr_overcommit_hugepages"]
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let pool = HugeTLBPool(pageSize: .mebibytes(2)) { file in
        files.firstIndex(of: file).flatMap { lines.indices.contains($0) ? lines[$0] : nil }
    }
    if let pool { FuzzSupport.require(pool.pageSize.multiplied(by: pool.pages.rawValue) != nil, "\(pool)") }
}

private func words(_ text: String) {
    for hierarchy in CgroupMemory.hierarchies(text) {
        // What a cgroup calls itself must not lead out of its file system.
        FuzzSupport.require(hierarchy.path.starts(with: hierarchy.root), "\(hierarchy)")
    }
    if let chosen = HostDescription.chosen(text) { FuzzSupport.require(!chosen.contains("]"), chosen) }
    if let bytes = ByteCount(text: text) {
        FuzzSupport.require(bytes > .zero && ByteCount(text: "\(bytes)") == bytes, "\(bytes)")
    }
}
