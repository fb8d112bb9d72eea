/// Something that a command verifies: what is stated, the figures it rests on, and what came of it.
struct Check: Hashable, Sendable, Codable {
    /// What came of a check, or of one of its figures.
    enum Outcome: String, Hashable, Sendable, Codable {
        case passed
        case failed
        /// Neither: no figure disagrees, and one at least could not be measured.
        case notMeasured = "not_measured"

        /// 1 of what passed and 0 of what failed, where it stands among figures.
        var figure: Int? {
            switch self {
            case .passed: 1
            case .failed: 0
            case .notMeasured: nil
            }
        }
    }

    /// One number that was expected and one that was measured.
    struct Figure: Hashable, Sendable, Codable {
        /// How the two are compared.
        enum Bound: String, Hashable, Sendable, Codable {
            case exactly
            /// From 1 to what is expected.
            case atMost = "at_most"
            case atLeast = "at_least"
        }

        /// What it counts, in snake_case, with its unit.
        let name: String
        /// The number to expect; null where there is none to compare with.
        let expected: Measured<Int>
        /// How the two are compared.
        let bound: Bound
        /// The number found; null where it could not be measured.
        let measured: Measured<Int>

        /// Whether they agree; not measured where one of them is not known.
        var outcome: Outcome {
            guard let expected = expected.value, let measured = measured.value else { return .notMeasured }
            let agrees =
                switch bound {
                case .exactly: measured == expected
                case .atMost: measured >= 1 && measured <= expected
                case .atLeast: measured >= expected
                }
            return agrees ? .passed : .failed
        }

        static func equal(_ name: String, _ expected: Int?, _ measured: Int?) -> Figure {
            Figure(name: name, expected: Measured(expected), bound: .exactly, measured: Measured(measured))
        }

        static func atMost(_ name: String, _ expected: Int?, _ measured: Int?) -> Figure {
            Figure(name: name, expected: Measured(expected), bound: .atMost, measured: Measured(measured))
        }

        /// A figure that must not be 0: without it the others say nothing.
        static func some(_ name: String, _ measured: Int?) -> Figure {
            Figure(name: name, expected: .value(1), bound: .atLeast, measured: Measured(measured))
        }

        /// How often something was looked at that may well not be: never is no failure, and not measured.
        static func tried(_ name: String, _ times: Int) -> Figure { some(name, times > 0 ? times : nil) }
    }

    /// Its name in exports, in snake_case.
    let id: String
    /// What is so if it passes, in a sentence.
    let statement: String
    /// Its numbers. All must agree; what says most comes first.
    let figures: [Figure]
    /// Failed if one of its figures disagrees, or if there is none; passed if all agree; not measured otherwise.
    let outcome: Outcome
    /// Where the figures come from, and what is worth knowing if it fails.
    let method: String

    init(_ id: String, _ statement: String, _ figures: [Figure], method: String) {
        self.id = id
        self.statement = statement
        self.figures = figures
        let outcomes = figures.map(\.outcome)
        outcome =
            figures.isEmpty || outcomes.contains(.failed)
            ? .failed : outcomes.contains(.notMeasured) ? .notMeasured : .passed
        self.method = method
    }

    /// How walkers check what they read.
    static let byWalkers = "threads load compound_head of random frames and compare it with the geometry"

    /// What threads saw that read while something else was done.
    static func walkersReadRight(wrong: Int, of reads: Int) -> Check {
        Check(
            "walkers_read_right", "walkers read the right compound_head",
            [.equal("wrong_reads", 0, wrong), .tried("reads", reads)],
            method: byWalkers)
    }
}

extension [Check] {
    /// Whether none failed.
    var holds: Bool { !contains { $0.outcome == .failed } }
}

// MARK: In text

extension Check {
    /// `7 checks passed`, `1 of 7 checks failed`, `5 of 7 checks passed, 2 not measured`.
    static func closing(_ checks: [Check]) -> String {
        let all = Format.count(checks.count, "check")
        let (failed, unmeasured) = (checks.count { $0.outcome == .failed }, checks.count { $0.outcome == .notMeasured })
        let rest = unmeasured > 0 ? ", \(unmeasured) not measured" : ""
        if failed > 0 { return "\(failed) of \(all) failed" + rest }
        return (unmeasured > 0 ? "\(checks.count - unmeasured) of " : "") + "\(all) passed" + rest
    }

