import CSystemShims
import HostMemory

// The struct pages of memory as it becomes a huge page and is taken apart again. Readers go on throughout: each word of
// a struct page changes in one step from what it was to what it will be.
extension EmulatedMachine {
    /// Makes the struct pages of free memory, in whole blocks, what the page allocator leaves: the zone, and nobody's
    /// page.
    func writePlainStructPages(of frames: Range<PageFrameNumber>) {
        guard let view = views[.twoMebibytes] else { return }
        let geometry = view.layout.geometry
        for first in stride(from: frames.lowerBound, to: frames.upperBound, by: geometry.basePagesPerHugePage) {
            store(plainBlocks[view.plan.zone(of: geometry.hugePage(of: first))], at: view.layout.structPage(of: first))
        }
    }

    /// Makes a compound page of free memory (`prep_new_huge_page()`).
    func writeCompoundStructPages(of page: HugePageIndex, _ view: VmemmapRegion) {
        // Tails first: a struct page that says it is a tail must have a head to lead to, and until then is its own.
        for (vmemmapPage, contents) in view.preparedContents(of: page, .populated).reversed() {
            store(contents, at: view.layout.vmemmap(of: page, from: vmemmapPage, count: PageCount(1)).start)
        }
    }

    /// Stores the words of struct pages, each in one step.
    private func store(_ structPages: [UInt64], at address: Address) {
        // SAFETY: the target lies in the region and is writable, since its huge page is not optimized; each word is
        // aligned.
        unsafe structPages.withUnsafeBufferPointer { words in
            guard let source = words.baseAddress, let target = unsafe address.pointer(as: UInt64.self) else { return }
            unsafe vme_store_words(target, source, words.count)
        }
    }
}
