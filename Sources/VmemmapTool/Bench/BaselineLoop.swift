import CBaseline
import HostMemory
import SystemPackage
import VmemmapEmulator

/// The C baseline, on the region and the memory file of the engine: between its operations, while none of its own is
/// under way, it leaves both as the engine would.
final class BaselineLoop {
    private let region: VmemmapRegion
    private var baseline = vme_baseline()

    /// - Parameter region: restored on the anonymous backing, so that what the C baseline leaves is what the engine
    ///   knows.
    init(_ region: VmemmapRegion) throws(HostError) {
        self.region = region
        let plan = region.plan
        let file = region.memoryFile
        // SAFETY: the struct is this object's own, and the array, as long as the plan says, is copied.
        let result = unsafe vme_baseline_open(
            &baseline, vme_baseline_plan(plan), plan.replacements.map { vme_baseline_replacement($0) },
            region.range.start.rawValue, file.writable.rawValue, file.readOnly.rawValue)
        // Everything is initialized, so deinit closes what was opened.
        if result < 0 { throw Self.refusal(result) }
    }

    deinit {
        // SAFETY: opened in init, entirely or in part, and closed once.
        unsafe vme_baseline_close(&baseline)
    }

    func optimize() throws(HostError) {
        // SAFETY: the memory and the descriptors that the struct names live as long as this object and its region.
        let result = unsafe vme_baseline_optimize(&baseline)
        if result < 0 { throw Self.refusal(result) }
    }

    /// The same, with read-only pages mapped from dma-bufs.
    ///
    /// - Parameter device: /dev/udmabuf.
    func optimize(byDMABufsOf device: FileDescriptor) throws(HostError) {
        // SAFETY: as above.
        let result = unsafe vme_baseline_optimize_by_udmabuf(&baseline, device.rawValue)
        if result < 0 { throw Self.refusal(result) }
    }

    func restore() throws(HostError) {
        // SAFETY: as above.
        let result = unsafe vme_baseline_restore(&baseline)
        if result < 0 { throw Self.refusal(result) }
    }

    private static func refusal(_ result: Int64) -> HostError {
        HostError(Errno(rawValue: CInt(-result)), .mapFile, .process)
    }
}

extension vme_baseline_plan {
    /// Both sides carry out the same plan, so that neither can do less than the other.
    fileprivate init(_ plan: MappingPlan) {
        self.init(
            huge_pages: plan.hugePages.rawValue,
            huge_pages_in_first_zone: (0..<plan.hugePages.rawValue).count { plan.zone(of: HugePageIndex($0)) == 0 },
            vmemmap_pages: plan.geometry.vmemmapPagesPerHugePage.rawValue,
            own_first: plan.ownPages.lowerBound.rawValue, own_pages: plan.ownPages.count,
            replaced_first: plan.replacedPages.lowerBound.rawValue, freed_first: plan.freedPages.lowerBound.rawValue,
            templates: plan.templatesPerZone.rawValue,
            used_heads: plan.encoding == .pointerBesideFakeHeads ? StructPage.usedSubpages : 0,
            is_memfd: plan.backing == .memfd, replacements: plan.replacements.count)
    }
}

extension vme_baseline_replacement {
    fileprivate init(_ replacement: MappingPlan.Replacement) {
        let (frame, isTemplate) =
            switch replacement.frame {
            case .own(let number): (number, false)
            case .template(let number): (number, true)
            }
        self.init(
            first: replacement.first.rawValue, pages: replacement.count.rawValue, frame: frame, is_template: isTemplate,
            is_writable: replacement.protection == .readWrite)
    }
}
