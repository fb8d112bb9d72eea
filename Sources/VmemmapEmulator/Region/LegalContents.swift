import CSystemShims
package import HostMemory

/// What a vmemmap page may hold, word by word: the oracle for readers of whole pages.
///
/// A page is in one of a few states, each with its own image (`proc-maps-race` of the kernel's selftests has the same
/// idea). Of a region's huge page, page 0 holds the head and every other one tails; in the head scheme these show the
/// head while they are optimized. Where memory comes and goes as huge pages of two sizes, there is more: plain struct
/// pages, and a head and tails of each size. A word that belongs to none of a page's images is wrong. A page that a
/// replacement crosses while it is read may begin as one image and end as another; read again, it is one. Of a
/// machine's pages only those images count that the machine says the memory is used for at that moment (``BlockUses``).
///
/// For struct pages of the mirrored size (``StructPage/size``); where they straddle vmemmap pages, there are no images.
package struct LegalContents: Sendable {
    /// One image of a vmemmap page: all of its words, but for those in compound_head, which differ from huge page to
    /// huge page.
    private struct Image: Sendable {
        let words: [UInt64]
        /// The view whose huge page it describes; nil: nobody's.
        let view: Int?
        let isHead: Bool
    }

    private struct View: Sendable {
        let geometry: Geometry
        let layout: VmemmapLayout
        let tailSource: TailSource
        let encoding: CompoundHead.Encoding
        let pages: Int
        /// What the blocks of a huge page of it are used as, in a machine.
        let use: BlockUses.Uses
    }

    private let views: [View]
    /// By zone.
    private let images: [[Image]]
    private let zoneOfPage: @Sendable (Int) -> Int
    /// Of a machine, what its blocks may be read as.
    private let uses: BlockUses?
    private let brand: UInt64?
    private let wordsPerPage: Int

    private static let headWord = StructPage.compoundHeadOffset.rawValue / 8
    private static let wordsPerStructPage = StructPage.size.rawValue / 8
    /// PG_private and PG_hwpoison come and go.
    private static let volatileFlags = UInt64(1) << UInt64(VME_PG_PRIVATE) | UInt64(1) << UInt64(VME_PG_HWPOISON)
    /// `private` of struct page 4: the raw error index.
    private static let errorWord =
        Int(VME_SUBPAGE_INDEX_HWPOISON.rawValue) * wordsPerStructPage + StructPage.privateOffset.rawValue / 8

    /// `private` of struct page 2, the cgroup: the brand.
    private static let brandWord =
        Int(VME_SUBPAGE_INDEX_TEMPORARY.rawValue) * wordsPerStructPage + StructPage.privateOffset.rawValue / 8

    /// Brands the huge pages of a region, none of them optimized yet, and returns what its pages may hold from then on.
    ///
    /// Where tails hold the head's address they tell whose they are. In the shared-tail scheme nothing in a huge page
    /// does; so each gets a number of its own, in its cgroup's place (v5 patch 19).
    package init(branding region: VmemmapRegion, _ brand: UInt64) {
        for page in region.layout.allHugePages {
            HugePageFields(of: page, region.layout).cgroup = brand &+ UInt64(page.rawValue)
        }
        self.init([region], uses: nil, brand: brand)
    }

    /// What the pages of a machine's memory may hold.
    package init(of machine: EmulatedMachine) {
        self.init(machine.sizes.compactMap { machine.region($0) }, uses: machine.uses, brand: nil)
    }

    private init(_ regions: [VmemmapRegion], uses: BlockUses?, brand: UInt64?) {
        precondition(regions.allSatisfy { $0.plan.geometry.structPageSize == StructPage.size })
        self.uses = uses
        self.brand = brand
        views = regions.enumerated().map { number, region in
            View(
                geometry: region.plan.geometry, layout: region.layout, tailSource: region.plan.tailSource,
                encoding: region.plan.encoding, pages: region.plan.hugePages.rawValue,
                use: number == 0 ? .huge : .gigantic)
        }
        let first = regions.first?.plan
        wordsPerPage = (first?.geometry.basePageSize.rawValue ?? 0) / 8
        let perPage = first?.geometry.vmemmapPagesPerHugePage.rawValue ?? 1
        zoneOfPage = { page in first?.zone(of: HugePageIndex(page / perPage)) ?? 0 }
        images = (0..<(first?.zones ?? 1)).map { zone in
            var images: [Image] = []
            for (number, region) in regions.enumerated() {
                guard let page = region.layout.allHugePages.first(where: { region.plan.zone(of: $0) == zone }) else {
                    continue
                }
                for vmemmapPage in 0...1 {
                    let contents = StructPage.prepared(
                        VmemmapPageIndex(vmemmapPage), of: page, region.plan, in: region.layout)
                    images.append(Image(words: contents, view: number, isHead: vmemmapPage == 0))
                }
            }
            if uses != nil {
                let count = first?.geometry.structPagesPerVmemmapPage ?? 0
                let plain = first.map { StructPage.plain(count, zone: zone, $0.geometry) } ?? []
                images.append(Image(words: plain, view: nil, isHead: false))
            }
            return images
        }
    }

    /// What was wrong with a page.
    package struct Wrong: Sendable {
        /// The byte in it.
        package let offset: ByteCount
        /// What was there; nil if it could not be read.
        package let word: UInt64?
    }

    /// What a page was seen to be.
    package enum Seen: Sendable {
        /// One of its images.
        case whole
        /// Each word is one of an image, but they are of no single one: a change crossed the read.
        case crossed
        case wrong(Wrong)
    }

    /// Reads vmemmap page `page`, counted from the start of the region, and holds it against its images.
    package func observe(_ page: Int) -> Seen {
        guard let first = views.first else { return .whole }
        let start = first.layout.base + first.geometry.basePageSize * page
        let images = images[zoneOfPage(page)]
        // The first view is that of the smallest huge pages, which are the blocks.
        let block = page / first.geometry.vmemmapPagesPerHugePage.rawValue
        let before = uses?.moment(ofBlock: block)
        // Bit n: image n agrees so far.
        var agreeing = UInt32(truncatingIfNeeded: (1 << images.count) - 1)
        for (number, image) in images.enumerated() where !isPossible(image, at: page) {
            agreeing &= ~(1 << UInt32(number))
        }
        let possible = agreeing
        // Those among them that the block may be read as now.
        if let before {
            for (number, image) in images.enumerated()
            where !before.uses.contains(image.view.map { views[$0].use } ?? .plain) {
                agreeing &= ~(1 << UInt32(number))
            }
        }
        let allowed = agreeing
        var firstNotAllowed: Wrong?
        // What compound_head holds is worked out once a page and image.
        let heads = images.map { headWord($0, at: page) }
        let brand = brand.map { $0 &+ UInt64(page / first.geometry.vmemmapPagesPerHugePage.rawValue) }
        for index in 0..<wordsPerPage {
            // SAFETY: the page lies in the region, which its views keep; the load survives a gap in it.
            guard let word = unsafe MemoryAccess.tryLoad(start + ByteCount(8 * index)) else {
                return .wrong(Wrong(offset: ByteCount(8 * index), word: nil))
            }
            var agreeingHere: UInt32 = 0
            for number in 0..<images.count where possible >> UInt32(number) & 1 == 1 {
                if agrees(word, index, images[number], heads[number], brand) { agreeingHere |= 1 << UInt32(number) }
            }
            agreeing &= agreeingHere
            let wrong = Wrong(offset: ByteCount(8 * index), word: word)
            if agreeingHere == 0 { return .wrong(wrong) }
            if agreeingHere & allowed == 0 { firstNotAllowed = firstNotAllowed ?? wrong }
        }
        // Where the struct pages were rewritten meanwhile, nothing more can be said of this reading.
        if uses?.moment(ofBlock: block) != before { return .crossed }
        if let firstNotAllowed { return .wrong(firstNotAllowed) }
        return agreeing == 0 ? .crossed : .whole
    }

    /// Whether a vmemmap page can ever show an image.
    private func isPossible(_ image: Image, at page: Int) -> Bool {
        guard let number = image.view else { return true }
        let view = views[number]
        let perPage = view.geometry.vmemmapPagesPerHugePage.rawValue
        guard page / perPage < view.pages else { return false }
        let isFirst = page % perPage == 0
        return image.isHead ? isFirst || view.tailSource == .head : !isFirst
    }

    private func headWord(_ image: Image, at page: Int) -> UInt64 {
        guard let number = image.view else { return 0 }
        let view = views[number]
        let perPage = view.geometry.vmemmapPagesPerHugePage.rawValue
        return CompoundHead.tailWord(
            view.encoding, head: view.layout.vmemmap(of: HugePageIndex(page / perPage)).start,
            order: view.geometry.order)
    }

    @inline(__always)
    private func agrees(
        _ word: UInt64, _ index: Int, _ image: Image, _ head: UInt64, _ brand: UInt64?
    ) -> Bool {
        let field = index % Self.wordsPerStructPage
        if field == Self.headWord {
            // The head itself, and nobody's page, lead nowhere.
            return word == (image.view == nil || (image.isHead && index == Self.headWord) ? 0 : head)
        }
        if let brand, image.isHead, index == Self.brandWord { return word == brand }
        if word == image.words[index] { return true }
        guard uses != nil else { return false }
        if field == 0 { return word & ~Self.volatileFlags == image.words[index] & ~Self.volatileFlags }
        return index == Self.errorWord && image.isHead && word < UInt64(Int32.max)
    }
}
