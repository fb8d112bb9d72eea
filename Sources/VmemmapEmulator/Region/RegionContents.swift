import Glibc
package import HostMemory

extension VmemmapRegion {
    /// Fills the struct pages of every huge page. The region is not shared with anybody yet.
    func prepareStructPages() {
        for page in layout.allHugePages {
            for (vmemmapPage, contents) in preparedContents(of: page, .populated) {
                contents.copy(to: layout.vmemmap(of: page, from: vmemmapPage, count: PageCount(1)).start)
            }
        }
    }

    /// A vmemmap page that does not hold what was prepared.
    package struct Difference: Hashable, Sendable {
        /// The huge page.
        package let page: HugePageIndex
        /// Its vmemmap page.
        package let vmemmapPage: VmemmapPageIndex
        /// The first byte that differs.
        package let offset: ByteCount
    }

    /// Compares the whole region, byte for byte, with what its building put there, and returns the vmemmap pages that
    /// differ. Optimized huge pages are compared with what their vmemmap pages are to show; of torn ones the uncertain
    /// vmemmap pages are left out.
    ///
    /// Nobody may write meanwhile. Reads every page, and so faults every mapping in.
    package func differencesFromPrepared() -> [Difference] {
        layout.allHugePages.flatMap { page in
            let state = states.state(of: page)
            let shown = preparedContents(of: page, state)
            let tear = state.tear
            let asOptimized = tear.map { _ in preparedContents(of: page, .optimized) }
            return zip(shown, asOptimized ?? shown).compactMap { own, shared -> Difference? in
                if tear?.uncertain.contains(own.0) == true { return nil }
                let (vmemmapPage, contents) = tear?.replaced.contains(own.0) == true ? shared : own
                let address = layout.vmemmap(of: page, from: vmemmapPage, count: PageCount(1)).start
                return firstDifference(at: address, from: contents).map {
                    Difference(page: page, vmemmapPage: vmemmapPage, offset: $0)
                }
            }
        }
    }

    /// What the prep leaves in each vmemmap page of a huge page, as it is to be seen in `state`: one image for the
    /// first page, one for all the others, which in the head scheme show the first while they are optimized. Where
    /// struct pages straddle vmemmap pages, one for each.
    func preparedContents(
        of page: HugePageIndex, _ state: HugePageState
    ) -> some BidirectionalCollection<(VmemmapPageIndex, [UInt64])> {
        let first = StructPage.prepared(VmemmapPageIndex(0), of: page, plan, in: layout)
        let showsFirst = plan.tailSource == .head && plan.isWorthwhile && state == .optimized
        let other = showsFirst ? first : StructPage.prepared(VmemmapPageIndex(1), of: page, plan, in: layout)
        let isStraddled = !layout.geometry.hasPowerOfTwoStructPage
        let (pageSize, length) = (plan.geometry.basePageSize.rawValue, plan.geometry.vmemmapBytesPerHugePage.rawValue)
        return (0..<((length + pageSize - 1) / pageSize)).lazy.map { [plan, layout] number in
            let index = VmemmapPageIndex(number)
            if number == 0 { return (index, first) }
            return (index, isStraddled ? StructPage.prepared(index, of: page, plan, in: layout) : other)
        }
    }

    private func firstDifference(at address: Address, from contents: [UInt64]) -> ByteCount? {
        // SAFETY: the page at `address` is part of the region, mapped readable, and as long as `contents`.
        unsafe contents.withUnsafeBytes { expected in
            guard let found = unsafe address.pointer(as: UInt8.self), let start = expected.baseAddress else {
                return nil
            }
            if unsafe memcmp(found, start, expected.count) == 0 { return nil }
            return expected.indices.first { unsafe found[$0] != expected[$0] }.map { ByteCount($0) }
        }
    }
}
