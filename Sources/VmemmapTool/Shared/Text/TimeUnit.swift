/// The unit in which the times of one figure, or of one column, are written: so they can be held against each other.
struct TimeUnit: Hashable, Sendable {
    /// Nanoseconds that one has.
    let size: Double
    let name: String
    private let decimals: Int

    static let all: [(size: Double, name: String)] = [(1, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")]

    /// The unit of the longest: an axis' own.
    init(of nanoseconds: [Double]) {
        let most = nanoseconds.map(\.magnitude).max() ?? 0
        self.init(Self.all.last { most >= $0.size } ?? Self.all[0], of: nanoseconds)
    }

    /// The unit of a column whose times would be written in several: the smallest in which none has more than four
    /// digits before the point. Nil where the times have one in common anyway, and where it would leave nothing of the
    /// shortest.
    init?(ofColumn nanoseconds: [Double]) {
        let most = nanoseconds.map(\.magnitude).max() ?? 0
        let unit = Self.all.first { most < $0.size * ($0.size == 1 ? 1000 : 10_000) } ?? Self.all[3]
        let units = Set(nanoseconds.map { Format.duration(nanoseconds: $0).split(separator: " ").last })
        guard units.count > 1, nanoseconds.allSatisfy({ $0 == 0 || $0.magnitude >= unit.size / 100 }) else {
            return nil
        }
        self.init(unit, of: nanoseconds)
    }

    /// With as many decimals as leave something of the shortest, up to three.
    private init(_ unit: (size: Double, name: String), of nanoseconds: [Double]) {
        (size, name) = unit
        let times = nanoseconds.map(\.magnitude).filter { $0.isFinite && $0 > 0 }
        let least = times.min() ?? 0
        let isWhole = unit.size == 1 && times.allSatisfy { $0 == $0.rounded() }
        decimals = isWhole ? 0 : least >= size ? (size < 1e9 ? 1 : 2) : least >= size / 10 ? 2 : 3
    }

    /// A time in it: `0.42 us`.
    func text(_ nanoseconds: Double) -> String {
        guard nanoseconds.isFinite, nanoseconds.magnitude < 1e18 else { return "-" }
        if nanoseconds != 0, nanoseconds.magnitude < 0.0005 * size { return "<0.001 \(name)" }
        return Format.decimal(nanoseconds / size, decimals) + " " + name
    }
}
