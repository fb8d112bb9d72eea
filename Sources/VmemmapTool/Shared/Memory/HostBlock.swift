import HostMemory

/// The host a result comes from, as exported.
struct HostBlock: Hashable, Sendable, Codable {
    /// `uname -r`.
    let kernelRelease: String
    /// `uname -m`.
    let machine: String
    /// The base page.
    let pageSizeBytes: ByteCount
    /// Processors online.
    let processors: Int
    /// vm.max_map_count; null where /proc/sys is hidden.
    let maxMapCount: Measured<MappingCount>
    /// The setting of transparent huge pages; null where /sys does not tell.
    let transparentHugePages: Measured<String>
    /// Available memory before the run; null where /proc/meminfo is hidden.
    let memoryAvailableBytes: Measured<ByteCount>
    /// Effective user 0.
    let isRoot: Bool
    /// Whether the kernel shows this process frame numbers; null where it has no pagemap.
    let showsFrameNumbers: Measured<Bool>
    /// What a mapping costs the kernel.
    let mappingCostBytes: ByteCount
    /// Where that figure comes from: `slab` or `assumed`.
    let mappingCostSource: MappingCost.Source

    /// The cost of a mapping, for arithmetic.
    var mappingCost: MappingCost {
        MappingCost(bytesPerMapping: mappingCostBytes, source: mappingCostSource)
    }

    /// The mappings to reckon with, hidden or not.
    var mappingLimit: MappingCount { HostLimits.mappingLimit(told: maxMapCount.value) }

    /// Asks this host.
    static func current() throws(ExperimentError) -> HostBlock {
        do throws(HostError) {
            return try asked()
        } catch {
            throw .host(error)
        }
    }

    private static func asked() throws(HostError) -> HostBlock {
        let host = try HostDescription.current()
        let available = try HostKernel.unlessHidden(HostLimits.availableMemory)
        return HostBlock(
            kernelRelease: host.kernelRelease, machine: host.machine, pageSizeBytes: host.pageSize,
            processors: host.processors, maxMapCount: Measured(host.maxMapCount),
            transparentHugePages: Measured(host.transparentHugePages),
            memoryAvailableBytes: Measured(available?.bytes), isRoot: host.isRoot,
            showsFrameNumbers: Measured(host.showsFrameNumbers), mappingCostBytes: host.mappingCost.bytesPerMapping,
            mappingCostSource: host.mappingCost.source)
    }

    /// How frames are told apart for this process.
    var countingMethod: FrameCount.Method { showsFrameNumbers.value == true ? .pfn : .fileOffset }
}
