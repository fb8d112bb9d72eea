/// A figure of a page: a drawing for wide screens and paper and one for narrow screens, at about the size they are
/// shown in, so that letters are the size of letters in both.
struct Figure {
    /// Lower-case letters, different from those of every other figure on the page.
    let id: String
    /// What it shows, for those who do not see it too.
    let title: String
    /// What is to be seen in it.
    let description: String
    /// How its data were found.
    let caption: String
    /// Draws it for a width.
    let draw: (Layout) -> Drawing

    /// How wide a figure is, in its own units: pixels as it is usually shown.
    enum Layout: String, CaseIterable {
        case wide
        case narrow

        var width: Double { self == .wide ? 760 : 352 }
    }

    /// The figure with its caption.
    var markup: Markup {
        .element(
            "figure", ["id": id],
            Layout.allCases.map { layout in
                draw(layout).markup(
                    id: "\(id)-\(layout.rawValue)", className: layout.rawValue, width: layout.width, title: title,
                    description: description)
            } + [.element("figcaption", [:], [Markup(caption)])])
    }
}

/// Shapes of a height that comes of what is drawn.
struct Drawing {
    var height: Double
    private(set) var shapes: [Markup] = []

    init(height: Double) { self.height = height }

    /// As an image with a name and a description.
    func markup(id: String, className: String?, width: Double, title: String, description: String) -> Markup {
        .element(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "class": className, "role": "img",
                "viewBox": "0 0 \(Self.number(width)) \(Self.number(height))", "aria-labelledby": "\(id)-t \(id)-d",
            ],
            [
                .element("title", ["id": "\(id)-t"], [Markup(title)]),
                .element("desc", ["id": "\(id)-d"], [Markup(description)]),
            ] + shapes)
    }

    mutating func add(_ shape: Markup) { shapes.append(shape) }

    mutating func line(_ className: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) {
        add(
            .element(
                "line",
                [
                    "class": className, "x1": Self.number(x1), "y1": Self.number(y1), "x2": Self.number(x2),
                    "y2": Self.number(y2),
                ]))
    }

    mutating func text(_ className: String, _ x: Double, _ y: Double, _ text: String) {
        add(Self.text(className, x, y, text))
    }

    mutating func rect(
        _ className: String, _ x: Double, _ y: Double, _ width: Double, _ height: Double, radius: Double = 0,
        title: String? = nil
    ) {
        add(Self.rect(className, x, y, width, height, radius: radius, title: title))
    }

    /// A line through points.
    mutating func polyline(_ className: String, _ points: [(x: Double, y: Double)]) {
        let text = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
        add(.element("polyline", ["class": className, "points": text]))
    }

    mutating func dot(_ className: String, _ x: Double, _ y: Double, radius: Double, title: String) {
        add(
            .element(
                "circle",
                ["class": className, "cx": Self.number(x), "cy": Self.number(y), "r": Self.number(radius)],
                [.element("title", [:], [Markup(title)])]))
    }

    static func text(_ className: String, _ x: Double, _ y: Double, _ text: String) -> Markup {
        .element("text", ["class": className, "x": number(x), "y": number(y)], [Markup(text)])
    }

    static func rect(
        _ className: String, _ x: Double, _ y: Double, _ width: Double, _ height: Double, radius: Double = 0,
        title: String? = nil
    ) -> Markup {
        .element(
            "rect",
            [
                "class": className, "x": number(x), "y": number(y), "width": number(max(0, width)),
                "height": number(height), "rx": radius == 0 ? nil : number(radius),
            ], title.map { [.element("title", [:], [Markup($0)])] } ?? [])
    }

    /// A coordinate, to a hundredth.
    static func number(_ value: Double) -> String { Format.decimal(value, 2, isTrimmed: true) }

    /// The room that a text of 13 pixels takes at most, by the widest of the common sans-serif fonts.
    static func width(of text: String) -> Double { Double(text.count) * 8 }
}
