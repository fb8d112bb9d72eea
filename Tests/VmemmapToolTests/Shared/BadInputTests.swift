import HostMemory
import Testing

@Suite("Bad input")
struct BadInputTests {
    @Test(
        "Usage errors exit with 64 and say what may stand there",
        arguments: [
            (["demo", "--pages", "0"], "--pages must be at least 1, not 0."),
            (["demo", "--pages", "-3"], "--pages must be at least 1, not -3."),
            (["demo", "--pages", "many"], "it is not a whole number"),
            (["demo", "--pages", ""], "it is not a whole number"),
            (["demo", "--pages", "1.5"], "it is not a whole number"),
            (["demo", "--pages", "99999999999999999999"], "it is larger than 9223372036854775807"),
            (["demo", "--page-size", "3M"], "it must be a power of two of bytes, or of K, M or G, at most 16G"),
            (
                ["demo", "--scheme", "second-tail"],
                "Please provide one of 'first-tail', 'head' or 'shared-tail'"
            ),
            (
                ["hold", "--scheme", "second-tail"],
                "Please provide one of 'first-tail', 'head', 'shared-tail' or 'device-dax'"
            ),
            (["demo", "--scheme", "device-dax"], "is built optimized and never restored: use it with hold, inspect"),
            (["demo", "--walkers", "0"], "--walkers must be from 1 to 256, not 0."),
            (["demo", "--walkers", "-1"], "--walkers must be from 1 to 256, not -1."),
            (["demo", "--race", "--race-duration", "0"], "The value '0' is invalid for '--race-duration <TIME>'"),
            (["demo", "--race", "--race-duration", "999ms"], "--race-duration must be from 1.00 s to 86400.0 s, not"),
            (["hold", "--walkers", "257"], "--walkers must be from 0 to 256, not 257."),
            (["inspect", "--pid", "0"], "--pid must be at least 1, not 0."),
            (["inspect", "--pid", "99999999999"], "it must be a whole number from 1 to 2147483647"),
            (["stress", "--seed", "0x1"], "it must be a whole number from 0 to 18446744073709551615"),
            (["inspect", "--region", "0x1000+0x1000"], "--pid has to say in which"),
            (["inspect", "--pid", "1", "--region", "0x1000"], "The value '0x1000' is invalid for '--region"),
            (["inspect", "--pid", "1", "--pages", "4"], "--pid names a process that runs already"),
            (["bench", "--pairs", "0"], "--pairs must be from 1 to 1000, not 0."),
            (["demo", "--tail-frames", "0"], "it must be auto or a whole number of frames from 1 to"),
            (["savings", "--memory", "1G", "--tail-frames", "-1"], "it must be auto or a whole number of frames"),
            (["plan", "--tail-frames", "most"], "it must be auto or a whole number of frames"),
            (["savings", "--memory", "0G"], "above 0 and at most 1048576T"),
            (["savings", "--memory", "-5G"], "above 0 and at most 1048576T"),
            (["plan", "--memory", "8388607T"], "above 0 and at most 1048576T"),
            (["plan", "--memory", "8P"], "a number of bytes, or of K, M, G or T"),
            (["plan", "--memory", "1.5"], "a number of bytes, or of K, M, G or T"),
            (["plan", "400G"], "an amount of memory and the size of its huge pages, as in 400G@2M"),
            (["plan", "400G@3M"], "the size of huge page, '3M': it must be a power of two"),
            (["plan", "G@2M"], "the memory, 'G': it must be a number of bytes, or of K, M, G or T"),
            (["plan", "400GB@2M"], "GB is not a unit here, as it is a power of 10 elsewhere: GiB or G is meant, "),
            (["plan", "400G@2MB"], "MB is not a unit here"), (["savings", "--memory", "1.5TB"], "as in 1.5T"),
            (["demo", "--page-size", "2MB"], "MB is not a unit here"),
            (["savings", "--memory", "1.3G"], "use --memory 1330M or --memory 1332M"),
            (["plan", "1G@2M", "2G@2M"], "give each size once"),
            (["plan", "1M@2M"], "1.00 MiB hold no huge page of 2.00 MiB"),
            (["plan", "400G@2M", "--of", "1G"], "The pools together are more than 1.00 GiB."),
            (["plan", "400G@2M", "--memory", "1G"], "--memory or --pages is not for pools"),
            (["plan", "--of", "1G"], "--of is for pools"),
            (["plan", "--arch", "all", "--page-size", "2M"], "--page-size is not for --arch all"),
            (["plan", "--arch", "vax"], "The value 'vax' is invalid for '--arch"),
            (["plan", "--arch", "arm64-64k", "--memory", "1G", "--page-size", "16G"], "use at least --memory 16G."),
            (["compare", "/dev/null", "/dev/null"], "cannot compare /dev/null: it is not what --export-json of this"),
            (["compare", "/nonexistent", "/dev/null"], "cannot compare /nonexistent: "),
            (
                ["plan", "--memory", "1K"],
                "--memory 1 KiB is less than one huge page of 2.00 MiB: use at least --memory 2M."
            ),
            (
                ["savings", "--memory", "100M", "--page-size", "1G"],
                "--memory 100.00 MiB is less than one huge page of 1.00 GiB: use at least --memory 1G."
            ),
            (["demo", "--export-json", ""], "an export needs the name of a file"),
            (["demo", "--pages", "1", "--export-csv", "/"], "cannot write the export /: it is a folder"),
            (["hold", "--pages", "1", "--export-json", "/tmp"], "cannot write the export /tmp: it is a folder"),
            (["kernel", "--measure"], "--measure needs --pages N"),
            (["kernel", "--measure", "--pages", "0"], "--pages must be at least 1, not 0."),
            (["kernel", "--measure", "--pages", "4", "--pairs", "0"], "--pairs must be from 1 to 1000, not 0."),
            (["kernel", "--measure", "--pages", "4", "--page-size", "4M"], "Please provide one of '2M' and '1G'"),
            (["kernel", "--pages", "4"], "--pages and --page-size are for --measure and for --page-tables alone."),
            (["plan", "--struct-page-size", "100"], "Please provide one of the following"),
            (["bench", "--pages", "0"], "--pages must be at least 1, not 0."),
            (["bench", "--walkers", "257"], "--walkers must be from 0 to 256, not 257."),
            (["bench", "--pages", "16", "--growth-from", "17"], "--growth-from must be from 1 to 16, not 17."),
            (["bench", "--scheme", "none"], "Please provide one of 'first-tail', 'head', 'shared-tail' or 'all'"),
            (["bench", "--peers", "baseline,"], "'baseline', 'ksm', 'udmabuf' or 'kernel'"),
            (["stress", "--duration", "0"], "it must be whole numbers of d, h, m, s or ms"),
            (["stress", "--pages", "1"], "--pages must be at least 2, not 1."),
            (["stress", "--faults", "some"], "Please provide one of 'off', 'injected', 'host' or 'all'"),
            (["stress", "--scheme", "none"], "Please provide one of 'first-tail', 'head', 'shared-tail' or 'all'"),
            (["stress", "--seed", "-1"], "The value '-1' is invalid for '--seed"),
            (["stress", "--duration", "-1s"], "it must be whole numbers of d, h, m, s or ms"),
            (["stress", "--workers", "-1"], "--workers must be from 1 to 256, not -1."),
            (["demo", "--page-size", "-2M"], "it must be a power of two of bytes, or of K, M or G, at most 16G"),
            (["inspect", "--tail-frames", "-1"], "it must be a whole number of frames from 1 to"),
            (["plan", "--struct-page-size", "-64"], "Please provide one of the following"),
            (["demo", "--race", "-1"], "'--race' does not take any value"),
            (["demo", "--race", "frob"], "Please provide one of 'restore', 'gap' or 'speculative'"),
            (["demo", "--scheme", String(repeating: "x", count: 100_000)], "argument 3 has 100000 bytes"),
            (["demo", "--frobnicate"], "Unknown option '--frobnicate'"),
            (["demo", "--race", "--race-seconds", "1"], "Unknown option '--race-seconds'"),
            (["kernel", "--measure", "--pages", "4", "--runs", "2"], "Unknown option '--runs'"),
            (["frobnicate"], "frobnicate"),
        ])
    func usage(_ arguments: [String], _ reason: String) async throws {
        let outcome = try await Command.run(arguments)
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.contains(reason), "\(outcome.error)")
    }

    @Test(
        "Memory that is no whole number of huge pages is refused, with the two numbers next to it",
        arguments: [
            (["savings", "--memory", "1500M", "--page-size", "1G"], "--memory 1G or --memory 2G"),
            (["savings", "--memory", "3M"], "--memory 2M or --memory 4M"),
            (["savings", "--memory", "100K", "--page-size", "64K"], "--memory 64K or --memory 128K"),
            (["savings", "--memory", "2097153"], "--memory 2M or --memory 4M"),
            (["plan", "--memory", "3M"], "--memory 2M or --memory 4M"),
            (["plan", "--memory", "1500M", "--page-size", "1G"], "--memory 1G or --memory 2G"),
        ])
    func remainder(_ arguments: [String], _ wayOut: String) async throws {
        let outcome = try await Command.run(arguments)
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error.contains("no whole number of huge pages") && outcome.error.contains(wayOut))
    }

    @Test(
        "An option that would be ignored is refused",
        arguments: [
            (["demo", "--race-duration", "2"], "--race-duration is for --race"),
            (["demo", "gap"], "What is raced is for --race"),
            (["demo", "--race", "--export-kpageflags", "x"], "--export-kpageflags is not for --race"),
            (
                ["bench", "--pages", "16", "--growth-from", "4", "--peers", "ksm"],
                "--growth-from is for --peers baseline"
            ),
            (["bench", "--growth-from", "4"], "--growth-from needs --pages N"),
            (
                ["savings", "--memory", "1G", "--tail-frames", "7"],
                "--tail-frames must be auto or from 1 to 6 here, not 7."
            ),
            (
                ["savings", "--memory", "1G", "--scheme", "shared-tail", "--tail-frames", "8"],
                "--tail-frames must be auto or from 1 to 7 here, not 8."
            ),
            (["bench", "--scheme", "all", "--tail-frames", "8"], "from 1 to 7 here, not 8."),
            (["plan", "--tail-frames", "4096"], "from 1 to 4095 here, not 4096."),
            (["hold", "--page-size", "1G", "--tail-frames", "4095"], "from 1 to 4094 here, not 4095."),
            (["kernel", "--pairs", "2"], "--pairs is for --measure."),
            (["inspect", "--pid", "1", "--restored"], "for a temporary hold"),
            (["hold", "--at-boot", "--restored"], "use one of the two"),
        ])
    func ignored(_ arguments: [String], _ reason: String) async throws {
        let outcome = try await Command.run(arguments)
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.output.isEmpty && outcome.error.contains(reason), "\(outcome)")
    }

    @Test(
        "What the host has no room for exits with 3, in one line that names what fits",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit),
        arguments: [
            ["--pages", "10240"], ["--pages", "9223372036854775807"],
            ["--pages", "9223372036854775807", "--page-size", "1G"], ["--pages", "1000000000", "--page-size", "1G"],
        ])
    func shortage(_ arguments: [String]) async throws {
        let outcome = try await Command.run(["demo"] + arguments)
        #expect(outcome.code == 3, "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.split(separator: "\n").count == 1)
        #expect(outcome.error.contains("vm.max_map_count is \(try HostLimits.maxMapCount().rawValue)"))
        #expect(outcome.error.firstMatch(of: /\d+ fit: use --pages \d+/) != nil)
    }

    @Test(
        "The largest number that a refusal names does fit",
        .enabled(if: Command.hasOrdinaryMapLimit, Command.raisedMapLimit))
    func largest() async throws {
        let refused = try await Command.run(["hold", "--pages", "99999999"])
        let fits = try #require(refused.error.firstMatch(of: /use --pages (\d+)/)?.output.1)
        let outcome = try await Command.run(["demo", "--pages", String(fits)])
        #expect(outcome.code == 0, "\(outcome)")
    }

    @Test(
        "Help of every subcommand has an example",
        arguments: ["demo", "hold", "inspect", "bench", "plan", "savings", "pool", "kernel", "stress"])
    func help(_ subcommand: String) async throws {
        let outcome = try await Command.run([subcommand, "--help"])
        #expect(outcome.code == 0)
        #expect(outcome.output.contains("Example: vmemmap \(subcommand)"))
    }

    @Test("Help and completions of --scheme have what the command takes", arguments: [("demo", false), ("hold", true)])
    func schemes(_ subcommand: String, _ takesDevices: Bool) async throws {
        let help = try await Command.run([subcommand, "--help"])
        #expect(help.code == 0 && help.output.contains("device-dax") == takesDevices, "\(help)")
        let script = try await Command.run(["--generate-completion-script", "fish"])
        let values = script.output.split(separator: "\n").first {
            $0.contains("\"vmemmap \(subcommand)\" scheme' -l 'scheme'")
        }
        let line = try #require(values.map(String.init), "\(script.output.prefix(2000))")
        #expect(line.contains("shared-tail") && line.contains("device-dax") == takesDevices, "\(line)")
    }

    @Test("The version is told")
    func version() async throws {
        let outcome = try await Command.run(["--version"])
        #expect(outcome.code == 0)
        #expect(outcome.output.firstMatch(of: /^vmemmap \d+\.\d+\.\d+\n$/) != nil)
    }
}
