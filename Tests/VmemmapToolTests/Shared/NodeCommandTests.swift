import HostMemory
import Testing

/// Emulated nodes as a user has them: processes of one command.
@Suite("Commands with --nodes")
struct NodeCommandTests {
    /// The steps of a savings run by their names.
    private static func steps(_ arguments: [String]) async throws -> (run: JSON, steps: [String: JSON]) {
        let outcome = try await Command.asOrdinaryUser(["savings", "--export-json", "-"] + arguments)
        try #require(outcome.code == 0, "\(outcome)")
        let run = try JSON(text: outcome.output)
        let rows = run["rows"]?.elements ?? []
        return (run, Dictionary(uniqueKeysWithValues: rows.map { ($0["step"]?.string ?? "", $0) }))
    }

    @Test(
        "An ordinary user's nodes have together what one process has, step by step",
        arguments: [["--scheme", "first-tail"], ["--scheme", "head", "--backing", "memfd"]])
    func sums(_ options: [String]) async throws {
        let one = try await Self.steps(["--pages", "64"] + options)
        let nodes = try await Self.steps(["--pages", "64", "--nodes", "3"] + options)
        #expect(one.steps.count == 4 && nodes.steps.count == 4)
        for (name, step) in one.steps {
            let sum = try #require(nodes.steps[name])
            for key in ["distinct_frames", "expected_frames", "expected_memfd_bytes", "gross_saving_bytes"] {
                #expect(sum[key] == step[key], "\(name) \(key)")
            }
            #expect(sum["figures"]?["memfd_bytes"] == step["figures"]?["memfd_bytes"], "\(name)")
            // And what the nodes have is what is summed up: in two ways of three, that is.
            let parts = nodes.run["nodes"]?.elements.compactMap { node in
                node["rows"]?.elements.first { $0["step"]?.string == name }
            }
            for key in ["distinct_frames", "net_saving_bytes"] {
                #expect(parts?.compactMap { $0[key]?.double }.reduce(0, +) == sum[key]?.double, "\(name) \(key)")
            }
            let pss = parts?.compactMap { $0["figures"]?["pss_bytes"]?.double }.reduce(0, +)
            #expect(pss == sum["figures"]?["pss_bytes"]?.double, "\(name)")
        }
        #expect(nodes.run["nodes"]?.elements.compactMap { $0["pages"]?.double } == [22, 21, 21])
    }

    /// Starts `hold --nodes 3`, waits until it holds, and has its process and those of its nodes in variables.
    private static let hold = """
        "$0" hold --pages 12 --nodes 3 --walkers 1 --export-json held </dev/null >out 2>error & lead=$!
        until [ -s held ]; do sleep 0.05; done
        pids=($(grep -o '"pid" : [0-9]*' held | grep -o '[0-9]*')); nodes=("${pids[@]:0:3}")
        [ "${pids[3]}" = "$lead" ] || echo "pid ${pids[3]}, not $lead"
        runs() { grep -q '^State:.[^ZX]' /proc/$1/status 2>/dev/null; }
        left() { for node in "${nodes[@]}"; do if runs $node; then echo "left $node"; fi; done; }
        for node in "${nodes[@]}"; do runs $node || echo "no node $node"; done

        """

