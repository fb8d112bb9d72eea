package import HostMemory
import SystemPackage

/// Mappings that are there only to use up vm.max_map_count, until they are removed or nobody holds them any more: at
/// the limit the host refuses for real.
package final class MappingBallast: Sendable {
    /// Nil once it is unmapped.
    private let area: Guarded<AddressRange?>

    /// The highest limit that is filled, which takes seconds: the default of several distributions. Beyond it there is
    /// no ballast.
    package static let highestFilled = MappingCount(1_048_576)

    /// Whether vm.max_map_count is low enough to be filled.
    package static var isPossible: Bool { (try? HostLimits.mappingLimit()).map { $0 <= highestFilled } ?? false }

    /// Fills ``HeapReserve``, and then maps until about `left` mappings are free (below 0: none).
    ///
    /// Throws ``HostError/Code-swift.struct/notSupported`` where the limit is too high to be filled.
    package init(leaving left: MappingCount) throws(HostError) {
        HeapReserve.fill()
        let limit = try HostLimits.mappingLimit()
        guard limit <= Self.highestFilled else { throw HostError(.notSupported, .mapAnonymous, .process) }
        let (page, left) = (HostLimits.pageSize, max(.zero, min(left, limit)))
        let area = try HostKernel.mapAnonymous(length: page * (limit.rawValue + 4))
        self.area = Guarded(area)
        var next = 1
        do throws(HostError) {
            // Others map and unmap meanwhile: count again until there is little to do.
            for _ in 0..<4 {
                let missing = limit - left - (try ProcMaps.count())
                if missing.rawValue <= 1 { return }
                // Every page with another protection than its neighbours makes two mappings more.
                for _ in 0..<(missing.rawValue / 2) where next < limit.rawValue {
                    try HostKernel.protect(AddressRange(start: area.start + page * next, length: page), .none)
                    next += 2
                }
            }
        } catch  where error.code == .outOfMemory {
            // Somebody else has taken the last ones: full it is.
        }
    }

    deinit { try? remove() }

    /// Lets them go, unless that is done.
    package func remove() throws(HostError) {
        try area.withLock { (area) throws(HostError) in
            guard let range = area else { return }
            try HostKernel.unmap(range)
            area = nil
        }
    }
}
