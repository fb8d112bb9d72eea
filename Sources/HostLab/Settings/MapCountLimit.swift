package import HostMemory
/// vm.max_map_count raised for a while, and put back.
package enum MapCountLimit {
    /// Raises the limit to `limit`, unless it is as high already: then there is nothing to put back, and this is nil. A
    /// process may keep more mappings than the limit put back allows; it gets no more.
    ///
    /// A limit that another process has raised and will put back is not relied on: it is in use.
    ///
    /// Throws ``HostError/Code-swift.struct/notPermitted`` for an ordinary user.
    package static func raise(to limit: MappingCount) throws(SettingRefusal) -> ChangedSettings? {
        let settings: ChangedSettings
        do {
            settings = try ChangedSettings(guarding: [.maxMapCount])
        } catch {
            // Who cannot raise it needs not, where it is high enough.
            switch error {
            case .host, .noLock: if isHighEnough(limit) { return nil }
            case .inUse, .leftChanged: break
            }
            throw error
        }
        if isHighEnough(limit) { return nil }
        do throws(HostError) { try settings.set(.maxMapCount, to: limit.rawValue) } catch { throw .host(error) }
        return settings
    }

    private static func isHighEnough(_ limit: MappingCount) -> Bool {
        (try? HostLimits.maxMapCount()).map { $0 >= limit } ?? false
    }
}
