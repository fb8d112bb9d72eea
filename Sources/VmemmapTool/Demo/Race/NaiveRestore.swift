import HostMemory
import VmemmapEmulator

/// Restoring the obvious way: fresh memory is mapped over the tails, then what they showed is copied into it. In
/// between they read as zeros.
///
/// It is here to be caught (``RaceExperiment``), and works on an optimized region from outside, behind the engine's
/// back. The engine restores the same huge pages once more afterwards, which puts its account in order and changes no
/// byte that a reader sees.
final class NaiveRestore {
    private let region: VmemmapRegion
    /// The replacements that readers share, in each huge page.
    private let shared: [MappingPlan.Replacement]
    /// Room for what the longest of them shows.
    private let aside: AddressRange

    /// - Parameter region: to be restored; it outlives this.
    init(_ region: VmemmapRegion) throws(HostError) {
        self.region = region
        shared = region.plan.replacements.filter { $0.protection == .readOnly }
        let longest = shared.map(\.count).max() ?? PageCount(1)
        aside = try HostKernel.mapAnonymous(length: longest.bytes(pageSize: region.plan.geometry.basePageSize))
    }

    deinit { try? HostKernel.unmap(aside) }

    /// Restores huge pages, which must be optimized.
    func restore(_ pages: Range<HugePageIndex>) throws(HostError) {
        for page in pages {
            for replacement in shared { try restore(replacement, of: page) }
        }
    }

    private func restore(_ replacement: MappingPlan.Replacement, of page: HugePageIndex) throws(HostError) {
        let tails = region.layout.vmemmap(of: page, from: replacement.first, count: replacement.count)
        // SAFETY: the tails are mapped readable, and `aside` is read-write, as long, and known to nobody else.
        unsafe copy(tails.start, to: aside.start, tails.length)
        switch region.plan.backing {
        case .anonymous:
            try HostKernel.mapAnonymous(at: tails)
        case .memfd:
            let offset = tails.start - region.range.start
            try HostKernel.mapFile(region.memoryFile.writable, at: tails, offset: offset, .readWrite)
        }
        // SAFETY: the call above has mapped the tails read-write, and nobody else writes to them.
        unsafe copy(aside.start, to: tails.start, tails.length)
    }

    /// Copies word by word: a reader of the copy sees no word in halves, only those that are not there yet.
    ///
    /// - Safety: both are mapped, `source` readable and `target` writable, for `length` bytes, a multiple of 8.
    @unsafe private func copy(_ source: Address, to target: Address, _ length: ByteCount) {
        for offset in stride(from: 0, to: length.rawValue, by: 8) {
            // SAFETY: the caller answers for both.
            let word = unsafe MemoryAccess.load(source + ByteCount(offset))
            unsafe MemoryAccess.store(word, at: target + ByteCount(offset))
        }
    }
}
