import ArgumentParser
import VmemmapEmulator

/// The option that has the region mapped as the kernel maps its vmemmap.
struct PMDMappedOption: ParsableArguments {
    @Flag(help: "Map the region by PMDs, 2 MiB each; optimizing splits them, restoring 1 GiB pages merges them again.")
    var pmdMapped = false

    /// The same huge pages on the mapping asked for.
    func applied(to memory: EmulatedMemory) -> EmulatedMemory {
        var memory = memory
        memory.mapping = pmdMapped ? .pmd : .pte
        return memory
    }
}

/// The option that has the region built optimized.
struct AtBootOption: ParsableArguments {
    @Flag(help: "Build the huge pages optimized (pre-HVO): frames that are not kept are never there.")
    var atBoot = false

    /// The same huge pages, built as asked for.
    func applied(to memory: EmulatedMemory) -> EmulatedMemory {
        var memory = memory
        memory.construction = atBoot ? .optimized : .populated
        return memory
    }

    /// Throws where the options exclude each other.
    func check(_ mapping: PMDMappedOption) throws {
        if atBoot, mapping.pmdMapped {
            throw ValidationError("--at-boot has no frames to fill the PMDs of --pmd-mapped with: use one of the two.")
        }
    }
}
