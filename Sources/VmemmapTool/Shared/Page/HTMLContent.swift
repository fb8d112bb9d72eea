/// What a result says of itself on its page, before the tables that every result has.
struct HTMLContent: Sendable {
    /// What was run, as the page's heading.
    let subject: String
    /// How: scheme, backing and what else was chosen; empty for nothing.
    var setting: String = ""
    /// What came of it, in a sentence; empty for nothing.
    var summary: String = ""
    /// What it was made of, in place of the host of this run and of what every page is about; empty: of this run.
    var sources: [Markup] = []
    /// The tables at its end; nil: those of the other exports.
    var tables: [ExportTable]?
    /// The few figures that matter most.
    var highlights: [Highlight] = []
    /// Figures and what belongs beside them.
    var sections: [HTMLSection] = []

    /// A figure that stands out.
    struct Highlight: Sendable {
        let value: String
        let label: String
    }
}

/// A part of a page under a heading.
struct HTMLSection: Sendable {
    /// What links and the figures' names start with: lower-case letters.
    let id: String
    /// The heading.
    let title: String
    /// What stands under it.
    let body: [Markup]

    var markup: Markup {
        .element("section", ["id": id], [.element("h2", [:], [Markup(title)])] + body)
    }
}
