/// Finds the kernel's page tables, its direct map and its vmemmap. Pure but for the reader.
///
/// Nothing is guessed: each is found in at least two independent ways, which must agree. And nothing is read that may
/// be registers of a device: those are mapped above the direct map, and candidates for its base are tried upwards, so
/// that a wrong one leads into the direct map or the hole below it.
struct LayoutSearch<Reader: KernelReader> {
    let reader: Reader
    let hints: LayoutHints

    private static var gibibyte: UInt64 { 1 << 30 }

    /// - Throws: ``KernelMemoryError/notFound(_:ways:)`` and ``KernelMemoryError/disagreement(_:ways:)``, and what the
    ///   reader throws for something that must be there.
    func find() throws(KernelMemoryError) -> KernelLayout {
        let mask = (UInt64(1) << UInt64(hints.physicalBits)) - 1
        let levels = hints.hasFiveLevels ? 5 : 4
        let ownRoot = rootOfTask()
        func tables(_ root: KernelAddress, _ directMap: KernelAddress, without bits: UInt64 = 0) -> KernelPageTables {
            KernelPageTables(
                levels: levels, root: root, directMap: directMap, addressMask: mask & ~bits, endFrame: hints.endFrame)
        }
        let directMap = try findDirectMap { base in
            ownRoot.map { tables($0, base, without: encryption(hints.info ?? (try? note(base)))) }
        }
        var info = hints.info
        if info == nil { info = try note(directMap.base) }
        if let told = info?.number("pgtable_l5_enabled"), (told == 1) != hints.hasFiveLevels {
            throw .disagreement(
                "levels of page tables", ways: ["/proc/cpuinfo: \(levels)", "VMCOREINFO: \(told == 1 ? 5 : 4)"])
        }
        let structPage = try structPageSize(info)
        guard let root = ownRoot ?? info?.symbol("swapper_pg_dir") else { throw .notFound("page table root", ways: []) }
        let found = tables(root, directMap.base, without: encryption(info))
        let vmemmap = try findVmemmap(found, info, structPage)
        let rootWays = try rootWays(found, ownRoot, info, vmemmap.base)
        guard let headOffset = headOffset(info) else { throw .notFound("compound_head in struct page", ways: []) }
        return KernelLayout(
            tables: found, vmemmap: vmemmap.base, structPageBytes: structPage, headOffset: headOffset,
            hugeTLBType: hugeTLBType(info), optimizedFlag: optimizedFlag,
            evidence: [
                .init(what: "page table root", value: "\(root)", ways: rootWays),
                .init(what: "direct map", value: "\(directMap.base)", ways: directMap.ways),
                .init(what: "vmemmap", value: "\(vmemmap.base)", ways: vmemmap.ways),
            ])
    }

    /// The bit of memory encryption in entries of page tables (C-bit); 0 without.
    private func encryption(_ info: VMCoreInfo?) -> UInt64 {
        UInt64(bitPattern: Int64(info?.number("sme_mask") ?? 0))
    }

    /// What was found, and by which ways.
    private typealias Found = (base: KernelAddress, ways: [String])

    /// Throws unless at least two ways lead to the same.
    private func agreed(_ what: String, _ ways: [(String, KernelAddress)]) throws(KernelMemoryError) -> Found {
        let told = ways.map { "\($0.0): \($0.1)" }
        if Set(ways.map(\.1)).count > 1 { throw .disagreement(what, ways: told) }
        guard ways.count > 1 else { throw .notFound(what, ways: told) }
        return (ways[0].1, ways.map(\.0))
    }

    // MARK: The direct map

