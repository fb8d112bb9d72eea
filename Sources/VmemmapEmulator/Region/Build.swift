import CSystemShims
package import HostMemory

/// How a region is built.
package enum Construction: String, Hashable, Sendable, Codable {
    /// Every vmemmap page has a frame of its own.
    case populated
    /// Every huge page is optimized from the start, and the frames that this saves are never there: "pre-HVO",
    /// `vmemmap_populate_hvo()` in the kernel, for huge pages set aside at boot.
    case optimized
}

/// Told, between two calls to the host, how many vmemmap pages of how many are built.
package typealias BuildProgress = (_ built: PageCount, _ total: PageCount) -> Void

extension VmemmapRegion {
    /// The length of a plan's region, if there can be one.
    static func checkedLength(_ plan: MappingPlan, _ construction: Construction) throws(VmemmapError) -> ByteCount {
        // Both are powers of two, so that a larger one is a whole run.
        guard plan.geometry.basePageSize >= HostLimits.pageSize else {
            throw VmemmapError(.build, .basePageSize(wanted: plan.geometry.basePageSize, host: HostLimits.pageSize))
        }
        guard plan.hugePages > .zero, plan.hugePages <= plan.geometry.mostPages else {
            throw VmemmapError(.build, .unusableCount(plan.hugePages))
        }
        if !plan.scheme.isRemapped, construction == .populated {
            throw VmemmapError(.build, .neverRemapped(plan.scheme))
        }
        // A PMD is filled by frames that building optimized is there to avoid.
        if plan.mapping == .pmd, construction == .optimized { throw VmemmapError(.build, .pmdMappedAtBoot) }
        // Where struct pages do not fill whole vmemmap pages, the rest of the last one is padding.
        return plan.framesPopulated.bytes(pageSize: plan.geometry.basePageSize)
    }

    /// Throws unless PMDs map at least a part of the region.
    func checkPMDMapped() throws(VmemmapError) {
        do throws(HostError) {
            if try pmdMappedBytes() > .zero { return }
        } catch {
            throw VmemmapError(.build, .host(error))
        }
        throw VmemmapError(.build, .notPMDMappable(region: range.length))
    }

    /// Builds every huge page optimized, one after the other: only pages that stay are ever written.
    func buildOptimized(_ progress: BuildProgress) throws(VmemmapError) {
        guard plan.isWorthwhile else { return prepareStructPages() }
        let claim = states.claim(layout.allHugePages)
        let all = claim.pages
        var mappings = budget.begin()
        try reserve(states.mappingsToOptimize(all), &mappings, .build, all)
        do throws(HostError) {
            try parts.withScratchPage { (scratch) throws(HostError) in
                for page in all {
                    let one = page.alone
                    try writeKeptPages(of: page, scratch)
                    try working(on: one, to: .optimized, &mappings) { () throws(HostError) in
                        var replaced = 0
                        try parts.replace(page, &replaced)
                        states.move(one, to: .optimized, isChanged: false)
                    }
                    let built = plan.framesPopulated.rawValue / all.count * (page.rawValue + 1)
                    progress(PageCount(built), plan.framesPopulated)
                }
            }
        } catch {
            throw VmemmapError(.build, .host(error))
        }
    }

    /// Writes the struct pages of the vmemmap pages that keep a frame: through the memory file, which can refuse with
    /// an error where a store would end the process.
    ///
    /// - Parameter scratch: from ``RegionParts/withScratchPage(_:)``.
    private func writeKeptPages(of page: HugePageIndex, _ scratch: Address) throws(HostError) {
        let head = StructPage.prepared(VmemmapPageIndex(0), of: page, plan, in: layout)
        let own = plan.ownPages
        let pageSize = plan.geometry.basePageSize
        if own.first?.rawValue != 0 {
            switch plan.backing {
            case .anonymous:
                let target = layout.vmemmap(of: page, from: VmemmapPageIndex(0), count: PageCount(1))
                try HostKernel.populate(target)
                head.copy(to: target.start)
            case .memfd:
                head.copy(to: scratch)
                try parts.write(scratch, pageSize, times: 1, at: parts.frames.offset(of: page, VmemmapPageIndex(0)))
            }
        }
        guard let first = own.first else { return }
        let tail = first.rawValue == 0 ? head : StructPage.prepared(first, of: page, plan, in: layout)
        tail.copy(to: scratch)
        try parts.write(scratch, pageSize, times: own.count, at: parts.frames.ownFrames(of: page))
    }
}
