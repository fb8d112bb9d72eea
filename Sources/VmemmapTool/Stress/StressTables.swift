import HostMemory
import VmemmapEmulator

extension StressResult: ExportableResult {
    /// The subcommand.
    static var command: String { "stress" }
    /// Whether everything held.
    var verdict: Bool? { holds }

    /// Its tables.
    var tables: [ExportTable] {
        [
            ExportTable(
                "combination", "A scheme on a backing, as it was run.", combinations,
                [
                    .label("scheme", "The scheme.") { $0.scheme.rawValue },
                    .label("backing", "The backing.") { $0.backing.rawValue },
                ] + ExportColumn.figures(\.figures)),
            ExportTable("run", "All of it.", [total], ExportColumn.figures(\.self)),
            ExportTable(
                "claim", "Every promise that a run can put to the test.", claims,
                [
                    .label("claim", "The promise.") { $0.claim.rawValue },
                    .count("times", "How often it was looked at.") { $0.times },
                    .truth("held", "Whether it held each time.") { $0.holds.value },
                ]),
            ExportTable(
                "footprint", "The process after the first building and after the last, with nothing built.",
                [("first", footprints.first), ("last", footprints.last)].compactMap { name, footprint in
                    footprint.map { (name: name, footprint: $0) }
                },
                [
                    .label("building", "The first or the last; JSON and the page have those between.") { $0.name },
                    .bytes("rss", "Rss of smaps_rollup.") { $0.footprint.rssBytes.value },
                    .count("mappings", "Mappings of the process (lines of maps).") {
                        $0.footprint.mappings.rawValue
                    },
                    .count("open_files", "Open descriptors (/proc/self/fd).") { $0.footprint.openFiles },
                ]),
        ]
    }
}

extension ExportColumn {
    fileprivate static func figures(_ figures: @escaping (Item) -> StressFigures) -> [ExportColumn] {
        [
            .nanoseconds("duration", "How long it was run.") { figures($0).elapsedNanoseconds },
            .count("cycles", "Huge pages optimized and restored again.") { figures($0).cycles },
            .count("remaps", "Huge pages optimized, and huge pages restored, put-backs included.") {
                figures($0).remaps
            },
            .nanoseconds("remap_mean", "Time in the region's own calls for each of their remaps.") {
                figures($0).remapMeanNanoseconds.value
            },
            .count("operations", "Operations of all workers.") { figures($0).operations },
            .count("head_reads", "compound_heads read and checked.") { figures($0).headReads },
            .count("page_reads", "Whole vmemmap pages read and checked.") { figures($0).pageReads },
            .count("wrong_reads", "Reads that were not as they must be.") { figures($0).wrongReads },
            .count("failed_calls", "Calls that were not made but failed on purpose.") { figures($0).failedCalls },
            .count("faulted_operations", "Operations that this happened to.") { figures($0).faultedOperations },
            .count("refused_operations", "Operations that ended in an error because something stood in their way.") {
                figures($0).refusedOperations
            },
            .count("host_refusals", "Those of them that only the host can have refused.") { figures($0).hostRefusals },
            .count("mended_pages", "Huge pages left half-way by two refusals, and mended.") { figures($0).mendedPages },
            .count("short_of_address_space", "Rounds with RLIMIT_AS lowered.") { figures($0).shortages.addressSpace },
            .count("short_of_mappings", "Rounds with vm.max_map_count reached.") { figures($0).shortages.mappings },
            .count("short_of_descriptors", "Rounds with RLIMIT_NOFILE lowered.") { figures($0).shortages.openFiles },
            .count("short_of_file_system", "Rounds with the tmpfs of the region's frames full.") {
                figures($0).shortages.fileSystem
            },
            .count("short_of_frames", "Rounds with a frame budget.") { figures($0).shortages.frames },
            .count("signals", "Signals sent to walkers and workers.") { figures($0).signals },
            .count("forks", "Children forked.") { figures($0).forks },
            .count("checks", "Times that everything was held against the model.") { figures($0).checks },
            .count("epochs", "Times that machine and region were built.") { figures($0).epochs },
        ]
    }
}
