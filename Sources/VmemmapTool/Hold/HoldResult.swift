import HostMemory
import VmemmapEmulator

/// What `hold` exports: what it was asked for, beside where the vmemmap is.
struct HoldExport<Result: Encodable>: Encodable {
    /// What was asked for.
    struct Configuration: Hashable, Sendable, Codable {
        /// The huge pages.
        let memory: MemoryBlock
        /// Threads that read all the while.
        let walkers: Int
        /// Whether every struct page was read first.
        let isTouched: Bool
        /// Whether the huge pages were restored again.
        let isRestored: Bool
        /// Into how many emulated nodes they are divided: a number, or `auto`; null: into none.
        let nodes: Measured<String>
    }

    /// What was asked for.
    let configuration: Configuration
    /// Where it is; its keys stand beside.
    let result: Result

    init(_ experiment: HoldExperiment, nodes: NodeCount?, _ result: Result) {
        configuration = Configuration(
            memory: MemoryBlock(experiment.memory), walkers: experiment.walkers, isTouched: experiment.touch,
            isRestored: experiment.restored, nodes: Measured(nodes?.text))
        self.result = result
    }

    private enum Key: CodingKey {
        case configuration
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(configuration, forKey: .configuration)
        try result.encode(to: encoder)
    }
}

/// Where a held vmemmap is.
struct HoldResult: Hashable, Sendable, Codable {
    /// The process that holds it.
    let pid: Int32
    /// The region's first address, hexadecimal with 0x.
    let regionStart: String
    /// The region's length.
    let regionLengthBytes: ByteCount
    /// Huge pages.
    let pages: HugePageCount
    /// The size of each.
    let hugePageBytes: ByteCount
    /// How their vmemmap is shared.
    let scheme: Scheme
}
