import FoundationEssentials
import SystemPackage
import Testing

@Suite("--export-kpageflags")
struct PageFlagsOptionTests {
    private static let head: UInt64 = 1 << 15
    private static let tail: UInt64 = 1 << 16
    private static let huge: UInt64 = 1 << 17

    @Test(
        "A word a frame, in the machine's byte order and with no header: a head, then tails, all of them huge",
        arguments: ["first-tail", "head", "shared-tail"])
    func file(_ scheme: String) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("flags")
        let outcome = try await Command.run(["demo", "--pages", "3", "--scheme", scheme, "--export-kpageflags", path])
        #expect(outcome.code == 0, "\(outcome)")
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        try #require(bytes.count == 3 * 512 * 8)
        for frame in 0..<3 * 512 {
            let word = bytes[frame * 8..<frame * 8 + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let expected = (frame.isMultiple(of: 512) ? Self.head : Self.tail) | Self.huge
            #expect(UInt64(littleEndian: word) == expected, "frame \(frame)")
        }
        #expect(try folder.contents() == ["flags"])
    }

    @Test("It goes to a file that can be written, and nowhere else")
    func refused() async throws {
        let outcome = try await Command.run(["demo", "--export-kpageflags", "-"])
        #expect(outcome.code == 64)
        #expect(outcome.error.contains("page-types reads it at positions"))
        #expect(try await Command.run(["hold", "--export-kpageflags", "/nowhere/at/all"]).code == 64)
    }
}
