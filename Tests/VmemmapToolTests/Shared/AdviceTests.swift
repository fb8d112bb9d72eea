import FoundationEssentials
import Glibc
import HostMemory
import SystemPackage
import Testing

/// What a message advises works: each is taken at its word.
@Suite("Advice in messages")
struct AdviceTests {
    @Test(
        "The number of huge pages that a refusal under a limit names does run under it",
        arguments: [
            ("ulimit -v 220000", ["demo"], "RLIMIT_AS (ulimit -v)"),
            ("ulimit -v 300000", ["bench", "--pairs", "1", "--backing", "memfd"], "RLIMIT_AS (ulimit -v)"),
            ("ulimit -v 204800", ["bench", "--pairs", "1"], "RLIMIT_AS (ulimit -v)"),
            ("ulimit -v 266240", ["savings", "--at-boot"], "RLIMIT_AS (ulimit -v)"),
            ("ulimit -d 180000", ["demo"], "RLIMIT_DATA (ulimit -d)"),
            ("ulimit -d 260000", ["stress", "--duration", "300ms"], "RLIMIT_DATA (ulimit -d)"),
        ])
    func limits(_ limit: String, _ arguments: [String], _ source: String) async throws {
        try await follow(arguments, source) { try await Command.run("/bin/sh", Command.limited(limit, $0)) }
    }

    @Test(
        "So does the one under a memory cgroup's limit", .enabled(if: geteuid() == 0, "only root makes a cgroup"),
        arguments: [
            (56, ["demo"]), (56, ["bench", "--pairs", "1", "--backing", "memfd"]),
            (96, ["stress", "--duration", "300ms"]),
        ])
    func cgroup(_ mebibytes: Int, _ arguments: [String]) async throws {
        let cgroup = try MemoryCgroup(bytes: mebibytes << 20)
        try await follow(arguments, "the memory cgroup's limit of \(mebibytes << 10) KiB") {
            try await Command.run("/bin/sh", Command.limited("echo $$ > \(cgroup.path)/cgroup.procs", $0))
        }
    }

