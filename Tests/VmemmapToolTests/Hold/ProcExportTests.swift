import FoundationEssentials
import SystemPackage
import Testing

@Suite("hold --export-proc")
struct ProcExportTests {
    /// Counts heads, tails and huge pages of a folder that stands for /proc: a script, as anybody would write one.
    private static let reader = """
        import struct, sys
        def words(name):
            data = open(sys.argv[1] + "/" + name, "rb").read()
            return struct.unpack("=%dQ" % (len(data) // 8), data)
        flags = words("kpageflags")
        bit = lambda n: sum(word >> n & 1 for word in flags)
        print(len(flags), bit(15), bit(16), bit(17), len(words("kpagecount")), sum(words("kpagecount")),
              len(words("kpagecgroup")), sum(words("kpagecgroup")))
        """

    private static let python = ["/usr/bin/python3", "/usr/local/bin/python3"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test(
        "A script finds the heads, tails and huge pages, and nobody who maps them",
        .enabled(if: python != nil, "there is no python3"))
    func script() async throws {
        for (options, expected) in [
            (["--pages", "3", "--scheme", "head"], "1536 3 1533 1536 1536 0 1536 0"),
            (["--pages", "2", "--scheme", "device-dax"], "1024 2 1022 0 1024 0 1024 0"),
            (
                ["--pages", "2", "--arch", "arm64-64k", "--scheme", "shared-tail"],
                "16384 2 16382 16384 16384 0 16384 0"
            ),
        ] {
            let folder = try TemporaryFolder()
            let held = try await Command.run(
                ["hold", "--until-input-ends", "--export-proc", folder.path.string] + options)
            #expect(held.code == 0, "\(held)")
            #expect(try folder.contents() == ["kpagecgroup", "kpagecount", "kpageflags"])
            let outcome = try await Command.run(FilePath(Self.python ?? ""), ["-c", Self.reader, folder.path.string])
            #expect(outcome.output == expected + "\n", "\(options): \(outcome)")
        }
    }

    /// The kernel's own program, which scripts/page-types builds.
    private static let pageTypesProgram = [Command.repository + "/.build/page-types", "/usr/bin/page-types"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    @Test(
        "The kernel's page-types finds a head and its tails for each huge page",
        .enabled(if: pageTypesProgram != nil, "there is no page-types: scripts/page-types builds it"))
    func pageTypes() async throws {
        let noLowFlags = String(repeating: "_", count: 15)
        for (options, isHuge, basePages) in [
            (["--scheme", "head"], true, 512), (["--scheme", "device-dax"], false, 512),
            (["--arch", "arm64-64k", "--scheme", "shared-tail"], true, 8192),
        ] {
            let folder = try TemporaryFolder()
            let held = try await Command.run(
                ["hold", "--until-input-ends", "--pages", "2", "--export-proc", folder.path.string] + options)
            #expect(held.code == 0, "\(held)")
            let outcome = try await Command.run(
                FilePath(Self.pageTypesProgram ?? ""), ["-F", folder.path("kpageflags"), "-l", "-N", "-r"])
            let lines = outcome.output.split(separator: "\n").dropFirst()
            let found = lines.map { String(String($0.reversed().drop { $0 == "_" }).reversed()) }
            let expected = [0, basePages].flatMap { first in
                [(first, 1, isHuge ? "H_G" : "H"), (first + 1, basePages - 1, isHuge ? "_TG" : "_T")].map {
                    "\(String($0, radix: 16))\t\(String($1, radix: 16))\t\(noLowFlags)\($2)"
                }
            }
            #expect(found == expected, "\(options): \(outcome)")
        }
    }

    @Test("The folder must be there, no other export goes to one of its files, and nodes have none")
    func refused() async throws {
        let folder = try TemporaryFolder()
        #expect(try await Command.run(["hold", "--export-proc", "/nowhere/at/all"]).code == 64)
        let same = ["--export-kpageflags", folder.path("kpageflags"), "--export-proc", folder.path.string]
        #expect(try await Command.run(["hold"] + same).code == 64)
        #expect(try await Command.run(["hold", "--nodes", "2", "--export-proc", folder.path.string]).code == 64)
        #expect(try await Command.run(["hold", "--export-proc", ""]).code == 64)
    }

    @Test("A file or a link that is there under one of the names is somebody else's, and stays")
    func foreign() async throws {
        let folder = try TemporaryFolder()
        try folder.write("foreign", to: "kpagecount")
        let file = try await Command.run(["hold", "--until-input-ends", "--export-proc", folder.path.string])
        #expect(file.code == 64 && file.error.contains("kpagecount is there already"), "\(file)")
        #expect(try folder.text("kpagecount") == "foreign" && folder.contents() == ["kpagecount"])
        let other = try TemporaryFolder()
        _ = try await Command.run("/bin/ln", ["-s", folder.path("nothing"), other.path("kpageflags")])
        let link = try await Command.run(["hold", "--until-input-ends", "--export-proc", other.path.string])
        #expect(link.code == 64, "\(link)")
        #expect(try folder.contents() == ["kpagecount"])
    }

    @Test("An altmap is refused with the kernel's reason, and is nothing for HugeTLB")
    func altmap() async throws {
        let refused = try await Command.run(["hold", "--scheme", "device-dax", "--altmap"])
        #expect(refused.code == 4 && refused.error.contains("vmemmap_can_optimize()"), "\(refused)")
        #expect(try await Command.run(["hold", "--altmap"]).code == 64)
        let nodes = ["--nodes", "2", "--scheme", "device-dax", "--altmap"]
        #expect(try await Command.run(["hold"] + nodes).code == 64)
        #expect(try await Command.run(["demo", "--scheme", "device-dax"]).code == 64)
    }
}