    @Test("A node that is killed is named, and the others are ended")
    func killed() async throws {
        let outcome = try await Command.shell(
            Self.hold + #"kill -9 ${nodes[1]}; wait $lead; echo "code $?, ${nodes[1]}"; left; cat error"#)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 2, "\(outcome)")
        let node = try #require(lines[0].firstMatch(of: /code 3, (\d+)/)?.output.1)
        #expect(lines[1].hasPrefix("vmemmap: node 1 (process \(node)) was ended by signal 9 "), "\(outcome)")
    }

    @Test("Whatever ends the process that leads them, no node is left", arguments: ["KILL", "TERM", "INT"])
    func leaderEnded(_ signal: String) async throws {
        // Killed, it cannot wait for them; a signal that it takes ends all in order.
        let script = """
            kill -\(signal) $lead; wait $lead 2>/dev/null; echo "code $?"
            for turn in $(seq 100); do [ -z "$(left)" ] && break; sleep 0.05; done; left; cat error
            """
        // A shell has its jobs in the background ignore SIGINT.
        let outcome = try await Command.shell("set -m\n" + Self.hold + script)
        let code = signal == "KILL" ? "137" : "0"
        #expect(outcome.output == "code \(code)\n", "\(outcome)")
    }

    @Test("A signal ends savings with its number, and its nodes", arguments: ["TERM", "INT"])
    func signalled(_ signal: String) async throws {
        let script = """
            set -m
            "$0" savings --pages 16000 --nodes 3 >out 2>error & lead=$!
            until nodes=$(cat /proc/$lead/task/$lead/children) && [ "$(echo $nodes | wc -w)" = 3 ]; do sleep 0.05; done
            kill -\(signal) $lead; wait $lead; echo "code $?"; cat out error
            for node in $nodes; do [ -e /proc/$node ] && echo "left $node"; done
            """
        let outcome = try await Command.shell(script)
        let number = signal == "INT" ? 2 : 15
        #expect(outcome.output == "code \(128 + number)\nvmemmap: ended by signal \(number)\n", "\(outcome)")
    }

    @Test("A node that is refused says why, by its number; nothing is left")
    func refused() async throws {
        let script = """
            ulimit -v 400000; "$0" savings --pages 24000 --nodes 3 >out 2>error; echo "code $?"; cat out error
            """
        let outcome = try await Command.shell(script)
        #expect(outcome.output.contains("code 3\nvmemmap: node "), "\(outcome)")
        #expect(outcome.output.contains("RLIMIT_AS (ulimit -v) leaves"), "\(outcome)")
    }

    @Test("Each node's region is drawn and checked, and every stress has a seed of its own that follows from the one")
    func others() async throws {
        let inspected = try await Command.run(["inspect", "--pages", "9", "--nodes", "2", "--verbose"])
        #expect(inspected.code == 0, "\(inspected)")
        #expect(inspected.output.contains("\nnode 0  process ") && inspected.output.contains("\nnode 1  process "))
        #expect(inspected.output.split(separator: "vmemmap pages and their frames").count == 3)
        #expect(inspected.output.hasSuffix("7 checks passed\n"))
        var seeds: [[Double]] = []
        for _ in 0..<2 {
            let stress = try await Command.run([
                "stress", "--pages", "16", "--nodes", "2", "--duration", "300ms", "--seed", "4", "--walkers", "1",
                "--export-json", "-",
            ])
            #expect(stress.code == 0, "\(stress)")
            let result = try JSON(text: stress.output)
            let nodes = result["nodes"]?.elements ?? []
            seeds.append(nodes.compactMap { $0["seed"]?.double })
            let operations = nodes.compactMap { $0["total"]?["operations"]?.double }
            #expect(operations.reduce(0, +) == result["total"]?["operations"]?.double)
        }
        #expect(seeds[0].count == 2 && Set(seeds[0]).count == 2 && seeds[0] == seeds[1])
    }

    @Test("A dry run says how much each node would have, and measures nothing")
    func dryRun() async throws {
        let outcome = try await Command.run([
            "savings", "--pages", "10", "--nodes", "4", "--dry-run", "--export-json", "-",
        ])
        #expect(outcome.code == 0, "\(outcome)")
        let nodes = try JSON(text: outcome.output)["nodes"]?.elements ?? []
        #expect(nodes.compactMap { $0["pages"]?.double } == [3, 3, 2, 2])
        #expect(nodes.allSatisfy { $0["pid"] == .null && $0["baseline"] == .null && $0["rows"] == .array([]) })
    }

    @Test(
        "What does not go with nodes is a usage error",
        arguments: [
            ["savings", "--pages", "8", "--nodes", "0"], ["savings", "--pages", "8", "--nodes", "many"],
            ["savings", "--pages", "8", "--nodes", "9"], ["savings", "--pages", "8", "--nodes", "2000"],
            ["savings", "--pages", "8", "--nodes", "2", "--raise-map-limit"], ["hold", "--pages", "2", "--nodes", "3"],
            ["hold", "--nodes", "2", "--export-kpageflags", "flags"], ["inspect", "--pid", "1", "--nodes", "2"],
            ["stress", "--pages", "8", "--nodes", "5"], ["stress", "--nodes", "3", "--cycles", "2"],
            ["demo", "--nodes", "2"], ["bench", "--nodes", "2"],
        ])
    func unusable(_ arguments: [String]) async throws {
        let outcome = try await Command.run(arguments)
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error.contains("--nodes"), "\(outcome)")
    }
}
