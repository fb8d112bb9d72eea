import FoundationEssentials
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

// The article's code, to the letter, from here:
/// What 64 huge pages of 2 MiB give back on this host:
/// frames planned and frames measured.
func saving() throws -> (planned: PageCount, measured: PageCount) {
    let region = try VmemmapRegion(
        hugePages: 64, of: .twoMebibytes, scheme: .sharedTail)
    let before = try region.memory().frames
    var after = before
    let readers = try region.walk {
        try region.optimize()
        after = try region.memory().frames
        try region.restore()
    }
    precondition(readers.wrong == 0)
    return (region.plan.framesFreed, before - after)
}
// To here.

@Suite("The documentation")
struct DocumentationTests {
    /// The folder of the package: this file lies three levels below it.
    private static let repository: FilePath = {
        var path = FilePath(#filePath)
        for _ in 0..<3 { path.removeLastComponent() }
        return path
    }()

    private static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: repository.appending(path).string)), as: UTF8.self)
    }

    @Test("The experiment that the article shows is compiled, runs, and measures what it plans")
    func experiment() throws {
        let article = try Self.text("Sources/VmemmapEmulator/Documentation.docc/WriteAnExperiment.md")
        let source = try Self.text("Tests/VmemmapEmulatorTests/DocumentationTests.swift")
        let code = try #require(article.split(separator: "```swift\n").last?.split(separator: "```").first)
        let shown = code[try #require(code.firstIndex(of: "/"))...]
        #expect(source.contains("from here:\n" + shown + "// To here."))
        let found = try saving()
        #expect(found.planned == found.measured)
        #expect(found.measured > .zero)
    }

    @Test(
        "Drawings say how large they are: a browser takes 300 pixels otherwise", arguments: ["mapping", "mapping~dark"])
    func drawings(_ name: String) throws {
        let drawing = try Self.text("Sources/VmemmapEmulator/Documentation.docc/Resources/\(name).svg")
        let root = try #require(drawing.split(separator: ">").first)
        #expect(root.contains(" width=\"760\" height=\"330\" viewBox=\"0 0 760 330\""))
    }

    @Test("Each test suite that the guarantees name exists")
    func guarantees() throws {
        let article = try Self.text("Sources/VmemmapEmulator/Documentation.docc/Guarantees.md")
        let named = Set(article.matches(of: /`([A-Z][A-Za-z]*Tests)`/).map { String($0.output.1) })
        #expect(named.count > 10)
        let folder = Self.repository.appending("Tests").string
        let found = try FileManager.default.subpathsOfDirectory(atPath: folder)
        for suite in named {
            #expect(found.contains { $0.hasSuffix("/\(suite).swift") }, "\(suite)")
        }
    }

    @Test("Each file and folder that the README, CONTRIBUTING and the articles name exists")
    func paths() throws {
        let articles = "Sources/VmemmapEmulator/Documentation.docc"
        let folder = Self.repository.appending(articles).string
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".md") }
        for file in ["README.md", "CONTRIBUTING.md"] + names.map({ "\(articles)/\($0)" }) {
            let text = try Self.text(file)
            let code = text.matches(of: /`((?:Sources|Tests|scripts|CSystemShims|\.ci)[A-Za-z0-9\/._~-]*)`/)
            let links = text.matches(of: /(?:\]\(|\]: )([A-Za-z][A-Za-z0-9\/._~-]*\.(?:md|svg|png))/)
            for path in code.map(\.output.1) + links.map(\.output.1) {
                let place = Self.repository.appending(String(path)).string
                #expect(FileManager.default.fileExists(atPath: place), "\(file): \(path)")
            }
        }
    }
}
