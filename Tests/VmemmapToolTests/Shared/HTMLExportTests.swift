import HostMemory
import Testing
@testable import VmemmapTool

@Suite("HTML pages")
struct HTMLExportTests {
    private struct Result: ExportableResult {
        static let command = "trial"
        let host: HostBlock
        let verdict: Bool? = nil
        let tables: [ExportTable]

        func encode(to encoder: any Encoder) throws { try host.encode(to: encoder) }
    }

    private static func page(_ tables: [ExportTable]) throws -> String {
        HTMLExport.text(Result(host: try HostBlock.current(), tables: tables), date: "2020-02-02T02:02:02Z")
    }

    @Test("Text adds no elements and no attributes, whatever is in it")
    func escaping() {
        let evil = "</title><script>\"'&\u{0}\u{1b}\u{ffff}\u{85}"
        let escaped = "&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
        #expect(Markup(evil).source == escaped)
        #expect(Markup.element("p", ["title": evil], ["\(evil)"]).source == "<p title=\"\(escaped)\">\(escaped)</p>")
    }

    @Test("A number stays on one line, and other spaces stay what they are")
    func digitGroups() {
        #expect(Markup("4 096 of 16 777 216, 2 walkers").source == "4\u{a0}096 of 16\u{a0}777\u{a0}216, 2 walkers")
        #expect(Markup("12 3456 1 2").source == "12 3456 1 2")
    }

    @Test("A result that says nothing of itself has a page of its tables, names from the host escaped")
    func fallback() throws {
        let table = ExportTable(
            "thing", "What a row is.", ["a<b", "&"],
            [
                .label("name", "Its name.") { $0 }, .bytes("size", "How much.") { ByteCount($0.count << 20) },
                .count("seen", "How often.") { _ in nil }, .nanoseconds("took", "How long.") { _ in 1_500_000 },
            ])
        let page = try Self.page([table])
        #expect(page.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\"") && page.hasSuffix("</html>\n"))
        #expect(page.contains("a&lt;b") && page.contains("&amp;") && !page.contains("a<b"))
        #expect(page.contains("3.00\u{a0}MiB") && page.contains("1.5\u{a0}ms") && page.contains("not measured"))
        #expect(page.contains("2020-02-02T02:02:02Z"))
        // What the optimization is, is said once, behind the header.
        let parts = page.split(separator: "</header>")
        #expect(parts.count == 2 && parts.map { $0.matches(of: /my head is over there/).count } == [0, 1])
        #expect(!page.contains("<script"))
    }

    @Test("Rows that lie in powers of two of nanoseconds become a histogram for each of the other labels")
    func histograms() throws {
        let rows = [("read", 0, 1), ("read", 1024, 7), ("write", 1 << 62, 3), ("write", 64, 0)]
        let table = ExportTable(
            "latency_bucket", "By how long they took.", rows,
            [
                .label("operation", "What.") { $0.0 }, .timeLabel("from_ns", "The shortest time.") { $0.1 },
                .count("calls", "How many.") { $0.2 },
            ])
        let page = try Self.page([table])
        #expect(page.contains("<h3>read</h3>") && page.contains("<h3>write</h3>"))
        #expect(page.contains("1 us to 2 us: 7"))
    }

    @Test(
        "Axes have round marks, end at or after the largest number, and take any number",
        arguments: [0, 1, 7, 95, 4096, 1 << 50, .max])
    func axes(_ most: Int) {
        for axis in [
            Axis.bytes(upTo: most, count: 4), .durations(upTo: Double(most), count: 4), .count(upTo: most, count: 4),
        ] {
            #expect((2...9).contains(axis.ticks.count))
            #expect(axis.ticks.first?.label == "0")
            #expect(axis.end >= Double(most))
        }
        let time = Axis.nanoseconds(upTo: most, count: 8)
        #expect(time.ticks.allSatisfy { $0.value <= time.end })
    }

    @Test("An axis of numbers in a row has a mark at the last one if a mark falls there")
    func numbers() {
        #expect(Axis.numbers(upTo: 6, count: 6).ticks.map(\.label) == ["0", "1", "2", "3", "4", "5", "6"])
        #expect(Axis.numbers(upTo: 7, count: 4).ticks.map(\.label) == ["0", "2", "4", "6"])
    }

    @Test("A bar's name that is too long goes on below, and its value finds room", arguments: Figure.Layout.allCases)
    func longNames(_ layout: Figure.Layout) {
        let name = "shared-tail, anonymous, free deferred until restored " + String(repeating: "x", count: 120)
        let scale = BarScale(.ratios(upTo: 2, count: 4), "ratio", layout)
        var drawing = Drawing(height: 0)
        let end = scale.label(&drawing, name, "12.345", at: 0)
        #expect(end == scale.labelHeight(name, "12.345") && end > 40)
        #expect(scale.labelHeight("head", "1.0") < 20)
        let texts = drawing.shapes.map(\.source).filter { $0.hasPrefix("<text") }
            .compactMap { $0.split(separator: ">").dropFirst().first?.split(separator: "<").first }.map(String.init)
        #expect(texts.allSatisfy { Drawing.width(of: $0) <= layout.width })
        #expect(texts.dropLast().joined().replacing(" ", with: "") == name.replacing(" ", with: ""))
    }

