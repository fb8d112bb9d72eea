import Glibc
import HostLab
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
            // And what the nodes have is what is summed up.
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

    @Test("Whatever ends the process that leads them, no node is left", arguments: ["KILL", "TERM"])
    func leaderEnded(_ signal: String) async throws {
        // Killed, it cannot wait for them, and one that is stopped does not see the end of its input. A signal that it
        // takes ends all in order.
        let stop = signal == "KILL" ? "kill -STOP ${nodes[1]}" : ":"
        let script = """
            \(stop)
            kill -\(signal) $lead; wait $lead 2>/dev/null; echo "code $?"
            for turn in $(seq 100); do [ -z "$(left)" ] && break; sleep 0.05; done; left; cat error
            """
        let outcome = try await Command.shell(Self.hold + script)
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

    @Test(
        "No node has a frame of another's, so that their distinct frames may be summed up",
        .enabled(if: geteuid() == 0, "frame numbers need root"), arguments: ["first-tail", "shared-tail"])
    func frames(_ scheme: String) throws {
        let hold = try ChildProcess(
            Command.binary,
            ["hold", "--until-input-ends", "--export-json", "-", "--nodes", "3", "--pages", "12", "--touch"]
                + ["--scheme", scheme])
        let held = try JSON(text: hold.readOutput(upTo: "}"))
        var frames: [UInt64] = []
        var counted = 0
        for node in held["nodes"]?.elements ?? [] {
            let start = try #require(node["region_start"]?.string.flatMap { UInt($0.dropFirst(2), radix: 16) })
            let range = AddressRange(
                start: Address(start), length: ByteCount(Int(try #require(node["region_length_bytes"]?.double))))
            let process = ObservedProcess.other(Int32(try #require(node["pid"]?.double)))
            try PageMap.forEachPage(of: process, in: range) { frames.append($0.entry.pfn) }
            counted += try FrameCount.count(of: process, in: range).distinct.rawValue
        }
        #expect(frames.count == 12 * 8 && !frames.contains(0))
        #expect(Set(frames).count == counted)
        #expect(try hold.end() == 0)
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
}
