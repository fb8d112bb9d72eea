import HostMemory
import VmemmapEmulator

/// What a pool script did, line by line.
struct PoolResult: Hashable, Sendable, Codable {
    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// The script: a file's name, or `standard input`.
        let script: String
    }

    /// A line that says something.
    struct Line: Hashable, Sendable, Codable {
        /// Its number in the script, from 1.
        let number: Int
        /// What it says.
        let statement: String
        /// What it took, the figures not included.
        let durationNanoseconds: Int
        /// The errno it was refused with, as the kernel would name it, or SIGBUS; null where it was carried out.
        let refusal: Measured<String>
        /// What stood in the way of a pool that has not all that was asked for; null if nothing did.
        let remark: Measured<String>
        /// Whether what it expects is so; null where it expects nothing.
        let holds: Measured<Bool>
        /// What it expects, and what was; null where it expects nothing.
        let expectation: Measured<PoolExpectation>
        /// The machine after it; null while there is none.
        let machine: Measured<PoolFigures>

        /// What became of a line.
        init(
            number: Int, statement: String, durationNanoseconds: Int, outcome: PoolOutcome, machine: PoolFigures?
        ) {
            self.number = number
            self.statement = statement
            self.durationNanoseconds = durationNanoseconds
            refusal = Measured(outcome.refusal)
            remark = Measured(outcome.remark)
            holds = Measured(outcome.holds)
            expectation = Measured(outcome.expectation)
            self.machine = Measured(machine)
        }
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// The lines that were run.
    let lines: [Line]
    /// The emulated machine beside another HugeTLB layer; null where it was run alone.
    let comparison: Measured<PoolComparison>

    /// The result of a script.
    init(host: HostBlock, script: String, lines: [Line], comparison: PoolComparison? = nil) {
        self.host = host
        configuration = Configuration(script: script)
        self.lines = lines
        self.comparison = Measured(comparison)
    }

    /// What is not as the script expects, for a page to say it in red under the verdict.
    var notes: [String] {
        lines.filter { $0.holds.value == false }.compactMap { line in
            line.expectation.value.map {
                "line \(line.number): \($0.expects) is \($0.measured), expected \($0.expected)"
            }
        }
    }

    /// What the script expects; beside another HugeTLB layer, that both do the same, too.
    var checks: [Check] {
        lines.compactMap { line in line.expectation.value?.check(line: line.number) } + (comparison.value?.checks ?? [])
    }
}

/// What an emulated machine counts, and what the host measured of its struct pages.
struct PoolFigures: Hashable, Sendable, Codable {
    /// One pool, as /proc/meminfo has it.
    struct Pool: Hashable, Sendable, Codable {
        /// Hugepagesize.
        let hugePageBytes: ByteCount
        /// HugePages_Total.
        let totalPages: Int
        /// HugePages_Free.
        let freePages: Int
        /// HugePages_Rsvd.
        let reservedPages: Int
        /// HugePages_Surp.
        let surplusPages: Int
        /// Those whose vmemmap is optimized.
        let optimizedPages: Int
    }

    /// The machine's base page. Where the host's is smaller, a vmemmap page is several of its frames.
    let basePageBytes: ByteCount
    /// Each pool.
    let pools: [Pool]
    /// nr_memmap_pages.
    let memmapPages: PageCount
    /// nr_memmap_boot_pages.
    let memmapBootPages: PageCount
    /// Page tables that splitting PMDs has taken.
    let splitPageTables: Int
    /// Frames that restores may still take; null: as many as the host has.
    let frameBudgetPages: Measured<PageCount>
    /// What the host measured.
    let measured: PoolHostFigures
}
