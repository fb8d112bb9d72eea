/// What the series' authors measured of the kernel: 10240 huge pages of 2 MiB into the pool and out of it.
struct PublishedFigures: Hashable, Sendable {
    /// Where it was published.
    let source: String
    /// Into the pool, without the series, all huge pages.
    let allocateOffMilliseconds: Int
    /// With it.
    let allocateOnMilliseconds: Int
    /// Out of the pool, without.
    let freeOffMilliseconds: Int
    /// With.
    let freeOnMilliseconds: Int
    /// Whether the restore came later and is not in the time of freeing.
    let isDeferred: Bool

    /// Huge pages in each of them.
    static let pages = 10240

    /// The cover letter of version 5 and the one of version 23.
    static let all = [
        PublishedFigures(
            source: "v5 cover letter", allocateOffMilliseconds: 66, allocateOnMilliseconds: 166,
            freeOffMilliseconds: 77,
            freeOnMilliseconds: 4, isDeferred: true),
        PublishedFigures(
            source: "v23", allocateOffMilliseconds: 67, allocateOnMilliseconds: 166, freeOffMilliseconds: 81,
            freeOnMilliseconds: 213, isDeferred: false),
    ]

    /// Allocation, with over without.
    var allocateRatio: Double { Double(allocateOnMilliseconds) / Double(allocateOffMilliseconds) }
    /// Freeing, with over without.
    var freeRatio: Double { Double(freeOnMilliseconds) / Double(freeOffMilliseconds) }
    /// Allocating one huge page with the series.
    var allocateOnNanoseconds: Double { Double(allocateOnMilliseconds) * 1e6 / Double(Self.pages) }
}