    /// The base that shows what is known to lie in physical memory: a page of ours, and the kernel's note of
    /// VMCOREINFO.
    private func findDirectMap(
        _ tables: (KernelAddress) -> KernelPageTables?
    ) throws(KernelMemoryError) -> Found {
        let what = "direct map"
        var ways: [(String, KernelAddress)] = []
        if let base = hints.directMap { ways.append(("the headers of /proc/kcore", base)) }
        guard let base = hints.directMap ?? candidates().first(where: { showsSomething($0, tables) }) else {
            throw .notFound(what, ways: [])
        }
        if let own = hints.ownPage, let frame = own.frame {
            guard shows(own, frame, base) else {
                throw .disagreement(what, ways: ways.map(\.0) + ["no page of ours at \(base)"])
            }
            ways.append(("a page of ours (pagemap)", base))
        }
        if let own = hints.ownPage, let tables = tables(base) {
            guard let frame = walked(own, tables), shows(own, frame, base) else {
                throw .disagreement(what, ways: ways.map(\.0) + ["page tables do not lead to a page of ours"])
            }
            ways.append(("a page of ours (page tables)", base))
        }
        if hints.notePlace != nil {
            guard try note(base) != nil else {
                throw .disagreement(what, ways: ways.map(\.0) + ["no VMCOREINFO at \(base)"])
            }
            ways.append(("VMCOREINFO's note", base))
        }
        return try agreed(what, ways)
    }

    /// Multiples of 1 GiB, upwards, to an address that is known to lie in the direct map: the base is at most all of
    /// memory below it.
    private func candidates() -> LazyMapSequence<StrideThrough<UInt64>, KernelAddress> {
        let known = (rootOfTask() ?? hints.task)?.rawValue ?? 0
        let floor: UInt64 = hints.hasFiveLevels ? 0xff11_0000_0000_0000 : 0xffff_8880_0000_0000
        let top = known & ~(Self.gibibyte - 1)
        let memory = (hints.endFrame << BasePage.shift + Self.gibibyte - 1) & ~(Self.gibibyte - 1)
        guard top >= floor, memory > 0 else { return stride(from: 1, through: 0, by: 1).lazy.map { KernelAddress($0) } }
        return stride(from: top - min(memory, top - floor), through: top, by: Int(Self.gibibyte))
            .lazy.map { KernelAddress($0) }
    }

    private func showsSomething(_ base: KernelAddress, _ tables: (KernelAddress) -> KernelPageTables?) -> Bool {
        if let own = hints.ownPage {
            if let frame = own.frame { return shows(own, frame, base) }
            if let tables = tables(base), let frame = walked(own, tables) { return shows(own, frame, base) }
        }
        return (try? note(base)) != nil
    }

    private func shows(_ own: LayoutHints.OwnPage, _ frame: UInt64, _ base: KernelAddress) -> Bool {
        let place = base + frame << BasePage.shift
        guard let first = try? reader.word(at: place), first == own.words.first else { return false }
        return (try? reader.words(at: place, count: own.words.count)) == own.words
    }

    private func walked(_ own: LayoutHints.OwnPage, _ tables: KernelPageTables) -> UInt64? {
        let mapping = try? tables.mapping(of: KernelAddress(own.address), by: reader)
        return mapping.flatMap { $0.isWriteBack && $0.frame < hints.endFrame ? $0.frame : nil }
    }

    /// VMCOREINFO through a direct map; nil if its note is not there.
    private func note(_ base: KernelAddress) throws(KernelMemoryError) -> VMCoreInfo? {
        guard let place = hints.notePlace else { return nil }
        let start = base + place.address
        // The first word: a name of 11 bytes, and no more text than the note is long.
        guard let sizes = try? reader.word(at: start), sizes & 0xffff_ffff == 11, sizes >> 32 < place.length else {
            return nil
        }
        let words = try reader.words(at: start, acrossPages: (place.length + 7) / 8)
        return VMCoreInfo.text(inNotes: LittleEndianBytes(words).bytes).map { VMCoreInfo($0) }
    }

    // MARK: The root

