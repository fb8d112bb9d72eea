import HostMemory

/// A vmemmap page of tails for each zone, in the shared-tail scheme: what the templates hold, kept at hand for
/// restoring.
final class TailImages: Sendable {
    private let range: AddressRange
    private let pageSize: ByteCount
    private let shield: ForkShield

    /// Prepares an image for each zone. Nil for a scheme whose tails differ from huge page to huge page.
    init?(_ plan: MappingPlan, _ layout: VmemmapLayout) throws(HostError) {
        guard plan.templates > .zero else { return nil }
        let zones = plan.zones
        pageSize = plan.geometry.basePageSize
        let range = try HostKernel.mapAnonymous(length: pageSize * zones)
        do throws(HostError) {
            shield = try ForkShield(range)
        } catch {
            try? HostKernel.unmap(range)
            throw error
        }
        self.range = range
        for zone in 0..<zones {
            guard let page = layout.allHugePages.first(where: { plan.zone(of: $0) == zone }) else { continue }
            StructPage.prepared(VmemmapPageIndex(1), of: page, plan, in: layout).copy(to: address(zone: zone))
        }
    }

    deinit {
        shield.remove()
        try? HostKernel.unmap(range)
    }

    /// The image of a zone.
    func address(zone: Int) -> Address { range.start + pageSize * zone }

    /// Writes every zone's templates.
    func fill(_ frames: FrameFile, _ plan: MappingPlan) throws(HostError) {
        for zone in 0..<plan.zones {
            let copies = StridedPieces(
                first: address(zone: zone), stride: .zero, length: pageSize, count: plan.templatesPerZone.rawValue)
            try frames.file.gather(copies, at: frames.templates(zone: zone))
        }
    }
}

extension [UInt64] {
    /// Copies the words of struct pages to memory that nobody else uses yet.
    func copy(to target: Address) {
        // SAFETY: the caller's page at `target` is mapped read-write and at least as long as the array.
        unsafe withUnsafeBytes { source in
            guard let target = unsafe target.pointer(as: UInt8.self), let bytes = source.baseAddress else { return }
            unsafe UnsafeMutableRawPointer(target).copyMemory(from: bytes, byteCount: source.count)
        }
    }
}
