/// What a stress run checks, each by its name in exports.
enum StressCheck: String, Hashable, Sendable, CaseIterable {
    /// Of every read: the word leads to the head that the geometry alone says.
    case walkerSeesHead = "walker_sees_head"
    /// By the one who holds it, when it is got and when it is given back.
    case heldFramesLeadToHead = "held_frames_lead_to_head"
    /// Word for word, by walkers while it changes, and by the oracle.
    case pageIsLegal = "page_is_legal"
    /// Of huge pages that one worker has for itself.
    case operationIsWhole = "operation_is_whole"
    /// Of every operation.
    case failsOnlyIfHindered = "fails_only_if_hindered"
    /// With nothing in the way any more.
    case leftoversAreMended = "leftovers_are_mended"
    /// The same for huge pages of the machine that were set aside.
    case setAsideIsMended = "set_aside_is_mended"
    /// Huge pages and surplus, by what stood before.
    case poolIsAsAsked = "pool_is_as_asked"
    /// Against what the workers hold and have reserved.
    case poolCountsAddUp = "pool_counts_add_up"
    /// All of the machine's memory.
    case basePagesAddUp = "base_pages_add_up"
    /// In rounds that have one.
    case keepsToFrameBudget = "keeps_to_frame_budget"
    /// nr_memmap_pages and nr_memmap_boot_pages.
    case memmapCountersAgree = "memmap_counters_agree"
    /// By pagemap.
    case machineFrames = "machine_frames"
    /// By /proc/self/maps.
    case machineMappings = "machine_mappings"
    /// By st_blocks, of machine and region.
    case fileHoldsWhatIsShown = "file_holds_what_is_shown"
    /// By pagemap.
    case regionFrames = "region_frames"
    /// By /proc/self/maps.
    case regionMappings = "region_mappings"
    /// Private or shared, and with which access, of each vmemmap page. That it is the right page of the file, its
    /// contents tell.
    case pagesAreMappedAsTheirState = "pages_are_mapped_as_their_state"
    /// By /proc/self/fd.
    case noDescriptorIsLost = "no_descriptor_is_lost"
    /// Neither stores nor mappings.
    case childGetsNothing = "child_gets_nothing"
    /// As what a set-up built is taken down, as all that follow but the last.
    case heldCanBeFreed = "held_can_be_freed"
    /// Of both sizes.
    case poolShrinksToNothing = "pool_shrinks_to_nothing"
    /// The region.
    case everythingCanBeRestored = "everything_can_be_restored"
    /// The machine.
    case everythingIsBack = "everything_is_back"
    /// Between two set-ups: resident memory, mappings, descriptors.
    case processDoesNotGrow = "process_does_not_grow"
}

extension StressCheck {
    /// Its name in exports.
    var id: String { rawValue }

    /// What is so if it passes.
    var statement: String {
        switch self {
        case .walkerSeesHead: "a walker sees the right compound_head"
        case .heldFramesLeadToHead: "each frame of a huge page in use leads to its head"
        case .pageIsLegal: "a vmemmap page equals one of its legal states"
        case .operationIsWhole: "an operation does all that was asked, or nothing but what its error names"
        case .failsOnlyIfHindered: "an operation fails only if something stands in its way"
        case .leftoversAreMended: "what a failure left is mended by the next operation"
        case .setAsideIsMended: "huge pages set aside are mended by the next change of a pool"
        case .poolIsAsAsked: "a pool becomes as large as asked"
        case .poolCountsAddUp: "the pool's counts add up"
        case .basePagesAddUp: "every base page is free, in a huge page, or has a memory error"
        case .keepsToFrameBudget: "restores keep to the frame budget"
        case .memmapCountersAgree: "the counters of the memory map agree with the pool"
        case .machineFrames: "the frames behind the machine are those of the model"
        case .machineMappings: "the machine has no more mappings than its plans say"
        case .fileHoldsWhatIsShown: "the memory file holds what is shown"
        case .regionFrames: "the frames behind the region are those of the plan"
        case .regionMappings: "the region has the mappings of the plan"
        case .pagesAreMappedAsTheirState: "each vmemmap page is mapped as its state says"
        case .noDescriptorIsLost: "no descriptor is lost"
        case .childGetsNothing: "a child gets no part of the memory"
        case .heldCanBeFreed: "a huge page in use can be freed"
        case .poolShrinksToNothing: "a pool shrinks to nothing"
        case .everythingCanBeRestored: "everything can be restored at the end"
        case .everythingIsBack: "everything is back at the end"
        case .processDoesNotGrow: "the process does not grow"
        }
    }

    /// What came of it.
    ///
    /// - Parameters:
    ///   - times: how often it was looked at, by whoever looks: reads, operations, pages or rounds.
    ///   - isViolated: whether it was not so once, which ends a run.
    func result(times: Int, isViolated: Bool) -> Check {
        let wasLookedAt = times > 0 || isViolated
        return Check(
            id, statement,
            [.tried("times", times)]
                + (wasLookedAt ? [.equal("violations", 0, isViolated ? 1 : 0)] : []),
            method: wasLookedAt ? "" : "this run did not look at it")
    }
}
