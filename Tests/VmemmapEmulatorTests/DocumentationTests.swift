import FoundationEssentials
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

// The article's code, to the letter, from here:
/// What 64 huge pages of 2 MiB give back on this host:
/// frames planned and frames measured.
func saving() throws -> (planned: PageCount, measured: PageCount)? {
    guard
        let geometry = Geometry(
            basePageSize: HostLimits.pageSize,
            hugePageSize: .twoMebibytes)
    else { return nil }
    let plan = try MappingPlan(
        geometry: geometry, scheme: .sharedTail,
        hugePages: HugePageCount(64), tailFrames: .auto, cost: .current())
    let region = try VmemmapRegion(plan)
    let all = region.layout.allHugePages

    let before = try FrameCount.count(in: region.range).distinct
    let walkers = try Walkers(2, over: region, seed: 1)
    try region.optimize(all, writers: .excluded)
    let after = try FrameCount.count(in: region.range).distinct
    try region.restore(all, writers: .excluded)
    precondition(walkers.stop().wrong == 0)

    return (plan.framesFreed, before - after)
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
        let article = try Self.text("Sources/VmemmapEmulator/Documentation.docc/WritingAnExperiment.md")
        let source = try Self.text("Tests/VmemmapEmulatorTests/DocumentationTests.swift")
        let code = try #require(article.split(separator: "```swift\n").last?.split(separator: "```").first)
        let shown = code[try #require(code.firstIndex(of: "/"))...]
        #expect(source.contains("from here:\n" + shown + "// To here."))
        let saving = try #require(try saving())
        #expect(saving.planned == saving.measured)
        #expect(saving.measured > .zero)
    }

    @Test(
        "Drawings say how large they are: a browser takes 300 pixels otherwise", arguments: ["mapping", "mapping~dark"])
    func drawings(_ name: String) throws {
        let drawing = try Self.text("Sources/VmemmapEmulator/Documentation.docc/Resources/\(name).svg")
        let root = try #require(drawing.split(separator: ">").first)
        #expect(root.contains(" width=\"760\" height=\"330\" viewBox=\"0 0 760 330\""))
    }

    @Test("Each test suite that the promises name exists")
    func promises() throws {
        let article = try Self.text("Sources/VmemmapEmulator/Documentation.docc/Promises.md")
        let named = Set(article.matches(of: /`([A-Z][A-Za-z]*Tests)`/).map { String($0.output.1) })
        #expect(named.count > 10)
        let folder = Self.repository.appending("Tests").string
        let found = try FileManager.default.subpathsOfDirectory(atPath: folder)
        for suite in named {
            #expect(found.contains { $0.hasSuffix("/\(suite).swift") }, "\(suite)")
        }
    }
}
