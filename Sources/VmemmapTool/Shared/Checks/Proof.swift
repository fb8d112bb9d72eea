import VmemmapEmulator

/// A claim, what it makes one expect, what was measured, and whether they agree.
struct Proof: Hashable, Sendable, Codable {
    /// Which claim.
    enum Claim: String, Hashable, Sendable, Codable, CaseIterable {
        /// The frames behind the region are as many as planned.
        case distinctFrames
        /// The file of shared frames occupies what was planned.
        case sharedFrames
        /// A store into a tail page faults.
        case tailStoreFaults
        /// A tail page cannot be made writable.
        case tailStaysReadOnly
        /// Walkers see only the right compound_head while huge pages are optimized and restored.
        case walkersReadRight
        /// The contents are byte for byte what they were.
        case contentsUnchanged
        /// The figures are back where they were before optimizing.
        case figuresBack
        /// On a PMD-mapped region: PMDs map the region's blocks, optimizing splits them, and a restore merges those of gigantic pages.
        case pmdMapped

        /// The claims that there are about a plan.
        static func all(_ mapping: RegionMapping) -> [Claim] { allCases.filter { $0 != .pmdMapped || mapping == .pmd } }
    }

    /// One number that was expected and one that was measured.
    struct Figure: Hashable, Sendable, Codable {
        /// What it counts, with its unit.
        let name: String
        /// The number that the claim makes one expect; null where any number above 0 will do.
        let expected: Measured<Int>
        /// Whether fewer will do too.
        let isUpperBound: Bool
        /// The number found; null where it could not be measured.
        let measured: Measured<Int>

        /// Whether they agree; nil where nothing was measured.
        var holds: Bool? {
            guard let measured = measured.value else { return nil }
            guard let expected = expected.value else { return measured > 0 }
            return isUpperBound ? (1...expected).contains(measured) : expected == measured
        }

        static func equal(_ name: String, _ expected: Int, _ measured: Int?) -> Figure {
            Figure(name: name, expected: .value(expected), isUpperBound: false, measured: Measured(measured))
        }

        static func atMost(_ name: String, _ expected: Int, _ measured: Int?) -> Figure {
            Figure(name: name, expected: .value(expected), isUpperBound: true, measured: Measured(measured))
        }

        static func some(_ name: String, _ measured: Int?) -> Figure {
            Figure(name: name, expected: .notMeasured, isUpperBound: false, measured: Measured(measured))
        }
    }

    /// Which claim.
    let claim: Claim
    /// Its numbers. All must agree.
    let figures: [Figure]
    /// Whether the claim holds: all of its numbers agree. Null where one was not measured and no other disagrees.
    let holds: Measured<Bool>
    /// How it was found, and what is worth knowing when it does not hold.
    let method: String

    init(_ claim: Claim, _ figures: [Figure], method: String) {
        self.claim = claim
        self.figures = figures
        let verdicts = figures.map(\.holds)
        if figures.isEmpty || verdicts.contains(false) {
            holds = .value(false)
        } else {
            holds = verdicts.contains(nil) ? .notMeasured : .value(true)
        }
        self.method = method
    }
}
