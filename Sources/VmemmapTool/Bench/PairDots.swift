/// Pairs as dots: a row a figure, a dot each pair, the median as a line, and the bound where there is one.
struct PairDots {
    /// A figure over pairs.
    struct Row {
        let name: String
        let values: [Double]
        /// What is told of each value.
        let text: (Double) -> String
    }

    let rows: [Row]
    let axis: Axis
    let axisName: String

    /// All of it in words.
    var description: String {
        rows.map { row in
            "\(row.name): " + row.values.enumerated().map { "pair \($0 + 1) \(row.text($1))" }.joined(separator: ", ")
        }.joined(separator: "; ")
    }

    /// Draws them for a width.
    func draw(_ layout: Figure.Layout) -> Drawing {
        let (left, right, pitch) = (10.0, layout.width - 16, 52.0)
        var drawing = Drawing(height: Double(rows.count) * pitch + 48)
        let bottom = Double(rows.count) * pitch
        func x(_ value: Double) -> Double { left + (right - left) * min(1, max(0, value / axis.end)) }
        for tick in axis.ticks {
            drawing.line(tick.value == 0 ? "axis" : "grid", x(tick.value), 0, x(tick.value), bottom)
            let half = Drawing.width(of: tick.label) / 2
            drawing.text("soft mid", min(max(x(tick.value), half), layout.width - half), bottom + 18, tick.label)
        }
        for (number, row) in rows.enumerated() {
            let y = Double(number) * pitch + 36
            drawing.text("strong", left, y - 18, row.name)
            let median = Statistics.median(row.values)
            if median.isFinite { drawing.line("axis", x(median), y - 10, x(median), y + 10) }
            for (pair, value) in row.values.enumerated() {
                drawing.dot("dot", x(value), y, radius: 4, title: "\(row.name), pair \(pair + 1): \(row.text(value))")
            }
        }
        drawing.text("soft mid", (left + right) / 2, bottom + 40, axisName)
        return drawing
    }
}

extension PairDots {
    /// Every pair of the pool, on over off.
    static func pool(_ combinations: [BenchCombination]) -> Figure? {
        let rows = combinations.flatMap { combination -> [Row] in
            guard let outcome = combination.measured else { return [] }
            let parts: [(String, [PoolTiming.Pair], (PoolTiming.Run) -> PoolTiming.Cost)] = [
                ("allocate", outcome.synchronous.pairs, \.allocate), ("free", outcome.synchronous.pairs, \.free),
                ("free deferred", outcome.deferred.pairs, \.free),
                ("until restored", outcome.deferred.pairs, \.untilRestored),
            ]
            return parts.map { name, pairs, cost in
                Row(
                    name: (combinations.count > 1 ? BenchReport.name(combination) + ": " : "") + name,
                    values: pairs.map { Double(cost($0.on).wallNanoseconds) / Double(cost($0.off).wallNanoseconds) },
                    text: { Format.decimal($0, 3) })
            }
        }
        guard (1...48).contains(rows.count), let most = rows.flatMap(\.values).max() else { return nil }
        let dots = PairDots(
            rows: rows, axis: .ratios(upTo: most, count: 6), axisName: "optimizing on over optimizing off")
        return Figure(
            id: "pairs", title: "Each pair of the pool: optimizing on over off", description: dots.description,
            caption: "A dot is a pair, on and off one right after the other; the line is the median.", draw: dots.draw)
    }
}
