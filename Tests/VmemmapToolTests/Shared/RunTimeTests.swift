import ArgumentParser
import Testing

@testable import VmemmapTool

@Suite("Times on the command line")
struct RunTimeTests {
    @Test(
        "Whole numbers of units, the larger first; seconds without one",
        arguments: [
            ("90", 90_000), ("5s", 5000), ("300ms", 300), ("2h30m", 9_000_000), ("1d", 86_400_000),
            ("1d2h3m4s5ms", 93_784_005), ("0h1s", 1000), ("1m", 60_000), ("292y", nil), ("", nil), ("0", nil),
            ("0s", nil), ("-1s", nil), ("1.5h", nil), ("30m2h", nil), ("1h1h", nil), ("1h30", nil), ("h", nil),
            ("5 s", nil), ("1S", nil), ("1s ", nil), ("\u{661}s", nil), ("106752d", nil),
            ("106751d", 9_223_286_400_000),
            ("99999999999999999999s", nil),
        ] as [(String, Int?)])
    func parse(_ text: String, _ milliseconds: Int?) {
        #expect((try? RunTime.parse(text))?.nanoseconds == milliseconds.map { $0 * 1_000_000 })
    }

    @Test("What is none is told with what may stand there")
    func error() {
        #expect(throws: ValidationError.self) { try RunTime.parse("1h1h") }
        #expect { try RunTime.parse("soon") } throws: { "\($0)".contains("2h30m, 1d; s if nothing follows") }
    }
}
