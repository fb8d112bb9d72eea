/// Mappings held for nothing else than to be let go of when vm.max_map_count is reached.
///
/// At the limit a process can neither put back what it replaced nor restore what it optimized, which takes
/// ``MappingAccount/neededByRestore`` ("one can optimize and then be unable to restore"). Headroom in the account does
/// not help, since other code of the process maps without asking. Mappings that are really there do.
package final class MappingReserve: Sendable {
    /// The reserve of this process: the limit is a process's.
    package static let process = MappingReserve()

    private let area = Guarded<Area?>(nil)

    private struct Area {
        let range: AddressRange
        /// The next page that is to be a mapping of its own.
        var next = 1
    }

    private init() {}

    /// Maps the reserve unless it is there.
    ///
    /// If the host refuses, no part of it stays; one that it refuses to unmap as well is kept, and made whole or
    /// unmapped the next time.
    package func fill() throws(HostError) {
        try area.withLock { (area) throws(HostError) in
            var filled =
                if let area { area } else {
                    Area(
                        range: try HostKernel.mapAnonymous(
                            length: HostLimits.pageSize * MappingAccount.reserve.rawValue))
                }
            do throws(HostError) {
                try Self.divide(&filled)
                area = filled
            } catch {
                let isGone = (try? HostKernel.unmap(filled.range)) != nil
                area = isGone ? nil : filled
                throw error
            }
        }
    }

    /// Unmaps the reserve, so that as many mappings are free. False if it is not there, or the host refuses.
    @discardableResult
    package func letGo() -> Bool {
        area.withLock {
            guard let range = $0?.range, (try? HostKernel.unmap(range)) != nil else { return false }
            $0 = nil
            return true
        }
    }

    /// Gives every other page another protection: each page is a mapping of its own then.
    private static func divide(_ area: inout Area) throws(HostError) {
        let pageSize = HostLimits.pageSize
        while area.next < MappingAccount.reserve.rawValue {
            let page = AddressRange(start: area.range.start + pageSize * area.next, length: pageSize)
            try HostKernel.protect(page, .none)
            area.next += 2
        }
    }
}
