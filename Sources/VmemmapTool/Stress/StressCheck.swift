/// What a stress run checks, each with its statement.
enum StressCheck: String, Hashable, Sendable, Codable, CaseIterable {
    /// Of every read: the word leads to the head that the geometry alone says.
    case walkerSeesHead = "a walker sees the right compound_head"
    /// By the one who holds it, when it is got and when it is given back.
    case heldFramesLeadToHead = "each frame of a huge page in use leads to its head"
    /// Word for word, by walkers while it changes, and by the oracle.
    case pageIsLegal = "a vmemmap page equals one of its legal states"
    /// Of huge pages that one worker has for itself.
    case operationIsWhole = "an operation does all that was asked, or nothing but what its error names"
    /// Of every operation.
    case failsOnlyIfHindered = "an operation fails only if something stands in its way"
    /// With nothing in the way any more.
    case leftoversAreMended = "what a failure left is mended by the next operation"
    /// The same for huge pages of the machine that were set aside.
    case setAsideIsMended = "huge pages set aside are mended by the next change of a pool"
    /// Huge pages and surplus, by what stood before.
    case poolIsAsAsked = "a pool becomes as large as asked"
    /// Against what the workers hold and have reserved.
    case poolCountsAddUp = "the pool's counts add up"
    /// All of the machine's memory.
    case basePagesAddUp = "every base page is free, in a huge page, or has a memory error"
    /// In rounds that have one.
    case keepsToFrameBudget = "restores keep to the frame budget"
    /// nr_memmap_pages and nr_memmap_boot_pages.
    case memmapCountersAgree = "the counters of the memory map agree with the pool"
    /// By pagemap.
    case machineFrames = "the frames behind the machine are those of the model"
    /// By /proc/self/maps.
    case machineMappings = "the machine has no more mappings than its plans say"
    /// By st_blocks, of machine and region.
    case fileHoldsWhatIsShown = "the memory file holds what is shown"
    /// By pagemap.
    case regionFrames = "the frames behind the region are those of the plan"
    /// By /proc/self/maps.
    case regionMappings = "the region has the mappings of the plan"
    /// Private or shared, and with which access, of each vmemmap page. That it is the right page of the file, its
    /// contents tell.
    case pagesAreMappedAsTheirState = "each vmemmap page is mapped as its state says"
    /// By /proc/self/fd.
    case noDescriptorIsLost = "no descriptor is lost"
    /// Neither stores nor mappings.
    case childGetsNothing = "a child gets no part of the memory"
    /// As what a set-up built is taken down, as all that follow but the last.
    case heldCanBeFreed = "a huge page in use can be freed"
    /// Of both sizes.
    case poolShrinksToNothing = "a pool shrinks to nothing"
    /// The region.
    case everythingCanBeRestored = "everything can be restored at the end"
    /// The machine.
    case everythingIsBack = "everything is back at the end"
    /// Between two set-ups: resident memory, mappings, descriptors.
    case processDoesNotGrow = "the process does not grow"
}

extension StressCheck {
    /// Its name in exports: `walker_sees_head`.
    var id: String { Format.words("\(self)").replacing(" ", with: "_") }

    /// What came of it.
    ///
    /// - Parameters:
    ///   - times: how often it was looked at, by whoever looks: reads, operations, pages or rounds.
    ///   - isViolated: whether it was not so once, which ends a run.
    func result(times: Int, isViolated: Bool) -> Check {
        let wasLookedAt = times > 0 || isViolated
        return Check(
            id, rawValue,
            [.some("times", times > 0 ? times : nil)]
                + (wasLookedAt ? [.equal("violations", 0, isViolated ? 1 : 0)] : []),
            method: wasLookedAt ? "" : "this run did not look at it")
    }
}
