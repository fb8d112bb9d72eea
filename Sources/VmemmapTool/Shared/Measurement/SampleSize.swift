import HostMemory
import VmemmapEmulator

/// How much must be timed before anything is judged by it.
enum SampleSize {
    /// Of fewer vmemmap pages a batch is too short for the clock: 512 huge pages of 2 MiB, or one of 1 GiB.
    static let leastVmemmapPages = 4096
    /// Of fewer pairs nobody can tell which of them stands out.
    static let leastPairs = 5

    /// Why nothing is judged by so few, with how many would do; nil if they are enough.
    static func shortfall(_ pages: HugePageCount, of size: ByteCount, pairs: Int) -> String? {
        let geometry = HugePageSize(bytes: size).flatMap {
            Geometry(basePageSize: HostLimits.pageSize, hugePageSize: $0)
        }
        let perPage = Swift.max(1, geometry?.vmemmapPagesPerHugePage.rawValue ?? 1)
        let least = (leastVmemmapPages + perPage - 1) / perPage
        var lacks: [String] = []
        if pages.rawValue < least {
            lacks.append(few(pages.rawValue, "huge page", least))
        }
        if pairs < leastPairs {
            lacks.append(few(pairs, "pair", leastPairs))
        }
        return lacks.isEmpty ? nil : lacks.joined(separator: ", and ")
    }

    private static func few(_ count: Int, _ thing: String, _ least: Int) -> String {
        "\(Format.count(count, thing)) \(count == 1 ? "is" : "are") too few (\(least) or more tell)"
    }

    /// What is said of pairs that stand far out; nil where none does.
    static func note(_ name: String, _ spread: Spread) -> String? {
        let pairs = spread.outlierPairs
        if pairs.isEmpty { return nil }
        let numbers = pairs.map { "\($0)" }.joined(separator: ", ")
        return "\(name): \(pairs.count == 1 ? "pair \(numbers) stands" : "pairs \(numbers) stand") far out (more than "
            + "three times the quartiles' distance): something else ran on the host; the medians leave it out"
    }
}
