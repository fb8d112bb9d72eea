import HostMemory
import SystemPackage
import VmemmapEmulator

/// What the demo checks, on the region as it stands.
enum DemoChecks {
    /// What can be checked while the region is optimized.
    static func optimized(_ region: VmemmapRegion) throws -> [Check] {
        let plan = region.plan
        let frames = try FrameCount.count(in: region.range)
        let shared = plan.fileFrames(optimized: plan.hugePages).bytes(pageSize: plan.geometry.basePageSize)
        return [
            Check(
                "distinct_frames", "the region has the frames of the plan",
                [.equal("distinct_frames", plan.hostFrames(plan.framesOptimized).rawValue, frames.distinct.rawValue)],
                method: "/proc/self/pagemap and maps, frames told apart by \(frames.method.rawValue)"),
            Check(
                "shared_frames", "the memory file holds the shared frames, and nothing else",
                [
                    .equal("memfd_bytes", shared.rawValue, try region.sharedFrameBytes().rawValue),
                    .equal(
                        "anonymous_pages", plan.hostFrames(plan.anonymousFrames(optimized: plan.hugePages)).rawValue,
                        frames.presentAnonymous.rawValue),
                ],
                method: "fstat st_blocks; present anonymous pages of /proc/self/pagemap"),
            storesFault(region),
            staysReadOnly(region),
        ]
    }

    /// What can be checked once it is restored.
    static func restored(
        _ region: VmemmapRegion, walked: DemoResult.UnderWalkers, tour: Walkers.Tally
    ) throws -> [Check] {
        let plan = region.plan
        let differences = region.differencesFromPrepared()
        let unoptimized = plan.fileFrames(optimized: .zero).bytes(pageSize: plan.geometry.basePageSize)
        let frames = try FrameCount.count(in: region.range)
        return [
            Check(
                "walkers_read_right",
                "walkers read the right compound_head while huge pages are optimized and restored",
                [
                    .equal("wrong_reads", 0, walked.wrongReads), .some("reads", walked.reads),
                    .some("cycles", walked.cycles), .equal("cycles_not_back", 0, walked.cyclesNotBack),
                    .equal("wrong_reads_of_the_optimized_tour", 0, tour.wrong),
                    .some("reads_of_the_optimized_tour", tour.reads),
                ],
                method: Check.byWalkers),
            Check(
                "contents_unchanged", "every vmemmap page has its contents again",
                [
                    .equal("differing_vmemmap_pages", 0, differences.count),
                    .some("compared_bytes", region.range.length.rawValue),
                ],
                method: "memcmp of every vmemmap page with what was written when the region was built"),
            Check(
                "figures_back", "frames, memory file and mappings are back where they were",
                [
                    .equal(
                        "distinct_frames", plan.hostFrames(plan.framesPopulated).rawValue, frames.distinct.rawValue),
                    .equal("memfd_bytes", unoptimized.rawValue, try region.sharedFrameBytes().rawValue),
                    .equal(
                        "region_present_pages", plan.hostFrames(plan.framesPopulated).rawValue,
                        frames.present.rawValue),
                    .equal(
                        "region_mappings", plan.regionMappings(.restored).rawValue,
                        try ProcMaps.count(overlapping: region.range).rawValue),
                ],
                method: "as above; on the anonymous backing what one call has moved in stays a mapping of its own"),
        ]
    }

    /// What became of the blocks that PMDs map, over the steps.
    static func pmdMapped(_ plan: MappingPlan, _ steps: [StepResult]) -> Check {
        func memory(_ step: Step) -> MemoryFigures? { steps.first { $0.step == step }?.figures }
        func blocks(_ step: Step) -> Int? { memory(step)?.pmdMappedBytes.value.map { $0.rawValue >> 21 } }
        func marks(_ step: Step) -> Int? { memory(step)?.splitBlocks.value }
        let built = blocks(.populated) ?? 0
        let merged = plan.mergesOnRestore ? built : 0
        var figures: [Check.Figure] = [
            .some("blocks_mapped_by_pmd_populated", blocks(.populated)),
            .equal("blocks_mapped_by_pmd_optimized", 0, blocks(.optimized)),
            .equal("blocks_marked_split_optimized", built, marks(.optimized)),
            .equal("blocks_mapped_by_pmd_restored", merged, blocks(.restored)),
            .equal("blocks_marked_split_restored", built - merged, marks(.restored)),
        ]
        // Over a memory file what a hole leaves may be small folios of several pages: its size tells there.
        if plan.backing == .anonymous, let left = memory(.optimized)?.pagesInHugeFolios.value {
            figures.append(.equal("pages_in_huge_folios_optimized", 0, left.rawValue))
        }
        return Check(
            "pmd_mapped", "PMDs map the region, optimizing splits them, a restore of gigantic pages merges them",
            figures, method: "PAGEMAP_SCAN of the region, 2 MiB blocks; KPF_THP of /proc/kpageflags")
    }

    /// The first and the last read-only vmemmap page of every huge page.
    private static func sharedTails(_ region: VmemmapRegion) -> [AddressRange] {
        let last = VmemmapPageIndex(region.plan.geometry.vmemmapPagesPerHugePage.rawValue - 1)
        let first = region.plan.writablePages.upperBound
        return region.layout.allHugePages.flatMap { page in
            [first, last].map { region.layout.vmemmap(of: page, from: $0, count: PageCount(1)) }
        }
    }

    private static func storesFault(_ region: VmemmapRegion) -> Check {
        let tails = sharedTails(region)
        let refused = tails.count { tail in
            // SAFETY: the address is in the region, which is kept; the store survives its fault. Should it succeed,
            // the check fails and the contents are found changed.
            let outcome = unsafe MemoryAccess.tryStore(0, at: tail.start + StructPage.compoundHeadOffset)
            return outcome == .refused
        }
        return Check(
            "tail_store_faults", "a store into a tail page faults",
            [.equal("faulting_stores", tails.count, refused), .some("stores", tails.count)],
            method: "a store into the first and last read-only page of each huge page: SIGSEGV, si_code SEGV_ACCERR")
    }

    /// Only EACCES says that the mapping may not be made writable. Any other refusal, of memory for instance, says
    /// nothing of that.
    static func staysReadOnly(_ region: VmemmapRegion) -> Check {
        let tails = sharedTails(region)
        var (refused, granted) = (0, 0)
        var otherwise: HostError?
        for tail in tails {
            do throws(HostError) {
                try HostKernel.protect(tail, .readWrite)
                granted += 1
            } catch {
                if error.errno == .permissionDenied { refused += 1 } else { otherwise = otherwise ?? error }
            }
        }
        return Check(
            "tail_stays_read_only", "a tail page cannot be made writable",
            [
                .equal("granted_mprotects", 0, granted),
                .equal("refused_mprotects", tails.count, granted == 0 && otherwise != nil ? nil : refused),
                .some("mprotects", tails.count),
            ],
            method: "mprotect(PROT_READ | PROT_WRITE) on the same pages: EACCES"
                + (otherwise.map { "; some ended otherwise, which tells nothing: \($0)" } ?? ""))
    }
}
