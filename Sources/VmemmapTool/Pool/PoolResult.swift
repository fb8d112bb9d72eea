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
        /// The errno it was refused with, as the kernel would name it; null where it was carried out.
        let refusal: Measured<String>
        /// Whether what it expects is so; null where it expects nothing.
        let holds: Measured<Bool>
        /// The machine after it; null while there is none.
        let machine: Measured<PoolFigures>

        /// What became of a line.
        init(
            number: Int, statement: String, durationNanoseconds: Int, outcome: PoolOutcome, machine: PoolFigures?
        ) {
            self.number = number
            self.statement = statement
            self.durationNanoseconds = durationNanoseconds
            refusal = Measured(outcome.refusal?.errnoName)
            holds = Measured(outcome.holds)
            self.machine = Measured(machine)
        }
    }

    /// Where it was run.
    let host: HostBlock
    /// What was asked for.
    let configuration: Configuration
    /// The lines that were run.
    let lines: [Line]

    /// The result of a script.
    init(host: HostBlock, script: String, lines: [Line]) {
        self.host = host
        configuration = Configuration(script: script)
        self.lines = lines
    }

    /// Whether everything is as the script expects.
    var holds: Bool { !lines.contains { $0.holds.value == false } }
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

extension PoolOutcome {
    /// Why the statement was not carried out, or a pool did not get to its size.
    var refusal: HugeTLBError? {
        switch self {
        case .refused(let error): error
        case .pool(let change, _), .booted(_, let change?, _): change.refusal
        default: nil
        }
    }

    /// Whether what the statement expects is so; nil where it expects nothing.
    var holds: Bool? {
        switch self {
        case .expected(_, let expected, let found): expected == found
        case .walked(let seen): seen.wrong == 0
        default: nil
        }
    }
}
