public import HostMemory
public import VmemmapEmulator

/// What a pool script did, line by line.
public struct PoolResult: Hashable, Sendable, Codable {
    /// What was asked for.
    public struct Configuration: Hashable, Sendable, Codable {
        /// The script: a file's name, or `standard input`.
        public let script: String
    }

    /// A line that says something.
    public struct Line: Hashable, Sendable, Codable {
        /// Its number in the script, from 1.
        public let number: Int
        /// What it says.
        public let statement: String
        /// What it took, the figures not included.
        public let durationNanoseconds: Int
        /// The errno it was refused with, as the kernel would name it; null where it was carried out.
        public let refusal: Measured<String>
        /// Whether what it expects is so; null where it expects nothing.
        public let holds: Measured<Bool>
        /// The machine after it; null while there is none.
        public let machine: Measured<PoolFigures>

        /// What became of a line.
        public init(
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
    public let host: HostBlock
    /// What was asked for.
    public let configuration: Configuration
    /// The lines that were run.
    public let lines: [Line]

    /// The result of a script.
    public init(host: HostBlock, script: String, lines: [Line]) {
        self.host = host
        configuration = Configuration(script: script)
        self.lines = lines
    }

    /// Whether everything is as the script expects.
    public var holds: Bool { !lines.contains { $0.holds.value == false } }
}

/// What an emulated machine counts, and what the host measured of its struct pages.
public struct PoolFigures: Hashable, Sendable, Codable {
    /// One pool, as /proc/meminfo has it.
    public struct Pool: Hashable, Sendable, Codable {
        /// Hugepagesize.
        public let hugePageBytes: ByteCount
        /// HugePages_Total.
        public let totalPages: Int
        /// HugePages_Free.
        public let freePages: Int
        /// HugePages_Rsvd.
        public let reservedPages: Int
        /// HugePages_Surp.
        public let surplusPages: Int
        /// Those whose vmemmap is optimized.
        public let optimizedPages: Int
    }

    /// Each pool.
    public let pools: [Pool]
    /// nr_memmap_pages.
    public let memmapPages: PageCount
    /// nr_memmap_boot_pages.
    public let memmapBootPages: PageCount
    /// Page tables that splitting PMDs has taken.
    public let splitPageTables: Int
    /// Frames that restores may still take; null: as many as the host has.
    public let frameBudgetPages: Measured<PageCount>
    /// What the host measured.
    public let measured: PoolHostFigures
}

extension PoolOutcome {
    /// Why the statement was not carried out, or a pool did not get to its size.
    public var refusal: HugeTLBError? {
        switch self {
        case .refused(let error): error
        case .pool(let change, _), .booted(_, let change?, _): change.refusal
        default: nil
        }
    }

    /// Whether what the statement expects is so; nil where it expects nothing.
    public var holds: Bool? {
        switch self {
        case .expected(_, let expected, let found): expected == found
        case .walked(let seen): seen.wrong == 0
        default: nil
        }
    }
}