    /// current->mm->pgd: the kernel's own copy, with and without page table isolation.
    private func rootOfTask() -> KernelAddress? {
        guard let task = hints.task, let mm = hints.btf?.offset(of: "mm", in: "task_struct"),
            let pgd = hints.btf?.offset(of: "pgd", in: "mm_struct"),
            let space = try? reader.word(at: task + UInt64(mm)), space >> 63 == 1,
            let root = try? reader.word(at: KernelAddress(space) + UInt64(pgd)), root >> 63 == 1
        else { return nil }
        return KernelAddress(root)
    }

    private func rootWays(
        _ tables: KernelPageTables, _ ownRoot: KernelAddress?, _ info: VMCoreInfo?, _ vmemmap: KernelAddress
    ) throws(KernelMemoryError) -> [String] {
        let what = "page table root"
        var ways: [String] = []
        let swapper = info?.symbol("swapper_pg_dir")
        if ownRoot != nil { ways.append("current->mm->pgd (BTF)") }
        if let swapper {
            guard try topEntry(tables, vmemmap) == topEntry(tables.with(root: swapper), vmemmap) else {
                throw .disagreement(what, ways: ways + ["swapper_pg_dir at \(swapper)"])
            }
            ways.append("swapper_pg_dir (VMCOREINFO)")
        }
        if let own = hints.ownPage, let frame = own.frame, ownRoot != nil {
            guard walked(own, tables) == frame else {
                throw .disagreement(what, ways: ways + ["pagemap has a page of ours in frame \(frame)"])
            }
            ways.append("it leads to a page of ours")
        }
        if let text = info?.symbol("_stext"), let base = info?.number("phys_base") {
            let place = text.rawValue &- 0xffff_ffff_8000_0000 &+ UInt64(bitPattern: Int64(base))
            guard try tables.mapping(of: text, by: reader)?.frame == place >> BasePage.shift else {
                throw .disagreement(what, ways: ways + ["phys_base has _stext at \(place)"])
            }
            ways.append("it leads to _stext")
        }
        guard ways.count > 1 else { throw .notFound(what, ways: ways) }
        return ways
    }

    /// The table that the highest level's entry for an address leads to: the kernel's half is the same in every address
    /// space.
    private func topEntry(
        _ tables: KernelPageTables, _ address: KernelAddress
    ) throws(KernelMemoryError) -> UInt64 {
        let index = address.rawValue >> (BasePage.shift + 9 * UInt64(tables.levels - 1)) & 511
        return try reader.word(at: tables.root + index * 8) & (tables.addressMask | KernelPageTables.present)
    }

    // MARK: The vmemmap

    private func findVmemmap(
        _ tables: KernelPageTables, _ info: VMCoreInfo?, _ structPage: Int
    ) throws(KernelMemoryError) -> Found {
        var ways: [(String, KernelAddress)] = []
        if let told = info?.symbol("vmemmap") { ways.append(("vmemmap (VMCOREINFO)", told)) }
        if let sections = info?.symbol("mem_section"), let base = baseOfSections(sections) {
            ways.append(("mem_section (VMCOREINFO)", base))
        }
        if let base = baseOfStack(tables, structPage) {
            ways.append(("the pages of the kernel's own stack (BTF)", base))
        }
        if let own = hints.ownPage, let base = ways.first?.1, let frame = own.frame ?? walked(own, tables),
            let offset = indexOffset(info)
        {
            let place = base + frame &* UInt64(structPage) + UInt64(offset)
            guard let index = try? reader.word(at: place), index == own.address >> BasePage.shift else {
                let told = ways.map { "\($0.0): \($0.1)" }
                throw .disagreement("vmemmap", ways: told + ["the struct page of a page of ours is not there"])
            }
            ways.append(("the struct page of a page of ours is there", base))
        }
        return try agreed("vmemmap", ways)
    }

    /// Each section of memory has the address that the struct page of frame 0 would have, beside flags.
    private func baseOfSections(_ sections: KernelAddress) -> KernelAddress? {
        guard let first = try? reader.word(at: sections), first >> 63 == 1,
            let coded = try? reader.word(at: KernelAddress(first)), coded & 3 == 3
        else { return nil }
        let base = coded & ~(Self.gibibyte - 1)
        return coded - base < 1 << BasePage.shift ? KernelAddress(base) : nil
    }

