/// How the page tables map the region as it is built.
package enum RegionMapping: String, Hashable, Sendable, Codable, CaseIterable {
    /// By page table entries, a vmemmap page each.
    case pte
    /// By PMDs, one for each 2 MiB block that the region fills, as the kernel maps its vmemmap. Optimizing splits those
    /// it reaches into (v5 patch 9); restoring merges the blocks of gigantic pages again (patches 12 and 18).
    case pmd
}
