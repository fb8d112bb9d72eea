import Testing

@testable import HostMemory

@Suite("Fields of /proc")
struct ProcFieldsTests {
    @Test("Both forms are fields: a colon and spaces, or one space")
    func bothForms() {
        let fields = ProcFields("MemTotal:       24684096 kB\nnr_free_pages 5915\nThreads:\t9\n")
        #expect(fields.kibibytes("MemTotal") == .kibibytes(24_684_096))
        #expect(fields.number("nr_free_pages") == 5915)
        #expect(fields.number("Threads") == 9)
        #expect(fields.text("MemTotal") == "24684096 kB")
    }

    @Test("The value keeps its own colons and spaces")
    func valueWithColons() {
        let fields = ProcFields("State:\tR (running)\nName:\ta: b\nNSpid:\t4202\t17\n")
        #expect(fields.text("State") == "R (running)")
        #expect(fields.text("Name") == "a: b")
        #expect(fields.text("NSpid") == "4202\t17")
        #expect(fields.number("NSpid") == nil)
    }

    @Test(
        "Text without fields has none",
        arguments: ["", "\n", "\n\n\n", "word", "Key:", "Key: ", "Key:\t \t", ":", " ", "\u{0}", "\u{FFFD}\u{FFFD}"])
    func noFields(text: String) {
        let fields = ProcFields(text)
        #expect(fields.text("Key") == nil)
        #expect(fields.number("word") == nil)
        #expect(fields.kibibytes("") == nil)
    }

    @Test("A key is the whole key and not the start of one")
    func wholeKey() {
        let fields = ProcFields("Pss_Anon:  5 kB\nPss_File: 6 kB\n")
        #expect(fields.text("Pss") == nil)
        #expect(fields.text("Pss_Anon:") == nil)
    }

    @Test(
        "A size needs digits, the unit and room in 64 bits",
        arguments: [
            "5", "5kB", "5 KB", "5 MB", "kB", " kB", "x kB", "5.0 kB", "5 kB kB", "0x5 kB", "9007199254740992 kB",
            "9223372036854775807 kB", "9223372036854775808 kB", "99999999999999999999999 kB",
        ])
    func badSizes(value: String) {
        #expect(ProcFields("Rss: \(value)").kibibytes("Rss") == nil)
    }

    @Test("A size below zero is none: /proc never writes one")
    func negativeSize() {
        #expect(ProcFields("Rss: -5 kB").kibibytes("Rss") == nil)
    }

    @Test("The largest size that fits is taken")
    func largestSize() {
        #expect(ProcFields("Rss: 9007199254740991 kB").kibibytes("Rss") == ByteCount(Int.max - 1023))
        #expect(ProcFields("Rss: 0 kB").kibibytes("Rss") == .zero)
    }

    @Test("A number beyond 64 bits is none", arguments: ["9223372036854775808", "5 6", "1e3", "ff", "5 kB"])
    func badNumbers(value: String) {
        #expect(ProcFields("pages \(value)").number("pages") == nil)
    }
}
