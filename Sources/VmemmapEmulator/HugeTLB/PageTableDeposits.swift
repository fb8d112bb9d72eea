/// The page tables that splitting the vmemmap's PMDs takes (v5 patches 5, 13, 14). A pure value.
///
/// Each huge page has the page tables that it may need set aside before anything is split: one for 2 MiB, eight for 1
/// GiB. Where another huge page has split the PMD already, its own are not needed and go back: one page table maps the
/// vmemmap of up to 64 huge pages of 2 MiB. A gigantic page's restore merges its PMDs and gives their page tables back.
struct PageTableDeposits: Hashable, Sendable {
    private var isSplit: [Bool]
    /// Page tables in use for PMDs that were split.
    private(set) var inUse = 0

    /// A vmemmap of so many PMDs, none split.
    init(pmds: Int) { isSplit = Array(repeating: false, count: pmds) }

    /// Splits what is not split yet of `pmds`, and returns how many of the deposited page tables that took.
    @discardableResult
    mutating func withdraw(_ pmds: Range<Int>) -> Int {
        var taken = 0
        for pmd in pmds.clamped(to: isSplit.indices) where !isSplit[pmd] {
            isSplit[pmd] = true
            taken += 1
        }
        inUse += taken
        return taken
    }

    /// Merges what is split of `pmds`, and returns how many page tables that gave back.
    @discardableResult
    mutating func merge(_ pmds: Range<Int>) -> Int {
        var given = 0
        for pmd in pmds.clamped(to: isSplit.indices) where isSplit[pmd] {
            isSplit[pmd] = false
            given += 1
        }
        inUse -= given
        return given
    }
}