    /// The checks and the closing line. Of one that passed its statement and its first figures are shown; of any other,
    /// what disagrees or is missing, and how it was measured. Verbose, all of that of every check.
    ///
    /// - Parameter showsPassed: false: those that passed are left out unless everything is to be told.
    static func lines(_ checks: [Check], _ style: Style, showsPassed: Bool = true) -> [String] {
        let shown = checks.filter { showsPassed || style.isVerbose || $0.outcome != .passed }
        return style.wrapped(shown.flatMap { $0.lines(style) }) + [style.verdict(checks.holds, closing(checks))]
    }

    private func lines(_ style: Style) -> [String] {
        let isBrief = outcome == .passed && !style.isVerbose
        let rest = figures.filter { style.isVerbose || $0.outcome != .passed }.map { "        \($0.text)" }
        let head = style.mark(outcome) + statement
        if isBrief {
            // As many figures as there is room for: each check has a line.
            let room = (style.width ?? .max) - statement.count - 8
            return [head + ([2, 1].map(summary).first { $0.count <= room } ?? "")]
        }
        return [head] + rest + (method.isEmpty ? [] : ["        \(method)"])
    }

    /// The first figures, as they were measured.
    private func summary(_ count: Int) -> String {
        ": "
            + figures.prefix(count).compactMap { figure in
                figure.measured.value.map { "\(Format.words(figure.name)) \(Format.count($0))" }
            }.joined(separator: ", ")
    }
}

extension Check.Figure {
    /// `distinct_frames: expected 512, measured 513`.
    var text: String {
        let bound =
            switch bound {
            case .exactly: ""
            case .atMost: "at most "
            case .atLeast: "at least "
            }
        let expected = expected.value.map { "expected \(bound)\(Format.count($0))" } ?? "nothing to compare with"
        return "\(name): \(expected), " + (measured.value.map { "measured \(Format.count($0))" } ?? "not measured")
    }
}

// MARK: In exports

extension Check {
    /// What came of each check, and the figures it rests on.
    static func tables(_ checks: [Check]) -> [ExportTable] {
        [
            ExportTable(
                "check", "What was checked.", checks,
                [
                    .label("id", "The check.") { $0.id },
                    .text("statement", "What is so if it passes.") { $0.statement },
                    .outcome("outcome", "Whether it passed, failed or was not measured.") { $0.outcome },
                ]),
            ExportTable(
                "check_figure", "The figures that the checks rest on.",
                checks.flatMap { check in check.figures.map { (check.id, $0) } },
                [
                    .label("id", "The check.") { $0.0 }, .metric("name", "What is counted.") { $0.1.name },
                    .count("expected", "What is expected.") { $0.1.expected.value }.varying(),
                    .text("bound", "Exactly, at most or at least that.") { $0.1.bound.rawValue },
                    .count("measured", "What was measured.") { $0.1.measured.value }.varying(),
                ]),
        ]
    }

    /// A section of a page; none where nothing was checked.
    ///
    /// - Parameter showsFigures: false where the statements have them: of those that passed they are left out then.
    static func sections(
        _ checks: [Check], title: String = "What was checked", showsFigures: Bool = true
    ) -> [HTMLSection] {
        checks.isEmpty
            ? [] : [HTMLSection(id: "checks", title: title, body: [markup(checks, showsFigures: showsFigures)])]
    }

    /// A list with a mark each, for a page.
    static func markup(_ checks: [Check], showsFigures: Bool = true) -> Markup {
        .element("ul", ["class": "checks"], checks.map { $0.markup(showsFigures) })
    }

    private func markup(_ showsFigures: Bool) -> Markup {
        let mark =
            switch outcome {
            case .passed: "\u{2713}"
            case .failed: "\u{2717}"
            case .notMeasured: "\u{2013}"
            }
        let disagreeing = figures.filter { $0.outcome != .passed }.map(\.text).joined(separator: "; ")
        return .element(
            "li", ["class": outcome == .failed ? "failed" : nil],
            [
                .element(
                    "span", ["class": "mark", "role": "img", "aria-label": Format.words(outcome.rawValue)],
                    [Markup(mark)]),
                Markup(statement.capitalizedFirst),
                outcome == .passed
                    ? Markup(showsFigures ? summary(2) : "")
                    : .element("strong", [:], [Markup(" \u{2013} " + disagreeing)]),
                method.isEmpty ? "" : .element("span", ["class": "method"], [Markup(method)]),
            ])
    }
}
