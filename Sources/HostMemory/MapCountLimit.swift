/// vm.max_map_count raised for a while, and put back.
public enum MapCountLimit {
    /// Raises the limit to `limit`, unless it is as high already: then there is nothing to put back, and this is nil. A process may
    /// keep more mappings than the limit put back allows; it gets no more.
    ///
    /// Throws ``HostError/Code-swift.struct/notPermitted`` for an ordinary user.
    public static func raise(to limit: MappingCount) throws(HostError) -> ChangedSettings? {
        if try HostLimits.maxMapCount() >= limit { return nil }
        let settings = try ChangedSettings(guarding: [.maxMapCount])
        try settings.set(.maxMapCount, to: limit.rawValue)
        return settings
    }
}
