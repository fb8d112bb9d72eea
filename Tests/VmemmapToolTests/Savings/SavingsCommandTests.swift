import HostMemory
import Testing

@Suite("vmemmap plan and savings")
struct SavingsCommandTests {
    @Test("Savings are executed and pass their checks")
    func savings() async throws {
        let outcome = try await Command.run([
            "savings", "--memory", "1G", "--scheme", "shared-tail", "--tail-frames", "auto",
        ])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.hasSuffix("3 checks passed\n"))
    }

    @Test("A forecast needs no room")
    func plan() async throws {
        let outcome = try await Command.run(["plan", "--memory", "512T", "--tail-frames", "auto"])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("with 512.00 TiB in huge pages"))
    }

    @Test(
        "What does not fit is refused with the size that does",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit))
    func shortage() async throws {
        let outcome = try await Command.run(["savings", "--memory", "40G"])
        #expect(outcome.code == 3)
        let size = try #require(outcome.error.firstMatch(of: /--memory (\d+M)/)?.output.1)
        let fits = try await Command.run(["savings", "--memory", String(size), "--dry-run"])
        #expect(fits.code == 0, "\(fits)")
    }

    @Test(
        "Who may not raise the limit is told what there is room for, and with what",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit))
    func notRaised() async throws {
        let outcome = try await Command.asOrdinaryUser(["savings", "--memory", "20G", "--raise-map-limit"])
        #expect(outcome.code == 4, "\(outcome)")
        #expect(outcome.error.hasPrefix("vmemmap: cannot raise vm.max_map_count to "), "\(outcome)")
        #expect(outcome.error.contains("; as root: sysctl vm.max_map_count="), "\(outcome)")
        let ways = try #require(
            outcome.error.firstMatch(of: /, or use --memory (\d+M) or --tail-frames (\d) or --nodes auto\n/))
        for arguments in [["--memory", String(ways.1)], ["--memory", "20G", "--tail-frames", String(ways.2)]] {
            let other = try await Command.run(["savings", "--dry-run"] + arguments)
            #expect(other.code == 0, "\(other)")
        }
    }

    @Test("A dry run with --raise-map-limit plans what takes more mappings than there may be, and changes nothing")
    func dryRunRaising() async throws {
        let before = try HostLimits.maxMapCount()
        let pages = before.rawValue / 8
        let arguments = ["savings", "--memory", "\(2 * pages)M", "--dry-run"]
        let refused = try await Command.run(arguments)
        #expect(refused.code == 3, "\(refused)")
        let planned = try await Command.run(arguments + ["--raise-map-limit"])
        #expect(planned.code == 0, "\(planned)")
        #expect(planned.output.hasSuffix("A dry run: nothing was mapped.\n"))
        #expect(try HostLimits.maxMapCount() == before)
    }

    @Test("A forecast says what of the memory fills no huge page")
    func leftOver() async throws {
        let outcome = try await Command.run(["plan", "--memory", "1500M"])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("Huge pages of 1.00 GiB leave 476.00 MiB of 1.46 GiB over.\n"))
        let small = try await Command.run(["plan", "--memory", "100M"])
        #expect(small.output.contains("100.00 MiB hold no huge page of 1.00 GiB.\n"))
    }

    @Test(
        "Sizes that are none are usage errors",
        arguments: ["0", "-1G", "1X", "G", "", "1.5", "99999999999999999999T", "1M"])
    func badSizes(_ size: String) async throws {
        let outcome = try await Command.run(["savings", "--memory=\(size)"])
        #expect(outcome.code == 64, "\(outcome)")
    }

    @Test("An amount is a size or a number of huge pages, and savings needs one")
    func amounts() async throws {
        let size = try await Command.run(["plan", "--memory", "8M", "--page-size", "2M"])
        let number = try await Command.run(["plan", "--pages", "4"])
        #expect(size.code == 0 && number.output == size.output, "\(number)")
        #expect(try await Command.run(["savings", "--pages", "4", "--dry-run"]).code == 0)
        let none = try await Command.run(["savings"])
        #expect(none.code == 64 && none.error.contains("savings needs an amount: --memory SIZE, or --pages N."))
        let many = try await Command.run(["savings", "--pages", "999999999999"])
        #expect(many.code == 64 && many.error.contains("--pages must be from 1 to "), "\(many)")
    }

    @Test("The head scheme has no tail frames")
    func headHasNoRun() async throws {
        let outcome = try await Command.run(["savings", "--memory", "1G", "--scheme", "head", "--tail-frames", "4"])
        #expect(outcome.code == 64)
        #expect(outcome.error.contains("--tail-frames 4 is nothing for the head scheme"))
    }

    @Test("A region mapped by PMDs shows what became of them", arguments: ["anonymous", "memfd"])
    func pmdMapped(_ backing: String) async throws {
        let outcome = try await Command.run([
            "savings", "--memory", "1G", "--page-size", "1G", "--pmd-mapped", "--backing", backing,
        ])
        if outcome.code == 4 { try Test.cancel("no transparent huge pages, or Linux before 6.7: \(outcome.error)") }
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.output.contains("thp_"))
        let restored = outcome.output.split(separator: "\n").last { $0.hasPrefix("restored ") }
        #expect(restored?.contains(" 16.00 MiB ") == true, "\(outcome.output)")
    }

    @Test("Built optimized, more than memory holds is emulated; there is no room for a restore")
    func atBoot() async throws {
        let outcome = try await Command.run([
            "savings", "--memory", "4T", "--page-size", "1G", "--scheme", "shared-tail", "--tail-frames", "auto",
            "--at-boot", "--dry-run",
        ])
        #expect(outcome.code == 0, "\(outcome)")
        let run = try await Command.run([
            "savings", "--memory", "8G", "--page-size", "1G", "--at-boot", "--export-json", "-",
        ])
        #expect(run.code == 0, "\(run)")
        let peak = try #require(run.output.firstMatch(of: /"peak_bytes" : (\d+)/)?.output.1)
        // 128 MiB populated; the frames that stay are 64 KiB, and the rest of it is the process.
        #expect(try #require(Int(peak)) < 16 << 20)
    }

    @Test(
        "What excludes each other is a usage error",
        arguments: [
            ["savings", "--memory", "1G", "--pmd-mapped", "--at-boot"], ["savings", "--memory", "1G", "--pages", "4"],
            ["plan", "--memory", "1G", "--pages", "4"], ["hold", "--at-boot", "--restored"],
            ["hold", "--at-boot", "--pmd-mapped"],
        ])
    func excluded(_ arguments: [String]) async throws {
        let outcome = try await Command.run(arguments)
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error.contains("use one of the two"))
    }
}
