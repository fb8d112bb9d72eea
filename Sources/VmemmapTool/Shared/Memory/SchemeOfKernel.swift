import VmemmapEmulator

/// Which scheme a kernel optimizes by, and who says so.
struct SchemeOfKernel: Hashable, Sendable {
    /// Where it comes from.
    enum Source: String, Hashable, Sendable, Codable {
        /// The kernel's own page tables, of a huge page that was optimized just now.
        case pageTables = "page-tables"
        /// The kernel's release, where they cannot be read.
        case release
    }

    /// How vmemmap is shared.
    let scheme: Scheme
    /// Who says so.
    let source: Source

    /// By what the page tables showed; nil where they cannot be read, or show no scheme that is known.
    init(pageTables scheme: Scheme?, release: String) {
        if let scheme {
            (self.scheme, source) = (scheme, .pageTables)
        } else {
            (self.scheme, source) = (Self.scheme(ofRelease: release), .release)
        }
    }

    /// By `uname -r`; the head scheme where there is no version in it. Pure.
    static func scheme(ofRelease release: String) -> Scheme { KernelVersion(release: release)?.scheme ?? .head }
}
