import HostMemory
import VmemmapEmulator

/// Huge pages side by side, such as one before and after: its vmemmap pages at the left, the frames they show at the
/// right, a frame the same colour and letter wherever it is.
struct FrameFigure {
    /// One of them, under its title.
    struct Side {
        let id: String
        let title: String
        let picture: FramePicture
    }

    private let id: String
    private let sides: [Side]
    /// Whether they are the kernel's, whose vmemmap pages no process maps.
    private let isOfKernel: Bool
    /// Every frame that can be told from others, in the order of their letters.
    private var frames: [FramePicture.Frame] = []

    init(before: FramePicture, after: FramePicture, id: String = "frames") {
        self.init(
            id: id,
            [
                Side(id: "before", title: "Before", picture: before),
                Side(id: "after", title: "After", picture: after),
            ])
    }

    init(id: String, _ sides: [Side], isOfKernel: Bool = false) {
        self.id = id
        self.sides = sides
        self.isOfKernel = isOfKernel
        for page in pages {
            if Self.hasIdentity(page.frame), !frames.contains(page.frame) { frames.append(page.frame) }
        }
    }

    private var pages: [FramePicture.VmemmapPage] { sides.flatMap(\.picture.vmemmapPages) }

    /// Both drawings, and all of it in words.
    var markup: Markup {
        let caption =
            "A vmemmap page is a page of 64 struct pages; an arrow leads to the host frame that it shows. The same "
            + "letter and "
            + "colour mean the same frame. "
            + (hidesNumbers
                ? "This process may not see frame numbers: private pages have a frame of their own each"
                    + (sides.count > 1 ? ", and whether it is the one of before cannot be told. " : ". ") : "")
            + "Point at a page for its address and mapping, or see the table below."
        return .element(
            "figure", ["id": id],
            [
                .element("div", ["class": "pair"], sides.map(markup)),
                .element("figcaption", [:], [Markup(caption)]), places,
            ])
    }

    private var hidesNumbers: Bool {
        pages.contains { $0.frame == .anonymous }
    }

    private func markup(_ side: Side) -> Markup {
        let picture = side.picture
        let pages = picture.vmemmapPages
        let owners =
            Set(pages.map(\.frame).filter(Self.hasIdentity)).count
            + pages.count { $0.frame == .anonymous }
        let counted = "\(Format.count(pages.count, "page")) in \(Format.count(owners, "frame"))"
        let words = pages.map { "page \($0.index.rawValue): \(Self.name($0.frame))" }
        return .element(
            "div", [:],
            [
                .element("h3", [:], [Markup("\(side.title): \(counted)")]),
                draw(picture).markup(
                    id: "\(id)-\(side.id)", className: nil, width: 360, title: name(of: side) + ": " + counted,
                    description: words.joined(separator: "; ")),
            ])
    }

    private func name(of side: Side) -> String {
        isOfKernel || sides.count == 1
            ? "\(side.title)\(isOfKernel ? "" : ", \(side.picture.hugePage)")"
            : "Huge page \(side.picture.hugePage.rawValue) \(side.id) optimizing"
    }

    private func draw(_ picture: FramePicture) -> Drawing {
        let pages = picture.vmemmapPages
        let pitch = 36.0
        var rows: [Double] = []
        var y = 2.0
        var gaps: [Double] = []
        for (position, page) in pages.enumerated() {
            if position > 0, page.index > pages[position - 1].index.advanced(by: 1) {
                gaps.append(y + 13)
                y += 26
            }
            rows.append(y)
            y += pitch
        }
        var drawing = Drawing(height: y - 6)
        for gap in gaps { drawing.text("soft mid", 42, gap, "\u{22ee}") }
        for (frame, members) in groups(pages) {
            // A frame stands in the middle of its pages.
            let place = (rows[members.first ?? 0] + rows[members.last ?? 0]) / 2
            for member in members { drawing.add(arrow(pages[member], from: rows[member], to: place)) }
            drawing.add(box(frame, at: place, pages: members.map { pages[$0] }, picture))
        }
        return drawing
    }

    /// The frames of a picture, each with the positions of its pages.
    private func groups(_ pages: [FramePicture.VmemmapPage]) -> [(FramePicture.Frame, [Int])] {
        var groups: [(FramePicture.Frame, [Int])] = []
        for (position, page) in pages.enumerated() {
            if Self.hasIdentity(page.frame), let known = groups.firstIndex(where: { $0.0 == page.frame }) {
                groups[known].1.append(position)
            } else {
                groups.append((page.frame, [position]))
            }
        }
        return groups
    }

