#if VMEMMAP_MUTATIONS
    internal import Glibc
    internal import HostMemory

    /// A mistake made in the engine on purpose, to see that `vmemmap stress` notices. Only in builds for `scripts/check --mutations`;
    /// `VMEMMAP_MUTATION` in the environment names one of them.
    enum Mutation: String {
        /// Restored pages are zeros for a moment before they are filled.
        case nonAtomicRestore = "non-atomic-restore"
        /// A restore takes frames that the budget does not have.
        case noBudgetCheck = "no-budget-check"
        /// Some frames are not given back.
        case leakedFrame = "leaked-frame"
        /// Nobody waits for the deferred work.
        case forgottenFlush = "forgotten-flush"
        /// The last tails of some huge pages show another huge page's frame.
        case wrongFrame = "wrong-frame"

        /// The one that is made.
        static let current: Mutation? = {
            // SAFETY: nobody changes the environment; the string is copied at once.
            guard let name = unsafe getenv("VMEMMAP_MUTATION") else { return nil }
            guard let mutation = unsafe Mutation(rawValue: String(cString: name)) else {
                fatalError("no such mutation")
            }
            return mutation
        }()
    }

    extension VmemmapRegion {
        /// Has the pages that are about to be restored show zeros.
        func showZeros(of pages: Range<HugePageIndex>) throws(HostError) {
            if plan.backing == .memfd {
                try relink(pages)
            } else {
                for page in pages {
                    let target = layout.vmemmap(of: page, plan.movedPages)
                    let fresh = try HostKernel.mapAnonymous(length: target.length)
                    try HostKernel.populate(fresh)
                    try HostKernel.move(fresh, to: target.start)
                }
            }
            HostKernel.yield()
        }
    }
#endif
