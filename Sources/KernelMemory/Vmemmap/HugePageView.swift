package import HostMemory

/// Which mapping scheme the kernel uses, told by what its page tables show.
package enum KernelScheme: String, Hashable, Sendable, Codable, CaseIterable {
    /// Tails on the frame of vmemmap page 1, which stays writable (Linux 5.14 to 5.17).
    case firstTail = "first-tail"
    /// Tails on the head's own frame (Linux 5.18 to 7.0).
    case head
    /// Tails on a frame that is no huge page's own (Linux 7.1).
    case sharedTail = "shared-tail"

    /// The vmemmap pages of a huge page that keep a frame of their own.
    package var keptPages: Int { self == .firstTail ? 2 : 1 }
}

/// What the kernel's page tables make of a huge page's vmemmap.
package enum VmemmapState: Hashable, Sendable {
    /// Its tails show one frame, read-only.
    case optimized(KernelScheme)
    /// Every vmemmap page has a frame of its own and is writable, but not all are mapped by PMDs any more: it was
    /// optimized before, or a neighbour is.
    case split
    /// The same, all mapped by PMDs (or PUDs): never touched.
    case whole
    /// None of these.
    case other
}

/// The vmemmap of one huge page, as the kernel's page tables map it. Pure.
package struct HugePageView: Hashable, Sendable {
    /// The number of the huge page's first frame.
    package let pfn: UInt64
    /// Its size.
    package let size: ByteCount
    /// Where its vmemmap begins.
    package let vmemmap: KernelAddress
    /// What each vmemmap page maps, in order; nil where nothing is mapped.
    package let pages: [KernelMapping?]
    /// What the kernel's own flag says (HPG_vmemmap_optimized); nil where this kernel does not tell how to read it.
    package let isMarkedOptimized: Bool?

    /// Different frames.
    package var frames: Set<UInt64> { Set(pages.compactMap { $0?.frame }) }
    /// Vmemmap pages that nothing may be stored to.
    package var readOnlyPages: Int { pages.count { $0?.isWritable == false } }
    /// Vmemmap pages without a frame.
    package var absentPages: Int { pages.count { $0 == nil } }
    /// Vmemmap pages that an entry of their own maps.
    package var splitPages: Int { pages.count { $0?.level == .pte } }

    /// What that amounts to.
    package var state: VmemmapState {
        let mapped = pages.compactMap { $0 }
        guard mapped.count == pages.count, mapped.count > 2, let last = mapped.last else { return .other }
        if mapped.allSatisfy(\.isWritable), frames.count == mapped.count {
            return mapped.contains { $0.level == .pte } ? .split : .whole
        }
        let scheme: KernelScheme =
            if last.frame == mapped[0].frame { .head } else if last.frame == mapped[1].frame, mapped[1].isWritable {
                .firstTail
            } else { .sharedTail }
        let (kept, tails) = (mapped.prefix(scheme.keptPages), mapped.dropFirst(scheme.keptPages))
        guard kept.allSatisfy(\.isWritable), tails.allSatisfy({ !$0.isWritable && $0.frame == last.frame }),
            Set(kept.map(\.frame)).count == kept.count
        else { return .other }
        return .optimized(scheme)
    }
}
