/// Mappings that are there only to use up vm.max_map_count: at the limit the host refuses for real.
public final class MappingBallast: Sendable {
    private let area: AddressRange

    /// The highest limit that is filled: beyond it, filling takes too long.
    public static let highestLimit = MappingCount(262_144)

    /// Maps until about `left` mappings are free. Nil where the limit is too high to be filled.
    public init?(leaving left: MappingCount) throws(HostError) {
        let limit = try HostLimits.maxMapCount()
        guard limit <= Self.highestLimit else { return nil }
        let page = HostLimits.pageSize
        let area = try HostKernel.mapAnonymous(length: page * (limit.rawValue + 4))
        self.area = area
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
        } catch {
            try? HostKernel.unmap(area)
            throw error
        }
    }

    /// Lets them go. To be called once.
    public func remove() throws(HostError) { try HostKernel.unmap(area) }
}
