import Testing

@testable import VmemmapTool

@Suite("Layout for a terminal")
struct StyleTests {
    private static func style(
        _ isTerminal: Bool, columns: Int? = nil, color: Style.ColorChoice = .auto, _ environment: [String: String] = [:]
    ) -> Style {
        Style(
            for: Style.Place(isTerminal: isTerminal, columns: columns, environment: environment), color: color)
    }

    @Test("COLUMNS decides the width, else the terminal, else 80; a pipe has none")
    func width() {
        #expect(Self.style(false).width == nil)
        #expect(Self.style(true).width == 80)
        #expect(Self.style(true, columns: 0).width == 80)
        #expect(Self.style(true, columns: 132).width == 132)
        #expect(Self.style(true, columns: 132, ["COLUMNS": "100"]).width == 100)
        #expect(Self.style(false, ["COLUMNS": "100"]).width == 100)
        #expect(Self.style(true, columns: 132, ["COLUMNS": "many"]).width == 132)
        #expect(Self.style(true, columns: 3).width == Style.leastWidth)
    }

    @Test("Colour: on a terminal, unless NO_COLOR is set; always and never have the last word")
    func color() {
        #expect(Self.style(true).isColored)
        #expect(!Self.style(false).isColored)
        #expect(!Self.style(true, ["NO_COLOR": "1"]).isColored)
        #expect(Self.style(true, ["NO_COLOR": ""]).isColored)
        #expect(!Self.style(true, ["TERM": "dumb"]).isColored)
        #expect(Self.style(false, color: .always, ["NO_COLOR": "1"]).isColored)
        #expect(!Self.style(true, color: .never).isColored)
    }

    @Test("Without colour a verdict is plain text")
    func plain() {
        #expect(Style.plain.mark(true) + Style.plain.mark(false) == "ok    FAIL  ")
        #expect(Self.style(true).mark(false) == "\u{1b}[1;31mFAIL\u{1b}[0m  ")
        #expect(Self.style(true).note("") == "")
    }

    @Test("Prose is broken at spaces; what follows hangs under the second column")
    func wrapping() {
        let style = Style(width: 40, isColored: false, isVerbose: false)
        #expect(style.wrapped(["short"]) == ["short"])
        #expect(
            style.wrapped(["host    Linux 6.18 x86_64, 4 KiB pages, 2 processors, root"]) == [
                "host    Linux 6.18 x86_64, 4 KiB pages,", "        2 processors, root",
            ])
        #expect(
            style.wrapped(["        saves 12.00 MiB gross, 11.00 MiB net of it"]) == [
                "        saves 12.00 MiB gross, 11.00 MiB", "        net of it",
            ])
        #expect(
            style.wrapped(["frames behind the region: 12 345, 1 024 others"]).first
                == "frames behind the region: 12 345, 1 024")
        #expect(style.wrapped(["the frames behind the region were 12 345 678"]).last == "12 345 678")
        // A word that fits no line stays whole.
        let word = String(repeating: "x", count: 60)
        #expect(style.wrapped(["a \(word) b"]) == ["a", word, "b"])
        #expect(Style.plain.wrapped([word + " " + word]) == [word + " " + word])
    }

    @Test("Escape sequences take no columns")
    func escapes() {
        let style = Style(width: 40, isColored: true, isVerbose: false)
        let line = style.mark(true) + String(repeating: "x", count: 34)
        #expect(style.wrapped([line]) == [line])
    }

    @Test("Notes are filled anew where a line is too wide, paragraph by paragraph")
    func notes() {
        let style = Style(width: 40, isColored: false, isVerbose: false)
        let lines = ["one two three four five six seven eight nine", "ten", "", "eleven"]
        #expect(style.notes(lines) == ["one two three four five six seven eight", "nine ten", "", "eleven"])
        #expect(Style.plain.notes(lines) == lines)
    }

    @Test("A table too wide stands in several, each with the first column", arguments: [40, 50, 60, 80])
    func table(width: Int) {
        var table = TextTable(headings: ["step"] + (1...9).map { "heading \($0)\nof two lines" })
        table.add(["optimized"] + (1...9).map { "\($0 * 11111)" })
        let style = Style(width: width, isColored: false, isVerbose: false)
        let lines = table.lines(style)
        #expect(lines.allSatisfy { $0.count <= width })
        for number in 1...9 { #expect(lines.count { $0.contains("\(number * 11111)") } == 1) }
        let blocks = lines.split(separator: "", omittingEmptySubsequences: false)
        #expect(blocks.count > 1)
        #expect(blocks.allSatisfy { $0.last?.hasPrefix("optimized ") == true })
        #expect(table.lines(.plain).count == 3)
    }

    @Test("Where there is no room, columns are left out that are dispensable, in their order; verbose keeps them")
    func dispensable() {
        var table = TextTable(
            headings: ["step", "first", "second\nof two", "third"], dispensable: [3, 2])
        table.add(["a step of thirty-two characters.", "1", "2", "3"])
        func headings(_ width: Int?, isVerbose: Bool = false) -> String? {
            table.lines(Style(width: width, isColored: false, isVerbose: isVerbose)).dropFirst().first
        }
        let step = "step" + String(repeating: " ", count: 28)
        #expect(headings(nil) == step + "  first  of two  third")
        #expect(headings(54) == step + "  first  of two  third")
        #expect(headings(53) == step + "  first  of two")
        #expect(table.lines(Style(width: 46, isColored: false, isVerbose: false)).first == step + "  first")
        #expect(table.lines(Style(width: 46, isColored: false, isVerbose: true)).joined().contains("third"))
    }

    @Test("Progress tells how far, how fast and how long")
    func progress() {
        func line(_ done: Int, _ nanoseconds: Int) -> String {
            ProgressText.line("optimized", done, of: 65_536, unit: "huge pages", nanoseconds: nanoseconds)
        }
        #expect(line(0, 2_000_000_000) == "optimized: 0 of 65 536 huge pages")
        #expect(line(4096, 2_000_000_000) == "optimized: 4 096 of 65 536 huge pages, 2 048/s, 30.0 s to go")
        #expect(line(65_536, 16_000_000_000) == "optimized: 65 536 of 65 536 huge pages, 4 096/s")
        #expect(line(3, 2_000_000_000).contains(", 1.5/s, "))
        let second = 1_000_000_000
        #expect(ProgressText.line("race", nanoseconds: second / 2, of: 3 * second) == "race: 0.5 of 3.0 s, 2.5 s to go")
        #expect(
            ProgressText.line("stress", nanoseconds: 4 * second, of: 3 * second, rate: "7 cycles/s")
                == "stress: 3.0 of 3.0 s, 7 cycles/s")
    }
}
