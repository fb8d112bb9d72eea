import Testing
@testable import VmemmapTool

@Suite("Latency histograms")
struct LatencyHistogramTests {
    @Test("A drawing fits the columns there are", arguments: [40, 60, 79, 200])
    func fits(_ width: Int) throws {
        let histogram = try #require(LatencyHistogram(nanoseconds: [0, 1, 2, 600, 1500, 3 << 20]))
        let lines = HistogramDrawing.lines(histogram, width: width)
        #expect(lines.allSatisfy { $0.count == min(width, 79) }, "\(lines)")
    }

    @Test("Each duration falls into the power of two that it reaches, from the first bucket used to the last")
    func buckets() throws {
        let histogram = try #require(LatencyHistogram(nanoseconds: [8191, 8192, 9000, 16383, 16384, 70_000]))
        #expect(histogram.buckets.map(\.fromNanoseconds) == [4096, 8192, 16384, 32768, 65536])
        #expect(histogram.buckets.map(\.belowNanoseconds) == [8192, 16384, 32768, 65536, 131_072])
        #expect(histogram.buckets.map(\.count) == [1, 3, 1, 0, 1])
        #expect(histogram.count == 6)
        #expect(histogram.minNanoseconds == 8191 && histogram.maxNanoseconds == 70_000)
    }

    @Test("The ends of the numbers have buckets of their own, and time below zero is none")
    func ends() throws {
        let histogram = try #require(LatencyHistogram(nanoseconds: [-5, 0, 1, 2, 3, .max]))
        #expect(histogram.buckets.first == histogram.buckets.first { $0.fromNanoseconds == 0 && $0.count == 2 })
        #expect(histogram.buckets[1].count == 1 && histogram.buckets[2].count == 2)
        #expect(histogram.buckets.last?.fromNanoseconds == 1 << 62 && histogram.buckets.last?.belowNanoseconds == .max)
        #expect(histogram.buckets.reduce(0) { $0 + $1.count } == 6)
        #expect(LatencyHistogram(nanoseconds: []) == nil)
    }

    @Test("Percentiles are exact: so many are no longer, and one more would be too many", arguments: [UInt64(1), 2, 3])
    func percentiles(_ seed: UInt64) throws {
        var state = seed
        let durations = (0..<5000).map { _ -> Int in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 44) + 1
        }
        let histogram = try #require(LatencyHistogram(nanoseconds: durations))
        let sorted = durations.sorted()
        for (found, share) in [
            (histogram.p50Nanoseconds, 500), (histogram.p90Nanoseconds, 900), (histogram.p99Nanoseconds, 990),
            (histogram.p999Nanoseconds, 999),
        ] {
            let noLonger = sorted.count { $0 <= found }
            let shorter = sorted.count { $0 < found }
            #expect(noLonger * 1000 >= sorted.count * share && shorter * 1000 < sorted.count * share, "seed \(seed)")
        }
    }

    @Test("It is drawn as bpftrace draws it: the cover letter's own figures give its own lines")
    func drawing() throws {
        let durations = [(9000, 8360), (20_000, 1868), (40_000, 10), (100_000, 2)].flatMap { duration, count in
            Array(repeating: duration, count: count)
        }
        let lines = HistogramDrawing.lines(try #require(LatencyHistogram(nanoseconds: durations)))
        #expect(
            lines == [
                "[8K, 16K)           8360 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|",
                "[16K, 32K)          1868 |@@@@@@@@@@@                                         |",
                "[32K, 64K)            10 |                                                    |",
                "[64K, 128K)            2 |                                                    |",
            ])
    }

    @Test("Small numbers have no unit, and a bucket of one value names it")
    func labels() throws {
        let lines = HistogramDrawing.lines(try #require(LatencyHistogram(nanoseconds: [0, 1, 2, 600, 1500, 3 << 20])))
        let labels = lines.map { String($0.prefix(16)).split(separator: "  ")[0] }
        #expect(labels.prefix(4) == ["[0]", "[1]", "[2, 4)", "[4, 8)"])
        #expect(labels.contains("[512, 1K)") && labels.contains("[1K, 2K)"))
        #expect(labels.last == "[2M, 4M)")
    }
}
