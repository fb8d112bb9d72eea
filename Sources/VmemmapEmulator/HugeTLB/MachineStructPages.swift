import CSystemShims
import HostMemory

// The struct pages of memory as it becomes a huge page and is taken apart again. Readers go on throughout: each word of
// a struct page changes in one step from what it was to what it will be.
extension EmulatedMachine {
    /// Makes the struct pages of free memory, from the beginning of a block on, what the page allocator leaves: the
    /// zone, and nobody's page.
    func writePlainStructPages(of frames: Range<PageFrameNumber>) {
        let geometry = smallView.layout.geometry
        let last = smallView.layout.allHugePages.last ?? HugePageIndex(0)
        for first in stride(from: frames.lowerBound, to: frames.upperBound, by: geometry.basePagesPerHugePage) {
            let block = plainBlocks[smallView.plan.zone(of: min(last, geometry.hugePage(of: first)))]
            let length = min(geometry.basePagesPerHugePage, first.distance(to: frames.upperBound))
            let words = geometry.structPageSize.rawValue / 8 * length
            let address = smallView.layout.structPage(of: first)
            if words == block.count {
                store(block, at: address)
            } else {
                store(Array(block.prefix(words)), at: address)
            }
        }
    }

    /// Makes a compound page of free memory (`prep_new_huge_page()`).
    func writeCompoundStructPages(of page: HugePageIndex, _ view: VmemmapRegion) {
        // Tails first: a struct page that says it is a tail must have a head to lead to, and until then is its own.
        for (vmemmapPage, contents) in view.preparedContents(of: page, .populated).reversed() {
            store(contents, at: view.layout.vmemmap(of: page, from: vmemmapPage, count: PageCount(1)).start)
        }
    }

    /// Stores the words of struct pages, each in one step: a copy in bulk promises nothing to those who read meanwhile.
    private func store(_ structPages: [UInt64], at address: Address) {
        // SAFETY: the target lies in the region and is writable, since its huge page is not optimized; each word is
        // aligned.
        guard let target = unsafe address.pointer(as: UInt64.self) else { return }
        for index in structPages.indices { unsafe vme_store_release(target + index, structPages[index]) }
    }
}
