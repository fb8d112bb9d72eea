import Glibc
import SystemPackage
import Testing

@Suite("Exports and public parsers")
struct ExportParsersTests {
    /// A Python with jsonschema and prometheus_client.
    // SAFETY: nobody in this process sets variables; the text is copied at once.
    static let python = unsafe getenv("VMEMMAP_EXPORT_PYTHON").map { unsafe String(cString: $0) }

    @Test(
        "JSON keeps to the schema that ships with the docs; CSV and Prometheus text parse, and agree",
        .enabled(if: python != nil, "needs jsonschema and prometheus_client from PyPI: scripts/test gets them"))
    func parse() async throws {
        let python = FilePath(try #require(Self.python))
        let script = Command.repository + "/scripts/check-exports"
        let outcome = try await Command.run(python, [script, Command.binary.string])
        #expect(outcome.code == 0, "\(outcome)")
    }
}
