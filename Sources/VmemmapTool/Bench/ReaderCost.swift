import HostMemory
import VmemmapEmulator

/// What readers pay: the time of one compound_head by encoding, order of frames and state, beside a walk that looks at
/// the same words and decodes nothing.
struct ReaderCostExperiment: Sendable {
    /// Huge pages of 2 MiB of each region.
    var pages: HugePageCount
    /// Passes to count of each; one more warms up.
    var passes: Int

    /// Reads of a pass: a few milliseconds.
    private static let reads = 1 << 20

    /// Measures each encoding in turn, populated and then optimized.
    func run(progress: ProgressSink = { _ in }) throws(ExperimentError) -> ReaderCostResult {
        let host = try HostBlock.current()
        var rows: [ReaderCostResult.Row] = []
        for (number, encoding) in ReaderCostResult.Encoding.allCases.enumerated() {
            progress(.count("readers", number, of: ReaderCostResult.Encoding.allCases.count, unit: "encodings"))
            let memory = EmulatedMemory(pages: pages, pageSize: .twoMebibytes, scheme: encoding.scheme)
            let plan = try memory.planOnThisHost()
            rows += try ExperimentError.wrapping { try measure(encoding, VmemmapRegion(plan)) }
        }
        return ReaderCostResult(
            host: host, configuration: ReaderCostResult.Configuration(pages: pages, passes: passes, reads: Self.reads),
            rows: rows)
    }

    private func measure(
        _ encoding: ReaderCostResult.Encoding, _ region: VmemmapRegion
    ) throws -> [ReaderCostResult.Row] {
        var rows = try ReaderCostResult.Order.allCases.map { try row(encoding, region, $0, .populated) }
        try region.optimize(region.layout.allHugePages, writers: .excluded)
        rows += try ReaderCostResult.Order.allCases.map { try row(encoding, region, $0, .optimized) }
        return rows
    }

    private func row(
        _ encoding: ReaderCostResult.Encoding, _ region: VmemmapRegion, _ order: ReaderCostResult.Order,
        _ state: ReaderCostResult.State
    ) throws -> ReaderCostResult.Row {
        let frames = Self.frames(order, of: region)
        let expected = frames.reduce(UInt(0)) { $0 &+ region.layout.head(of: PageFrameNumber(Int($1))).rawValue }
        var times: [Double] = []
        var isRight = true
        for pass in 0...passes {
            let (sum, nanoseconds) = timed {
                encoding == .plain ? region.sumOfWords(of: frames) : region.sumOfHeads(of: frames)
            }
            if encoding != .plain { isRight = isRight && sum == expected }
            if pass > 0 { times.append(Double(nanoseconds) / Double(frames.count)) }
        }
        return ReaderCostResult.Row(
            encoding: encoding, order: order, state: state, headNanoseconds: Spread(times),
            isRight: encoding == .plain ? .notMeasured : .value(isRight))
    }

    /// Drawn beforehand: a generator would cost as much as what is measured.
    private static func frames(_ order: ReaderCostResult.Order, of region: VmemmapRegion) -> [UInt32] {
        let count = UInt64(region.layout.frames.count)
        var generator = SplitMix64(seed: 1)
        return (0..<reads).map { number in
            switch order {
            case .sequential: UInt32(UInt64(number) % count)
            case .random: UInt32(generator.next().multipliedFullWidth(by: count).high)
            }
        }
    }
}

/// What `vmemmap bench --readers` measured.
struct ReaderCostResult: Hashable, Sendable, Codable {
    /// How a struct page leads to its head, and `plain`: the word is loaded, and nothing made of it.
    enum Encoding: String, Hashable, Sendable, Codable, CaseIterable {
        case plain
        case pointer
        case fakeHead = "fake-head"
        case mask

        /// A scheme that has it.
        var scheme: Scheme {
            switch self {
            case .plain, .pointer: .firstTail
            case .fakeHead: .head
            case .mask: .sharedTail
            }
        }
    }

    /// In which order frames are visited.
    enum Order: String, Hashable, Sendable, Codable, CaseIterable {
        case sequential, random
    }

    /// What the huge pages are.
    enum State: String, Hashable, Sendable, Codable, CaseIterable {
        case populated, optimized
    }

    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// Huge pages of 2 MiB of each region.
        let pages: HugePageCount
        /// Passes counted of each.
        let passes: Int
        /// Reads of a pass.
        let reads: Int
    }

    /// One encoding, order and state.
    struct Row: Hashable, Sendable, Codable {
        /// The encoding.
        let encoding: Encoding
        /// The order.
        let order: Order
        /// What the huge pages were.
        let state: State
        /// Of one compound_head, over the passes.
        let headNanoseconds: Spread
        /// Whether the heads found add up to the right ones; null of `plain`, which finds none.
        let isRight: Measured<Bool>
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// Each encoding, state and order.
    let rows: [Row]

    /// That every head found was right.
    var checks: [Check] {
        let judged = rows.compactMap(\.isRight.value)
        return [
            Check(
                "heads_found_right", "every head that was found is the right one",
                [.equal("wrong_sums", 0, judged.count { !$0 }), .tried("sums", judged.count)],
                method: "the heads of an encoding, order and state, added up, beside the geometry's")
        ]
    }

    /// What was published of the kernel's compound_head: plain, and twice with fake heads. Taken from this project's
    /// notes on the kernel; on another machine, so that only the ratios can be compared.
    static let publishedNanoseconds = [2.11, 2.54, 2.97]
}

extension ReaderCostResult: ExportableResult {
    static var command: String { "readers" }

    var tables: [ExportTable] {
        [
            ExportTable(
                "reader", "What one compound_head costs.", rows,
                [
                    .label("encoding", "How a struct page leads to its head; plain: it is not asked.") {
                        $0.encoding.rawValue
                    }.shown("encoding"),
                    .label("order", "In which order frames are visited.") { $0.order.rawValue }.shown("order"),
                    .label("state", "What the huge pages were.") { $0.state.rawValue }.shown("state"),
                    .meanNanoseconds("head_median", "One compound_head, the middle pass.") { $0.headNanoseconds.median }
                        .shown("median"),
                    .meanNanoseconds("head_min", "The fastest pass.") { $0.headNanoseconds.min }.shown("min"),
                    .meanNanoseconds("head_max", "The slowest pass.") { $0.headNanoseconds.max }.shown("max"),
                    .truth("is_right", "Whether the heads found add up to the right ones.") { $0.isRight.value },
                ])
        ]
    }
}

/// The report.
enum ReaderCostReport {
    static func lines(_ result: ReaderCostResult, _ style: Style = .plain) -> [String] {
        let block = result.configuration
        let published = ReaderCostResult.publishedNanoseconds.map { "\($0)" }.joined(separator: ", ")
        return style.wrapped(
            [
                "vmemmap bench --readers: \(Format.count(block.pages.rawValue)) x 2.00 MiB huge pages a region, "
                    + "passes: \(block.passes), of \(Format.count(block.reads, "read")) each", "",
            ] + PlanReport.lines(result.host)) + [""] + result.tables.flatMap { $0.lines(style) }
            + style.notes([
                "One compound_head. plain: the word is loaded, and nothing made of it. What lies",
                "between that and an encoding is what the encoding costs. Optimized, tails show",
                "fewer frames, which stay in the processor's cache.",
            ]) + [""]
            + style.wrapped([
                "Published of the kernel, on another machine: \(published) ns, the first plain, the others with fake "
                    + "heads."
            ]) + Check.lines(result.checks, style)
    }
}
