import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage
import Testing

@Suite("vmemmap inspect")
struct InspectCommandTests {
    @Test("A region that is being changed gets no verdict, and surely not that it is wrong")
    func moving() async throws {
        let script = """
            "$0" demo --race --race-duration 3 --pages 64 -q > /dev/null & sleep 0.5
            for look in 1 2 3 4; do "$0" inspect --pid $! > /dev/null 2> error; echo "$?"; done; wait
            """
        let outcome = try await Command.shell(script)
        // 0: the race stood still for a look; 3: it did not, or was over.
        let codes = outcome.output.split(separator: "\n")
        #expect(codes.count == 4 && codes.allSatisfy { $0 == "0" || $0 == "3" }, "\(outcome)")
    }

    @Test(
        "A region that no process can have is refused",
        arguments: [
            "0x1000+9223372036854775807", "0x1000+9223372036854771712", "0+4096", "18446744073709547520+4096",
            "0x7fffffffffffe000+4096", "9223372036854771712+4096",
        ])
    func impossible(_ place: String) async throws {
        let outcome = try await Command.run(["inspect", "--pid", "1", "--region", place])
        #expect(outcome.code == 64 || outcome.code == 3 || outcome.code == 4, "\(outcome)")
        #expect(!outcome.error.isEmpty)
    }

    @Test(
        "Seen from outside, a hold of its own is what the scheme says",
        arguments: [
            [], ["--scheme", "head", "--restored"],
            ["--backing", "memfd", "--scheme", "shared-tail", "--tail-frames", "7"],
            ["--page-size", "1G", "--pages", "1", "--tail-frames", "16", "--backing", "memfd"],
        ])
    func own(_ arguments: [String]) async throws {
        let outcome = try await Command.run(["inspect"] + arguments)
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.hasSuffix("7 checks passed\n"))
        #expect(outcome.output.contains("the memory file holds what the scheme says: memfd bytes "))
        #expect(!outcome.output.contains("not measured"))
        #expect(outcome.error.isEmpty)
    }

    @Test("A running hold is found by its number, or by what it says of itself; a wrong claim of it is refuted")
    func running() async throws {
        try await holding { pid, place in
            let found = try await Command.run(["inspect", "--pid", pid])
            #expect(found.code == 0, "\(found)")
            #expect(found.output.contains("16 x 2.00 MiB huge pages, first-tail scheme, anonymous backing"))
            #expect(found.output.contains("region  \(place), "))
            let said = try await Command.run(["inspect", "--pid", pid, "--region", place])
            #expect(said.code == 0, "\(said)")
            let refuted = try await Command.run(["inspect", "--pid", pid, "--scheme", "head"])
            #expect(refuted.code == 2, "\(refuted)")
            #expect(refuted.output.contains("        huge_pages_out_of_scheme: expected 0, measured 16\n"))
            let impossible = try await Command.run(["inspect", "--pid", pid, "--tail-frames", "4000"])
            #expect(impossible.code == 3 && impossible.error.contains("give --tail-frames 6 at most"), "\(impossible)")
            let odd = ["inspect", "--pid", pid, "--region", "0x1001+524288"]
            let claim = ["--page-size", "2M", "--scheme", "head", "--backing", "memfd", "--tail-frames", "1"]
            let askew = try await Command.run(odd + claim)
            #expect(askew.code == 3 && askew.error.contains("does not start at a page"), "\(askew)")
            let elsewhere = try await Command.run(["inspect", "--pid", pid, "--region", "0x1000+5000"])
            #expect(elsewhere.code == 3)
            #expect(elsewhere.error.contains("give --page-size, --scheme, --backing and --tail-frames"))
        }
    }

    @Test(
        "Another user's process is refused, with who may look",
        .enabled(if: geteuid() == 0, "only root can become another"))
    func refused() async throws {
        let folder = try TemporaryFolder()
        let copy = folder.path.appending("vmemmap")
        _ = try await Command.run("/bin/chmod", ["755", folder.path.string])
        _ = try await Command.run("/bin/cp", [Command.binary.string, copy.string])
        let asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", copy.string, "inspect"]
        try await holding { pid, _ in
            let outcome = try await Command.run("/usr/bin/setpriv", asNobody + ["--pid", pid])
            #expect(outcome.code == 4, "\(outcome)")
            #expect(outcome.error.contains("process \(pid) belongs to user 0, and this is user 65534: "))
            #expect(outcome.error.hasSuffix("run inspect as that user or as root\n"))
        }
        // What is one's own needs no privilege.
        let own = try await Command.run("/usr/bin/setpriv", asNobody)
        #expect(own.code == 0, "\(own)")
        #expect(own.output.contains("pagemap (file offsets)"))
    }

    @Test(
        "What is not there is said in one line, with the way out",
        arguments: [
            (["--pid", "2147483647"], 3, "there is no process 2147483647"),
            (["--pages", "99999999"], 3, "99 999 999 huge pages"),
        ])
    func missing(_ arguments: [String], _ code: Int32, _ reason: String) async throws {
        let outcome = try await Command.run(["inspect"] + arguments)
        #expect(outcome.code == code, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.contains(reason))
        #expect(outcome.error.split(separator: "\n").count == 1)
    }

    @Test(
        "A tail frames that no region can have is a usage error of inspect's own",
        arguments: [
            (["--tail-frames", "7", "--scheme", "head"], "--tail-frames 7 is nothing for the head scheme"),
            (["--tail-frames", "9999"], "--tail-frames must be from 1 to 6 here, not 9999."),
            (["--pid", "1", "--tail-frames", "5000"], "--tail-frames must be from 1 to 4095 here, not 5000."),
            (["--tail-frames", "auto"], "it must be a whole number of frames from 1 to"),
        ])
    func tailFrames(_ arguments: [String], _ reason: String) async throws {
        let outcome = try await Command.run(["inspect"] + arguments)
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error.contains(reason) && outcome.error.contains("Usage: vmemmap inspect"), "\(outcome)")
    }

    @Test("A process that holds no vmemmap is refused: a shell, which this test's own process may not stand for")
    func nothingHeld() async throws {
        let script = #""$0" inspect --pid $$; exit $?"#
        let outcome = try await Command.run("/bin/sh", ["-c", script, Command.binary.string])
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.error.contains("has 0 regions of a vmemmap, 1 is needed"))
    }

    private struct Held: Decodable {
        let pid: Int32
        let regionStart: String
        let regionLengthBytes: Int
    }

    /// Runs `body` while a hold runs, with its number and the place of its region.
    private func holding(_ body: @Sendable (_ pid: String, _ place: String) async throws -> Void) async throws {
        let folder = try TemporaryFolder()
        let file = folder.path("hold.json")
        let record = try await Subprocess.run(
            .path(Command.binary), arguments: ["hold", "--pages", "16", "--touch", "--export-json", file],
            input: .none, output: .string(limit: 4096), error: .string(limit: 4096)
        ) { execution in
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            var held: Held?
            for _ in 0..<500 where held == nil {
                held = (try? Data(contentsOf: URL(filePath: file))).flatMap { try? decoder.decode(Held.self, from: $0) }
                if held == nil { try await Task.sleep(for: .milliseconds(20)) }
            }
            defer { try? execution.send(signal: .terminate) }
            let found = try #require(held)
            try await body("\(found.pid)", "\(found.regionStart)+\(found.regionLengthBytes)")
        }
        #expect(record.terminationStatus == .exited(0))
    }
}