    private func arrow(_ page: FramePicture.VmemmapPage, from y: Double, to place: Double) -> Markup {
        let (start, end) = (Drawing.number(y + 14), Drawing.number(place + 14))
        return .element(
            "g", ["class": page.place.value?.isWritable == false ? "page shared" : "page"],
            [
                .element("title", [:], [Markup(sentence(page))]),
                Drawing.rect("", 1, y, 84, 28, radius: 3),
                Drawing.text("mid", 43, y + 18.5, "page \(page.index.rawValue)"),
                .element("path", ["d": "M85,\(start) C130,\(start) 118,\(end) 160,\(end)"]),
                .element(
                    "path", ["d": "M154,\(Drawing.number(place + 10)) L160,\(end) L154,\(Drawing.number(place + 18))"]),
            ])
    }

    private func box(
        _ frame: FramePicture.Frame, at y: Double, pages: [FramePicture.VmemmapPage], _ picture: FramePicture
    ) -> Markup {
        let letter = frames.firstIndex(of: frame).map(FrameLetters.letter)
        var title = "frame \(letter.map { $0 + ", " } ?? "")\(Self.name(frame)), shown by page "
        title += pages.map { "\($0.index.rawValue)" }.joined(separator: ", ")
        if pages.last?.index == picture.vmemmapPages.last?.index, let count = picture.lastFrameMappings.value {
            title += "; mapped \(Format.count(count, "time")) in all (/proc/kpagecount)"
        }
        let texts =
            letter.map {
                [Drawing.text("strong", 172, y + 18.5, $0), Drawing.text("code", 194, y + 18.5, Self.name(frame))]
            } ?? [Drawing.text("code", 172, y + 18.5, Self.name(frame))]
        return .element(
            "g", ["class": "frame " + style(frame, pages)],
            [.element("title", [:], [Markup(title)]), Drawing.rect("", 161, y, 198, 28, radius: 3)] + texts)
    }

    /// Frames behind read-only mappings are solid, the others a tint; both repeat after some.
    private func style(_ frame: FramePicture.Frame, _ pages: [FramePicture.VmemmapPage]) -> String {
        guard let letter = frames.firstIndex(of: frame) else { return "none" }
        let last = sides.last?.picture.vmemmapPages ?? []
        let shared = last.filter { $0.place.value?.isWritable == false }.map(\.frame)
        var solid: [FramePicture.Frame] = []
        for frame in shared where Self.hasIdentity(frame) && !solid.contains(frame) { solid.append(frame) }
        if let number = solid.firstIndex(of: frame) { return "s\(number % 4)" }
        return "f\(letter % 8)"
    }

    /// Every page of both pictures with its address and mapping, for paper and for fingers.
    private var places: Markup {
        let rows = sides.flatMap { side in side.picture.vmemmapPages.map { (side.id, $0) } }
        let source = isOfKernel ? "the kernel's page tables" : "/proc/self/maps"
        let table = ExportTable(
            "place", "Where each of these vmemmap pages lies (\(source)) and which frame it shows.",
            rows,
            [
                .label("when", "Which of the drawings.") { $0.0 },
                .label("page", "The vmemmap page.") { "\($0.1.index.rawValue)" },
                .label("address", "Its address.") { $0.1.place.value?.address ?? "" },
                .label("mapping", "The mapping it lies in.") { $0.1.place.value.map(mapping) ?? "" },
                .label("frame", "The frame.") { row in
                    let letter = frames.firstIndex(of: row.1.frame).map { FrameLetters.letter($0) + ", " } ?? ""
                    return letter + Self.name(row.1.frame)
                },
            ])
        return .element(
            "details", [:],
            [
                .element("summary", [:], ["Addresses, mappings and frames as a table"]),
                HTMLTable(table).plain,
            ])
    }

    private func sentence(_ page: FramePicture.VmemmapPage) -> String {
        let shows = "\(page.index) shows \(Self.name(page.frame))"
        guard let place = page.place.value else { return shows }
        return "\(shows); at \(place.address), in the mapping \(mapping(place))"
    }

    private func mapping(_ place: FramePicture.Place) -> String {
        let access = place.isWritable ? "read-write" : "read-only"
        let source =
            place.fileOffsetBytes.value.map { "memfd + 0x" + String($0.rawValue, radix: 16) } ?? "private memory"
        let range = "\(place.mappingStart)\u{2013}\(place.mappingEnd), \(access)"
        return isOfKernel ? range : "\(range), \(source)"
    }

    private static func hasIdentity(_ frame: FramePicture.Frame) -> Bool { frame != .anonymous && frame != .absent }

    private static func name(_ frame: FramePicture.Frame) -> String {
        switch frame {
        case .pfn(let number): "pfn 0x" + String(number, radix: 16)
        case .file(let offset): "memfd + 0x" + String(offset.rawValue, radix: 16)
        case .anonymous: "a private frame"
        case .absent: "no frame"
        }
    }
}
