/// Claims with a mark each: that it holds, that it does not, or that it was not put to the test.
enum ClaimList {
    /// A claim.
    struct Item {
        /// Nil: not put to the test.
        let holds: Bool?
        let text: String
        /// What was found where it does not hold; empty for nothing.
        var failure = ""
        /// How it was found; empty for nothing.
        let method: String
    }

    static func markup(_ items: [Item]) -> Markup { .element("ul", ["class": "claims"], items.map(markup)) }

    private static func markup(_ item: Item) -> Markup {
        let (mark, label) =
            switch item.holds {
            case true: ("\u{2713}", "holds")
            case false: ("\u{2717}", "does not hold")
            case nil: ("\u{2013}", "not put to the test")
            }
        return .element(
            "li", ["class": item.holds == false ? "failed" : nil],
            [
                .element("span", ["class": "mark", "role": "img", "aria-label": label], [Markup(mark)]),
                Markup(item.text.capitalizedFirst),
                item.failure.isEmpty ? "" : .element("strong", [:], [Markup(" \u{2013} " + item.failure)]),
                item.method.isEmpty ? "" : .element("span", ["class": "method"], [Markup(item.method)]),
            ])
    }
}
