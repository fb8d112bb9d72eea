package import HostMemory

/// What looking at one huge page came to.
package enum HugePageLook: Hashable, Sendable {
    /// Two walks in a row found the same.
    case settled(HugePageView)
    /// No two of five did: somebody is changing it.
    case changing(pfn: UInt64, size: ByteCount)

    /// The number of its first frame.
    package var pfn: UInt64 {
        switch self {
        case .settled(let view): view.pfn
        case .changing(let pfn, _): pfn
        }
    }

    /// Its size.
    package var size: ByteCount {
        switch self {
        case .settled(let view): view.size
        case .changing(_, let size): size
        }
    }

    /// What was found; nil of a page that is changing.
    package var view: HugePageView? { if case .settled(let view) = self { view } else { nil } }
}

/// What looking at huge pages of the host came to. Pure values, whether they were read just now or come from a
/// recording.
package struct VmemmapLook: Hashable, Sendable {
    /// How many huge pages of a size the host says there are.
    package struct Pool: Hashable, Sendable {
        /// The size.
        package let size: ByteCount
        /// nr_hugepages, those in surplus included.
        package let pages: Int

        package init(size: ByteCount, pages: Int) {
            self.size = size
            self.pages = pages
        }
    }

    /// The host's pools.
    package let pools: [Pool]
    /// The huge pages looked at, by the number of their first frame.
    package let pages: [HugePageLook]

    package init(pools: [Pool], pages: [HugePageLook]) {
        self.pools = pools
        self.pages = pages
    }

    /// The scheme that all optimized huge pages are under; nil if there is none, they are under different ones, or
    /// tails that ought to be shared are not.
    ///
    /// Of one huge page alone, tails on a frame that is none of its own count as shared.
    package var scheme: KernelScheme? {
        let schemes = Set(pages.compactMap(\.optimizedScheme))
        guard schemes.count == 1, let scheme = schemes.first else { return nil }
        return scheme == .sharedTail && hasTailsOfItsOwnEach ? nil : scheme
    }

    /// Whether no two neighbours among the optimized huge pages show the same tail frame, and there are neighbours.
    /// The kernel shares tail frames within a zone: huge pages of one size within 1 GiB are in one.
    private var hasTailsOfItsOwnEach: Bool {
        let optimized = pages.filter { $0.optimizedScheme != nil }.sorted { $0.pfn < $1.pfn }
        let neighbours = zip(optimized, optimized.dropFirst()).filter {
            $0.size == $1.size && $1.pfn - $0.pfn <= UInt64(1 << 30 / BasePage.bytes)
        }
        return !neighbours.isEmpty
            && neighbours.allSatisfy { $0.view?.pages.last??.frame != $1.view?.pages.last??.frame }
    }

    /// Frames that one huge page may write and another shows, too: 0 under every scheme.
    package var framesOfTwoPages: Int {
        var writers: [UInt64: UInt64] = [:]
        var shared: Set<UInt64> = []
        let views = pages.compactMap(\.view)
        for view in views {
            for case let page? in view.pages where page.isWritable {
                let other = writers.updateValue(view.pfn, forKey: page.frame)
                if let other, other != view.pfn { shared.insert(page.frame) }
            }
        }
        for view in views {
            for case let page? in view.pages where !page.isWritable {
                if let writer = writers[page.frame], writer != view.pfn { shared.insert(page.frame) }
            }
        }
        return shared.count
    }

    /// How many huge pages less or more were looked at than the pools have, over all sizes; nil if a pool changed
    /// meanwhile.
    ///
    /// - Parameter before: the pools before the huge pages were searched for.
    package func missed(since before: [Pool]) -> Int? {
        guard pools == before else { return nil }
        return Set(pools.map(\.size) + pages.map(\.size)).reduce(0) { sum, size in
            let count = count(of: size)
            return sum + abs((count.inPool ?? 0) - count.pages)
        }
    }

    /// How many huge pages less or more were looked at than a pool grew by; nil if it changed after that, too.
    ///
    /// - Parameters:
    ///   - size: the size of the pool's huge pages. No others were looked at.
    ///   - before: the pools before huge pages were added.
    ///   - after: the pools after that, before they were searched for.
    package func missed(ofPagesOf size: ByteCount, added before: [Pool], to after: [Pool]) -> Int? {
        func pages(_ pools: [Pool]) -> Int? { pools.first { $0.size == size }?.pages }
        guard pools == after, let old = pages(before), let new = pages(after) else { return nil }
        return abs(new - old - count(of: size).pages)
    }

    /// The counts of one size.
    package func count(of size: ByteCount) -> VmemmapCount {
        VmemmapCount(pages.filter { $0.size == size }, inPool: pools.first { $0.size == size }?.pages, scheme: scheme)
    }
}

extension HugePageLook {
    fileprivate var optimizedScheme: KernelScheme? {
        if case .optimized(let scheme)? = view?.state { scheme } else { nil }
    }
}

/// How many huge pages of one size are in which state, and what that frees. Counted on the kernel's page tables.
package struct VmemmapCount: Hashable, Sendable {
    /// Huge pages that the host's pool says there are; nil for a size that has no pool.
    package let inPool: Int?
    /// Huge pages looked at.
    package let pages: Int
    /// Those whose tails show one read-only frame.
    package let optimized: Int
    /// Those with every frame, not all mapped by PMDs.
    package let split: Int
    /// Those with every frame, all mapped by PMDs.
    package let whole: Int
    /// Those in no state that is known.
    package let other: Int
    /// Those that did not hold still.
    package let changing: Int
    /// Vmemmap pages of all that held still.
    package let vmemmapPages: Int
    /// Vmemmap pages that are mapped less different frames: what the host has more of, page tables left out.
    package let framesFreed: Int
    /// What optimizing the split and the whole ones, too, would free; nil without an optimized one to tell the scheme
    /// by.
    package let furtherFrames: Int?
    /// Huge pages whose mark in the kernel (HPG_vmemmap_optimized) says otherwise; nil where it cannot be read.
    package let contradicted: Int?

    init(_ looks: [HugePageLook], inPool: Int?, scheme: KernelScheme?) {
        let views = looks.compactMap(\.view)
        func count(_ isCounted: (VmemmapState) -> Bool) -> Int { views.count { isCounted($0.state) } }
        self.inPool = inPool
        pages = looks.count
        optimized = looks.count { $0.optimizedScheme != nil }
        split = count { $0 == .split }
        whole = count { $0 == .whole }
        other = count { $0 == .other }
        changing = looks.count - views.count
        vmemmapPages = views.reduce(0) { $0 + $1.pages.count }
        // What nothing is mapped to shares no frame.
        let mapped = views.reduce(0) { $0 + $1.pages.count - $1.absentPages }
        framesFreed = mapped - views.reduce(into: Set()) { $0.formUnion($1.frames) }.count
        let full = views.filter { $0.state == .split || $0.state == .whole }
        furtherFrames = scheme.map { scheme in full.reduce(0) { $0 + $1.pages.count - scheme.keptPages } }
        let marked = views.compactMap { view in
            view.isMarkedOptimized.map { $0 == (HugePageLook.settled(view).optimizedScheme != nil) }
        }
        contradicted = marked.isEmpty ? nil : marked.count { !$0 }
    }
}