    /// The kernel's stack of this thread is mapped page by page (CONFIG_VMAP_STACK) and lists the struct pages: they
    /// lie as far from the base as the frames that page tables lead to say.
    private func baseOfStack(_ tables: KernelPageTables, _ structPage: Int) -> KernelAddress? {
        guard let task = hints.task, let btf = hints.btf, let stack = btf.offset(of: "stack", in: "task_struct"),
            let area = btf.offset(of: "stack_vm_area", in: "task_struct"),
            let list = btf.offset(of: "pages", in: "vm_struct"), let start = try? reader.word(at: task + UInt64(stack)),
            let mapped = try? reader.word(at: task + UInt64(area)), mapped >> 63 == 1,
            let pages = try? reader.word(at: KernelAddress(mapped) + UInt64(list)), pages >> 63 == 1
        else { return nil }
        var bases: Set<UInt64> = []
        for index: UInt64 in 0..<4 {
            guard let page = try? reader.word(at: KernelAddress(pages) + index * 8),
                let mapping = try? tables.mapping(of: KernelAddress(start) + index << BasePage.shift, by: reader)
            else { return nil }
            bases.insert(page &- mapping.frame &* UInt64(structPage))
        }
        guard bases.count == 1, let base = bases.first, base.isMultiple(of: Self.gibibyte) else { return nil }
        return KernelAddress(base)
    }

    // MARK: struct page

    private func structPageSize(_ info: VMCoreInfo?) throws(KernelMemoryError) -> Int {
        let (told, described) = (info?.size("page"), hints.btf?.size(of: "page"))
        if let told, let described, told != described {
            throw .disagreement("size of struct page", ways: ["VMCOREINFO: \(told)", "BTF: \(described)"])
        }
        guard let size = told ?? described else { throw .notFound("size of struct page", ways: []) }
        guard size == 64 else { throw .notSupported("a struct page of \(size) bytes, where the optimization needs 64") }
        return size
    }

    private func headOffset(_ info: VMCoreInfo?) -> Int? {
        let offset =
            info?.offset("page.compound_head") ?? info?.offset("page.compound_info")
            ?? hints.btf?.offset(of: "compound_head", in: "page") ?? hints.btf?.offset(of: "compound_info", in: "page")
        return offset.flatMap { $0.isMultiple(of: 8) && $0 < 64 ? $0 : nil }
    }

    /// `index` lies between `mapping` and `private`, whose places VMCOREINFO tells.
    private func indexOffset(_ info: VMCoreInfo?) -> Int? {
        if let offset = hints.btf?.offset(of: "index", in: "folio") { return offset.isMultiple(of: 8) ? offset : nil }
        guard let mapping = info?.offset("page.mapping"), let next = info?.offset("page.private"), next == mapping + 16
        else { return nil }
        return mapping.isMultiple(of: 8) ? mapping + 8 : nil
    }

    private func hugeTLBType(_ info: VMCoreInfo?) -> KernelLayout.PageType? {
        guard let offset = info?.offset("page._mapcount"), offset.isMultiple(of: 4), offset < 64,
            let value = info?.number("PAGE_HUGETLB_MAPCOUNT_VALUE")
        else { return nil }
        let top = UInt8(truncatingIfNeeded: value >> 24)
        // Linux 6.9 and 6.10 tell types by the low bits: pages without a type have this top byte, too.
        guard top != KernelLayout.PageType.none else { return nil }
        return .init(offset: offset, value: top)
    }

    private var optimizedFlag: KernelLayout.FlagBit? {
        guard let offset = hints.btf?.offset(of: "private", in: "page"), offset.isMultiple(of: 8), offset < 64,
            let bit = hints.btf?.value(of: "HPG_vmemmap_optimized", in: "hugetlb_page_flags"), (0..<64).contains(bit)
        else { return nil }
        return .init(offset: offset, bit: bit)
    }
}
