/// Mappings held for nothing else than to be let go of when vm.max_map_count is reached.
///
/// At the limit a process can neither put back what it replaced nor restore what it optimized: staging takes a mapping,
/// cutting a piece out of it another, and mremap(MREMAP_FIXED) wants six to be free before it looks at what it needs
/// ("one can optimize and then be unable to restore": host limits, 2). Headroom in the books does not help, since other code
/// of the process maps without asking. Mappings that are really there do.
public final class MappingReserve: Sendable {
    /// The reserve of this process: the limit is a process's.
    public static let process = MappingReserve()

    /// What a restore at the limit needs free.
    public static let needed = MappingCount(8)

    /// The mappings that the reserve consists of: the outermost two may merge with their neighbours.
    public static let size = needed + MappingCount(2)

    private let area = Guarded<AddressRange?>(nil)

    private init() {}

    /// Maps the reserve unless it is there.
    public func fill() throws(HostError) {
        try area.withLock { (area) throws(HostError) in
            if area == nil { area = try Self.map() }
        }
    }

    /// Unmaps the reserve, so that as many mappings are free. False if it is not there, or the host refuses.
    @discardableResult
    public func letGo() -> Bool {
        area.withLock { area in
            guard let range = area, (try? HostKernel.unmap(range)) != nil else { return false }
            area = nil
            return true
        }
    }

    /// Pages of alternating protection: each is a mapping of its own.
    private static func map() throws(HostError) -> AddressRange {
        let pageSize = HostLimits.pageSize
        let range = try HostKernel.mapAnonymous(length: pageSize * size.rawValue)
        do throws(HostError) {
            for page in stride(from: 1, to: size.rawValue, by: 2) {
                try HostKernel.protect(AddressRange(start: range.start + pageSize * page, length: pageSize), .none)
            }
        } catch {
            try? HostKernel.unmap(range)
            throw error
        }
        return range
    }
}
