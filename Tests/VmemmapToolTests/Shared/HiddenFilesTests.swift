import Glibc
import HostMemory
import SystemPackage
import Testing

/// What the kernel says is hidden or empty, as in a container: nothing is made up in its place, and nothing is this
/// tool's fault.
@Suite(
    "Hidden files of /proc and /sys",
    .enabled(if: geteuid() == 0, "only root has mounts of its own"))
struct HiddenFilesTests {
    /// Runs a script where mounts are its own: what it hides, it hides from itself.
    private static func run(_ script: String) async throws -> Command.Outcome {
        let outcome = try await Command.shell(
            """
            unshare -m true 2> /dev/null || exit 99
            touch empty; export V="$0"
            unshare -m /bin/bash -c 'mount --make-rprivate / && \(script)'
            """)
        if outcome.code == 99 { try Test.cancel("no mounts of one's own here") }
        return outcome
    }

    @Test("Without /sys: what it would say is null, and a region of PMDs is built and checked")
    func sys() async throws {
        let hide = "mount -t tmpfs none /sys && "
        let kernel = try await Self.run(hide + #""$V" kernel && "$V" kernel -q --export-json -"#)
        #expect(kernel.code == 0, "\(kernel)")
        #expect(kernel.output.contains("pools: not readable") && !kernel.output.contains("without HugeTLB"))
        #expect(kernel.output.contains("\"pools\" : null"))
        let demo = try await Self.run(hide + #""$V" demo --pmd-mapped --pages 128"#)
        // No huge page of the host's may be free.
        let isChecked = demo.code == 0 && demo.output.contains("PMDs map the region, ")
        #expect(isChecked || demo.error.contains("could be mapped by a PMD"), "\(demo)")
        let bench = try await Self.run(hide + #""$V" bench --pages 4 --pairs 1 --peers ksm,kernel"#)
        #expect(bench.code == 0, "\(bench)")
        #expect(bench.output.contains("/sys is hidden") && !bench.output.contains("has no huge pages"), "\(bench)")
    }

    @Test(
        "An empty file is told in one line with the way out, and is no internal error",
        arguments: ["/proc/meminfo"],
        ["demo --pages 4", "bench --pages 4 --pairs 1", "inspect --pages 4"])
    func needed(_ file: String, _ command: String) async throws {
        let outcome = try await Self.run("mount --bind empty \(file) && \"$V\" \(command)")
        #expect(outcome.code == 4, "\(outcome)")
        let lines = outcome.error.split(separator: "\n")
        #expect(lines.count == 1 && outcome.error.contains(file), "\(outcome)")
        #expect(outcome.error.contains("where /proc and /sys are the kernel's own"), "\(outcome)")
    }

    @Test(
        "Without /proc/sys and /sys everything runs, with the kernel's default of vm.max_map_count, and says so",
        arguments: [
            "mount -t tmpfs none /proc/sys", "mount -t tmpfs none /proc/sys && mount -t tmpfs none /sys",
            "mount --bind empty /proc/sys/vm/max_map_count",
        ],
        [
            "demo --pages 4", "savings --pages 4", "inspect --pages 4", "hold --pages 4", "bench --pages 4 --pairs 1",
            "stress --pages 4 --duration 300ms --faults all --backing all",
        ])
    func masked(_ hide: String, _ command: String) async throws {
        let run = "exec \"$V\" \(command) < <(echo)"
        let outcome = try await Self.run("\(hide) && \(run)")
        #expect(outcome.code == 0 && outcome.error.isEmpty, "\(outcome)")
        #expect(outcome.output.contains("hidden: taken for 65530"), "\(outcome)")
        let json = try await Self.run("\(hide) && exec \"$V\" \(command) -q --export-json - < <(echo)")
        if !command.hasPrefix("hold") { #expect(json.output.contains("\"max_map_count\" : null"), "\(json)") }
    }

    @Test("A pool script runs without /proc/sys, and what no mapping is left for is said")
    func maskedPool() async throws {
        let hide = "mount -t tmpfs none /proc/sys && "
        let pool = try await Self.run(
            hide + "echo boot memory=1G hugepages=9 hugetlb_free_vmemmap=on > s; exec \"$V\" pool s")
        #expect(pool.code == 0 && pool.output.contains("9 of 9 huge pages"), "\(pool)")
        let short = try await Self.run(hide + "exec \"$V\" demo --pages 999999")
        #expect(short.code == 3 && short.error.contains("is hidden here, is taken for 65530"), "\(short)")
        let raised = try await Self.run(hide + "exec \"$V\" savings --pages 9000 --raise-map-limit")
        #expect(raised.code == 4 && raised.error.contains("/proc/sys/vm/max_map_count"), "\(raised)")
    }

    @Test(
        "What measures nothing needs none of them: a figure that is hidden is null, the others are there",
        arguments: [
            ("mount -t proc -o subset=pid none /proc", ["max_map_count", "memory_available_bytes"]),
            ("mount --bind empty /proc/meminfo", ["memory_available_bytes"]),
            ("mount --bind empty /proc/sys/vm/max_map_count", ["max_map_count"]),
            ("mount --bind empty /proc/sys/kernel/osrelease", []),
            ("mount --bind empty /proc/$$/pagemap", ["shows_frame_numbers"]),
            ("mount --bind empty /proc/vmstat", []),
        ])
    func notNeeded(_ hide: String, _ null: [String]) async throws {
        for command in ["plan", "kernel"] {
            let report = try await Self.run("\(hide) && exec \"$V\" \(command)")
            #expect(report.code == 0 && report.error.isEmpty, "\(report)")
            let json = try await Self.run("\(hide) && exec \"$V\" \(command) -q --export-json -")
            #expect(json.code == 0, "\(json)")
            for key in ["max_map_count", "memory_available_bytes", "shows_frame_numbers"] {
                #expect(json.output.contains("\"\(key)\" : null") == null.contains(key), "\(key): \(json)")
            }
            if command == "plan" {
                let told = try await Self.run("\(hide) && \"$V\" plan -v --memory 1T --export-json json && cat json")
                #expect(told.output.contains("\"exceeds_map_limit\" : true"), "\(told)")
                #expect(told.output.contains("hidden: taken for 65530") == null.contains("max_map_count"), "\(told)")
            }
            let release = try HostKernel.readText("/proc/sys/kernel/osrelease").dropLast()
            #expect(json.output.contains("\"kernel_release\" : \"\(release)\""))
        }
    }

    @Test(
        "One hidden file of a pool hides one figure",
        arguments: [("free_hugepages", "free_pages"), ("nr_hugepages", "pages"), ("resv_hugepages", "reserved_pages")])
    func poolFile(_ file: String, _ key: String) async throws {
        let folder = "/sys/kernel/mm/hugepages/hugepages-2048kB"
        guard (try? HostKernel.readText(FilePath("\(folder)/\(file)"))) != nil else {
            try Test.cancel("no pool of 2 MiB here")
        }
        let outcome = try await Self.run(
            "mount --bind empty \(folder)/\(file) && \"$V\" kernel && exec \"$V\" kernel -q --export-json -")
        #expect(outcome.code == 0 && !outcome.output.contains("not readable"), "\(outcome)")
        let pools = try #require(outcome.output.split(separator: "\"pools\" : [").last)
        for other in ["pages", "free_pages", "reserved_pages", "surplus_pages", "overcommit_pages"] {
            #expect(pools.contains("\"\(other)\" : null") == (other == key), "\(other): \(outcome)")
        }
    }

    @Test(
        "Figures whose file is empty are null, and everything else is measured",
        arguments: ["/proc/kpagecount", "/proc/kpageflags"])
    func figures(_ file: String) async throws {
        for command in ["inspect --pages 4", "demo --pages 64 --pmd-mapped", "savings --memory 128M --pmd-mapped"] {
            let outcome = try await Self.run("mount --bind empty \(file) && \"$V\" \(command)")
            #expect(outcome.code == 0 || outcome.error.contains("could be mapped by a PMD"), "\(command): \(outcome)")
        }
        let json = try await Self.run("mount --bind empty \(file) && \"$V\" inspect --pages 4 -q --export-json -")
        #expect(json.code == 0, "\(json)")
        if file == "/proc/kpagecount" { #expect(json.output.contains("\"region_pss_bytes\" : null")) }
    }
}
