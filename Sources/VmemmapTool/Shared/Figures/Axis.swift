/// Round numbers along an axis from 0, in a unit that keeps them short.
struct Axis {
    /// What stands at the axis: `MiB`.
    let unit: String
    /// The marks, in the figure's own unit, and what is written at them.
    let ticks: [(value: Double, label: String)]
    /// The last mark: at least as much as there is to show.
    let end: Double

    /// - Parameters:
    ///   - most: the largest number to show.
    ///   - units: from the smallest on, in the figure's own unit.
    ///   - count: marks besides 0, about.
    ///   - fills: whether the axis ends at a mark, or at the largest number.
    ///   - base: 2 for marks at powers of two, 10 for round decimal numbers.
    private init(most: Double, units: [(size: Double, name: String)], count: Int, fills: Bool, base: Int = 10) {
        let most = most.isFinite && most > 0 ? most : 1
        let unit = units.last { most >= $0.size } ?? units[0]
        let least = most / unit.size / Double(max(1, count))
        let step = base == 2 ? Self.binaryStep(least) : Self.roundStep(least)
        let steps = most / unit.size / step
        let marks = fills ? (steps - 1e-9).rounded(.up) : (steps + 1e-9).rounded(.down)
        self.unit = unit.name
        ticks = (0...Int(marks)).map { mark in
            (Double(mark) * step * unit.size, Format.decimal(Double(mark) * step, 3, isTrimmed: true))
        }
        end = fills ? marks * step * unit.size : most
    }

    /// The smallest of 1, 2 and 5 times a power of ten that is at least `least`.
    private static func roundStep(_ least: Double) -> Double {
        var power = 1.0
        while power > least { power /= 10 }
        while power * 10 <= least { power *= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= least * (1 - 1e-9) } ?? power * 10
    }

    /// The smallest power of two that is at least `least`.
    private static func binaryStep(_ least: Double) -> Double {
        var power = 1.0
        while power / 2 >= least * (1 - 1e-9) { power /= 2 }
        while power < least * (1 - 1e-9) { power *= 2 }
        return power
    }

    /// For bytes, at powers of two.
    static func bytes(upTo most: Int, count: Int) -> Axis {
        Axis(
            most: Double(most), units: [(1, "bytes")] + Format.byteUnits.dropFirst().map { (Double($0.size), $0.name) },
            count: count, fills: true, base: 2)
    }

    /// For a time that starts at 0, to its end and no further.
    static func nanoseconds(upTo most: Int, count: Int) -> Axis {
        Axis(
            most: Double(most), units: TimeUnit.all, count: count, fills: false)
    }

    /// For times that are compared.
    static func durations(upTo most: Double, count: Int) -> Axis {
        Axis(most: most, units: TimeUnit.all, count: count, fills: true)
    }

    /// For figures over others.
    static func ratios(upTo most: Double, count: Int) -> Axis {
        Axis(most: most, units: [(1, "")], count: count, fills: true)
    }

    /// For what is done a second.
    static func rates(upTo most: Double, count: Int) -> Axis {
        Axis(most: most, units: [(1, ""), (1e3, "thousands"), (1e6, "millions")], count: count, fills: true)
    }

    /// For the numbers of things in a row, to the last and no further.
    static func numbers(upTo most: Int, count: Int) -> Axis {
        Axis(most: Double(most), units: [(1, "")], count: count, fills: false)
    }

    /// For things that are counted.
    static func count(upTo most: Int, count: Int) -> Axis {
        Axis(most: Double(max(most, count)), units: [(1, "")], count: count, fills: true)
    }
}

/// Labels on a line that would lie over each other if each stood where it belongs.
enum LabelPlacement {
    /// Where to put their centres: each as near to where it belongs as the others let it, all of them within bounds.
    ///
    /// - Parameters:
    ///   - labels: where each belongs and how much room it takes, in order of place.
    ///   - bounds: what they must stay within. Too small for all of them, the last ones keep to it.
    static func spread(_ labels: [(place: Double, size: Double)], in bounds: ClosedRange<Double>) -> [Double] {
        var places = labels.map(\.place)
        var end = bounds.lowerBound
        for (index, label) in labels.enumerated() {
            places[index] = max(places[index], end + label.size / 2)
            end = places[index] + label.size / 2
        }
        end = bounds.upperBound
        for (index, label) in labels.enumerated().reversed() {
            places[index] = min(places[index], end - label.size / 2)
            end = places[index] - label.size / 2
        }
        return places
    }
}