    @Test("A wide table of few rows lies on its side under all of its labels, which have their units")
    func wideTables() throws {
        let table = ExportTable(
            "combination", "What a row is.", ["head", "first-tail"],
            [.label("scheme", "How.") { $0 }, .sizeLabel("huge_page_bytes", "How large.") { _ in .mebibytes(2) }]
                + (0..<12).map { (number: Int) in .count("count_\(number)", "How many.") { _ in number } })
        let markup = HTMLTable(table).plain.source
        #expect(markup.contains("<th scope=\"col\">first-tail, 2.00 MiB</th>"))
        #expect(markup.contains(">count 11</th><td data-label=\"head, 2.00 MiB\">11</td>"))
    }

    @Test("Many rows are drawn a kind at a time, all on one scale; long names in tables can go on below")
    func parts() throws {
        let rows = ["first_tail", "head"].flatMap { scheme in
            (1...8).map { (scheme, $0 * (scheme == "head" ? 1000 : 1)) }
        }
        let table = ExportTable(
            "thing", "What a row is.", rows,
            [
                .label("scheme", "How.") { $0.0 }, .label("number", "Which.") { "\($0.1)" },
                .nanoseconds("on", "How long.") { $0.1 }, .ratio("median", "Over another.") { Double($0.1) },
            ])
        let sections = TableFigures.sections([table], titles: ["thing": "A title"])
        #expect(sections.map(\.title) == ["A title"])
        let page = Markup(sections.flatMap(\.body)).source
        #expect(page.contains("<h3>First tail</h3>") && page.contains("<h3>Head</h3>"))
        #expect(page.contains("id=\"times-thing-1\"") && page.contains("id=\"ratios-thing-2\""))
        // Both go to 8 us, though the first has nothing above 8 ns.
        #expect(page.matches(of: /time, us/).count == 4 && !page.contains("time, ns"))
        #expect(HTMLTable(table).plain.source.contains(">first_<wbr/>tail</th>"))
    }

    @Test("What is the same in every row is told once above them, and what is in none is not shown")
    func common() {
        let table = ExportTable(
            "thing", "What a row is.", Array(1...3),
            [
                .label("number", "Which.") { "\($0)" }, .bytes("page", "Of what size.") { _ in ByteCount(4096) },
                .text("remark", "What else.") { _ in "" }, .count("seen", "How often.") { _ in nil },
                .count("freed", "How many.") { $0 },
            ])
        let source = HTMLTable(table).plain.source
        #expect(source.contains("What a row is. In every row: page 4 KiB.</caption>"))
        #expect(source.contains(">freed</th>") && source.matches(of: /scope="col"/).count == 2)
    }

    @Test("Of many points in a line those stay that stand out")
    func curves() {
        let points = (0..<100_000).map { (x: Double($0), y: $0 == 70_707 ? 99.0 : 1) }
        let corners = LineFigure.Series(style: "rss", points: points).corners
        #expect(corners.contains { $0 == (70_707, 99) } && corners.count < 1000)
    }

    @Test("Labels stay where they belong while there is room, and else apart and within bounds")
    func labels() {
        #expect(LabelPlacement.spread([(10, 10), (50, 10)], in: 0...100) == [10, 50])
        #expect(LabelPlacement.spread([(10, 10), (12, 10), (99, 10)], in: 0...100) == [10, 20, 95])
        #expect(LabelPlacement.spread([(90, 40), (95, 40)], in: 0...100) == [40, 80])
        #expect(LabelPlacement.spread([], in: 0...1) == [])
    }

    @Test("Decimals are rounded, signed and bounded")
    func decimals() {
        #expect(Format.decimal(-0.0004, 3) == "0.000")
        #expect(Format.decimal(-1.5, 0) == "-2")
        #expect(Format.decimal(1.0005, 2) == "1.00")
        #expect(Format.decimal(12.50, 2, isTrimmed: true) == "12.5")
        #expect(Format.decimal(1e300, 2, isTrimmed: true) == "1e+300")
    }

    @Test("What is known at points alone is level until the next point, of thousands, too")
    func steps() {
        let points = [(x: 0.0, y: 4.0), (x: 2.0, y: 1.0), (x: 3.0, y: 5.0)]
        let stepped = LineFigure.Series(style: "frames", points: points).corners
        #expect(stepped.map(\.x) == [0, 2, 2, 3, 3] && stepped.map(\.y) == [4, 4, 1, 1, 5])
        let many = (0..<4000).map { (x: Double($0), y: Double($0 % 7)) }
        let corners = LineFigure.Series(style: "rss", points: many).corners
        #expect(corners.count < 900 && Set(corners.map(\.y)) == [0, 6])
        #expect(zip(corners, corners.dropFirst()).allSatisfy { $0.x == $1.x || $0.y == $1.y })
    }
}