    private func follow(
        _ arguments: [String], _ source: String, _ run: ([String]) async throws -> Command.Outcome
    ) async throws {
        let refused = try await run(arguments + ["--pages", "9999999"])
        #expect(refused.code == 3, "\(refused)")
        #expect(
            refused.error.contains("but \(source) leaves ") || refused.error.contains("but half of \(source) leaves "))
        let fits = try #require(refused.error.firstMatch(of: /use --pages (\d+)/)?.output.1)
        let outcome = try await run(arguments + ["--pages", String(fits)])
        #expect(outcome.code == 0, "\(outcome)")
    }

    @Test(
        "A limit under which not even the first huge page fits is a refusal, and nothing that ends in malloc",
        arguments: ["ulimit -d 20000", "ulimit -d 60000", "ulimit -v 130000"], ["demo", "hold", "bench", "stress"])
    func nothingFits(_ limit: String, _ command: String) async throws {
        let outcome = try await Command.run("/bin/sh", Command.limited(limit, [command, "--pages", "4"]))
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.error.contains("not one fits; raise that limit by "), "\(outcome)")
    }

    @Test(
        "Raised by what the message says, the limit is high enough",
        arguments: [("ulimit -d ", 20_000), ("ulimit -v ", 130_000), ("ulimit -d ", 180_000)], ["demo", "stress"])
    func raised(_ limit: (word: String, kibibytes: Int), _ command: String) async throws {
        let arguments = [command, "--pages", "2000"] + (command == "stress" ? ["--duration", "200ms"] : [])
        let refused = try await Command.run("/bin/sh", Command.limited("\(limit.word)\(limit.kibibytes)", arguments))
        let digits = try #require(refused.error.firstMatch(of: /raise that limit by ([\d ]+) MiB/)?.output.1)
        let more = try #require(Int(digits.filter(\.isNumber))) << 10
        let outcome = try await Command.run(
            "/bin/sh", Command.limited("\(limit.word)\(limit.kibibytes + more)", arguments))
        #expect(outcome.code == 0, "\(outcome)")
    }

    @Test(
        "A limit that leaves the kernel's own data no room is refused by name",
        arguments: ["ulimit -v 40000", "ulimit -d 6144", "ulimit -d 8192"])
    func kernelData(_ limit: String) async throws {
        let outcome = try await Command.run("/bin/sh", Command.limited(limit, ["kernel"]))
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.error.contains("\(limit.prefix(9))) leaves "), "\(outcome)")
        #expect(outcome.error.contains("raise that limit"), "\(outcome)")
    }

    @Test(
        "Too few descriptors: refused with the limit's name, and no internal error; with more of them it runs",
        arguments: [
            ["bench", "--pages", "16", "--pairs", "1"], ["demo", "--pages", "2"],
            ["stress", "--pages", "4", "--duration", "200ms"], ["inspect", "--pages", "2"],
        ])
    func descriptors(_ arguments: [String]) async throws {
        for limit in [4, 5, 6] {
            let refused = try await Command.run("/bin/sh", Command.limited("ulimit -n \(limit)", arguments))
            // Six are enough for some.
            if refused.code == 0 { continue }
            #expect(refused.code == 3, "\(refused)")
            #expect(refused.error.contains("; close files or raise the limit (ulimit -n)"), "\(refused)")
        }
        let outcome = try await Command.run("/bin/sh", Command.limited("ulimit -n 64", arguments))
        #expect(outcome.code == 0, "\(outcome)")
    }

    @Test(
        "Too small a stack is refused with the limit's name",
        arguments: [["demo", "--pages", "8"], ["--version"], ["stress", "--duration", "200ms", "--pages", "8"]])
    func stack(_ arguments: [String]) async throws {
        for kibibytes in [32, 64, 128] {
            let refused = try await Command.run("/bin/sh", Command.limited("ulimit -s \(kibibytes)", arguments))
            #expect(refused.code == 3, "\(refused)")
            #expect(refused.error.contains("at least 256 are needed: raise the limit (ulimit -s)"), "\(refused)")
        }
        let outcome = try await Command.run("/bin/sh", Command.limited("ulimit -s 256", arguments))
        #expect(outcome.code == 0, "\(outcome)")
    }

    @Test(
        "A thread whose stack has no room is put down to the limit on memory",
        arguments: [["stress", "--duration", "200ms"], ["bench", "--pairs", "1"]])
    func threadStack(_ arguments: [String]) async throws {
        let outcome = try await Command.run("/bin/sh", Command.limited("ulimit -d 8000", arguments))
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.error.contains("ulimit -d") && !outcome.error.contains("ulimit -u"), "\(outcome)")
    }

    @Test("Threads that are refused are put down to their limit")
    func threads() async throws {
        // The shell's own ulimit has another letter for it in every shell.
        let outcome = try await Command.asOrdinaryUser(
            "/bin/sh", Command.limited("prlimit --pid $$ --nproc=1", ["demo", "--pages", "1"]))
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.error.contains("pthread_create: ") && outcome.error.contains("(ulimit -u, "), "\(outcome)")
    }
}

/// A memory cgroup of the test's own, of either version; removed when it is done with.
private final class MemoryCgroup {
    let path: String

    init(bytes: Int) throws {
        let name = "vmemmap-test-\(UUID().uuidString)"
        let version1 = "/sys/fs/cgroup/memory", version2 = "/sys/fs/cgroup"
        let controllers = (try? Repository.text(of: "\(version2)/cgroup.subtree_control")) ?? ""
        let isVersion2 = controllers.split(whereSeparator: \.isWhitespace).contains("memory")
        path = "\(isVersion2 ? version2 : version1)/\(name)"
        let limit = isVersion2 ? "memory.max" : "memory.limit_in_bytes"
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            let file = try FileDescriptor.open(FilePath("\(path)/\(limit)"), .writeOnly)
            try file.closeAfter { _ = try file.writeAll(Array("\(bytes)".utf8)) }
        } catch {
            Self.remove(path)
            try Test.cancel("no memory cgroup can be made here: \(error)")
        }
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        // SAFETY: the path is a C string that lives for the call.
        _ = unsafe rmdir(path)
    }
}
