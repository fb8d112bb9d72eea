/// Well-formed markup, HTML and XML at once. Text gets into it only escaped: what comes from the host can add words to
/// a page, and no elements.
struct Markup: Hashable, Sendable, ExpressibleByStringInterpolation {
    /// As it is written to the page.
    let source: String

    private init(source: String) { self.source = source }

    /// Text. A group of digits stays on the line of the one before it.
    init(_ text: String) { source = Self.escaped(Format.unbroken(text)) }

    /// Text as it is, for those who search in it.
    static func verbatim(_ text: String) -> Markup { Markup(source: escaped(text)) }

    /// Text.
    init(stringLiteral text: String) { self.init(text) }

    /// Pieces, one after the other.
    init(_ pieces: [Markup]) { source = pieces.map(\.source).joined() }

    /// An element. Names are written in the code, never taken from a result.
    static func element(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String?> = [:], _ children: [Markup] = []
    ) -> Markup {
        let written = attributes.map { key, value in value.map { " \(key)=\"\(escaped($0))\"" } ?? "" }.joined()
        // HTML has no end tags for these; everything else must have one.
        if ["meta", "br", "hr", "wbr"].contains("\(name)") { return Markup(source: "<\(name)\(written)/>") }
        return Markup(source: "<\(name)\(written)>\(Markup(children).source)</\(name)>")
    }

    /// The page's own style sheet, which holds no `<` and no `&`.
    static func style(_ sheet: StaticString) -> Markup { Markup(source: "<style>\(sheet)</style>") }

    /// The text with the characters replaced that mean something to a parser, and without those that XML does not have.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "\t", "\n": escaped.unicodeScalars.append(scalar)
            // Control characters, and the last two of the plane.
            case "\0"..."\u{1f}", "\u{7f}"..."\u{9f}", "\u{fffe}", "\u{ffff}": escaped += "\u{fffd}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}

extension Markup {
    /// A paragraph.
    static func paragraph(_ text: Markup...) -> Markup { element("p", [:], text) }
}
