import Testing

@Suite("--arch, --base-page and --page-size")
struct GeometryOptionTests {
    @Test(
        "Commands run on another architecture's pages, and all checks pass",
        arguments: [
            "demo --pages 3 --arch arm64-64k --scheme shared-tail", "demo --pages 2 --arch s390 --backing memfd",
            "demo --pages 1 --arch powerpc-64k --scheme head", "demo --pages 2 --base-page 16K",
            "savings --pages 2 --arch arm64-16k --page-size 1G --tail-frames auto",
            "savings --pages 4 --arch arm64-64k --nodes 2", "savings --pages 4 --scheme device-dax",
            "inspect --pages 3 --arch arm64-64k --scheme shared-tail --tail-frames 3",
            "inspect --pages 3 --arch loongarch-16k --scheme head --backing memfd --restored",
            "inspect --pages 3 --scheme device-dax", "inspect --pages 4 --base-page 64K --nodes 2",
            "stress --pages 4 --arch arm64-16k --duration 1s --seed 1 --scheme all",
        ])
    func runs(_ line: String) async throws {
        let outcome = try await Command.run(line.split(separator: " ").map(String.init))
        #expect(outcome.code == 0 && outcome.error.isEmpty, "\(outcome)")
        #expect(outcome.output.contains(" checks passed"), "\(outcome)")
    }

    @Test(
        "What cannot be is refused, and says why",
        arguments: [
            ("demo --base-page 8K", "it must be 4K, 16K or 64K"),
            ("demo --base-page 16K --arch s390", "--base-page is not for --arch"),
            ("demo --arch s390 --page-size 2M", "s390 has huge pages of 1M, 2G, not of 2M"),
            ("plan --arch s390 --page-size 1G", "s390 has huge pages of 1M, 2G, not of 1G"),
            ("plan --arch loongarch-16k 32G@1G", "loongarch-16k has huge pages of 32M, not of 1G"),
            ("plan --arch arm64-64k --page-size 512M --tail-frames 8", "from 1 to 7 here, not 8."),
            ("plan --arch arm64-4k 1G@2M 2G@1M", "arm64-4k has huge pages of 64K, 2M, 32M, 1G, not of 1M"),
            (
                "plan --arch arm64-4k --scheme device-dax --page-size 32M",
                "arm64-4k has huge pages of 2M, 1G for device DAX, not of 32M"
            ),
            (
                "hold --pages 1 --arch arm64-64k --scheme device-dax --page-size 16G",
                "arm64-64k has huge pages of 512M for device DAX, not of 16G"
            ),
            ("demo --base-page 64K --page-size 64K", "A huge page is larger than a base page, of 64K: not 64K"),
            ("demo --page-size 3M", "it must be a power of two"),
            ("demo --arch arm64-16k --page-size 2M", "has nothing to free: use --page-size 32M or 1G."),
            ("stress --arch arm64-64k --page-size 2M", "has nothing to free: use --page-size 512M or 16G."),
            (
                "plan --base-page 64K",
                "plan has no --base-page, as an architecture has its own: for base pages of 64K use --arch, one of "
                    + "arm64-64k, powerpc-64k."
            ),
            ("plan --base-page 8K", "as an architecture has its own: use --arch, one of x86-64, arm64-4k, "),
            ("hold --scheme device-dax --pmd-mapped", "device-dax has no frames to fill the PMDs of --pmd-mapped"),
        ])
    func refused(_ line: String, _ reason: String) async throws {
        let outcome = try await Command.run(line.split(separator: " ").map(String.init))
        #expect(outcome.code == 64 && outcome.error.contains(reason), "\(outcome)")
    }

    @Test("A size of which nothing is freed is not supported, and what is advised is")
    func nothing() async throws {
        let small = ["savings", "--pages", "2", "--base-page", "64K", "--page-size"]
        let outcome = try await Command.run(small + ["2M"])
        #expect(outcome.code == 4 && outcome.error.contains("use --page-size 256M or larger"), "\(outcome)")
        #expect(try await Command.run(small + ["256M"]).code == 0)
        let one = try await Command.run(["demo", "--pages", "1", "--page-size", "256K"])
        #expect(one.error.contains(" has 1 vmemmap page; "), "\(one)")
    }
}
