import HostMemory
import VmemmapEmulator

/// How each vmemmap page of a region ought to be mapped, worked out from the plan alone: private or shared, with which
/// protection, and at which offset of the region's memory file. Pure.
///
/// ``AliasPattern`` tells who shares with whom, and so whether a huge page is optimized; this, whether each of its
/// pages is mapped as that state has it. The protection that keeps tails from being written, and a frame that belongs
/// to another huge page, show nowhere else.
///
/// Goes by pages of the host, of which a vmemmap page may be several.
struct MappingPattern {
    /// How a vmemmap page is mapped.
    struct Page: Hashable {
        /// The page of the memory file that it shows; nil: private anonymous memory.
        var filePage: Int?
        var isReadable = true
        var isWritable = true
        var isExecutable = false
        var isShared: Bool
        /// A mapping of another file, or a private one of a file, is never right.
        var isOtherFile = false

        /// As in /proc/PID/maps: `r--s, page 3 of the file`.
        var text: String {
            let flags =
                (isReadable ? "r" : "-") + (isWritable ? "w" : "-") + (isExecutable ? "x" : "-")
                + (isShared ? "s" : "p")
            if isOtherFile { return flags + ", another file" }
            return flags + (filePage.map { ", page \($0) of the memory file" } ?? ", anonymous memory")
        }
    }

    private let plan: MappingPlan
    /// Pages of the host in a vmemmap page.
    private let run: Int
    private let perHugePage: Int
    /// For each page that is replaced, by what, and with which protection.
    private let replacements: [Int: (frame: Frame, isWritable: Bool)]

    private enum Frame {
        case own(Int)
        case template(Int)
    }

    init(_ plan: MappingPlan) {
        self.plan = plan
        run = plan.geometry.hostPagesPerVmemmapPage
        perHugePage = plan.geometry.vmemmapPagesPerHugePage.rawValue * run
        var replacements: [Int: (frame: Frame, isWritable: Bool)] = [:]
        for replacement in plan.replacements {
            for step in 0..<replacement.count.rawValue * run {
                let frame: Frame =
                    switch replacement.frame {
                    case .own(let number): .own(number * run + step)
                    case .template(let number): .template(number * run + step)
                    }
                replacements[replacement.first.rawValue * run + step] = (frame, replacement.protection == .readWrite)
            }
        }
        self.replacements = replacements
    }

    /// How the `index`-th page of the region is mapped, its huge page optimized or not.
    func page(_ index: Int, isOptimized: Bool) -> Page {
        let (hugePage, page) = index.quotientAndRemainder(dividingBy: perHugePage)
        guard isOptimized, let (frame, isWritable) = replacements[page] else {
            return plan.backing == .memfd ? Page(filePage: index, isShared: true) : Page(isShared: false)
        }
        return Page(filePage: filePage(frame, of: hugePage), isWritable: isWritable, isShared: true)
    }

    /// Where a frame lies in the memory file: on memfd the file is the region, else it holds the huge pages' own shared
    /// frames one after the other; the templates of each zone lie behind.
    private func filePage(_ frame: Frame, of hugePage: Int) -> Int {
        let (ownFirst, own) = (plan.ownPages.lowerBound.rawValue * run, plan.ownPages.count * run)
        switch (frame, plan.backing) {
        case (.own(let number), .memfd): return hugePage * perHugePage + ownFirst + number
        case (.own(let number), .anonymous): return hugePage * own + number
        case (.template(let number), _):
            let before = (plan.backing == .memfd ? perHugePage : own) * plan.hugePages.rawValue
            return before + plan.templatesPerZone.rawValue * run * plan.zone(of: HugePageIndex(hugePage)) + number
        }
    }
}

/// Holds mappings, in order of address, against what they ought to be. Pure.
struct MappingTally {
    private let pattern: MappingPattern
    private let start: Address
    private let count: Int
    private let pageSize = HostLimits.pageSize.rawValue
    private let run: Int
    private let perHugePage: Int
    private let verdicts: [AliasPattern.Verdict]
    private var file: Mapping.FileIdentity?
    /// Pages that are mapped otherwise, or not at all.
    private var wrong = 0
    private var next = 0
    private(set) var firstDifference: String?

    /// - Parameters:
    ///   - plan: the huge pages.
    ///   - range: where their vmemmap is.
    ///   - verdicts: what became of each.
    ///   - file: the region's memory file; nil: whichever is mapped first.
    init(_ plan: MappingPlan, _ range: AddressRange, _ verdicts: [AliasPattern.Verdict], _ file: Mapping.FileIdentity?)
    {
        pattern = MappingPattern(plan)
        start = range.start
        run = plan.geometry.hostPagesPerVmemmapPage
        count = plan.framesPopulated.rawValue * run
        perHugePage = plan.geometry.vmemmapPagesPerHugePage.rawValue * run
        self.verdicts = verdicts
        self.file = file
    }

    /// Takes in the next mapping.
    mutating func add(_ mapping: Mapping) {
        let first = max(0, (mapping.range.start - start).rawValue / pageSize)
        let end = min(count, (mapping.range.end - start).rawValue / pageSize)
        skip(to: first)
        if let found = mapping.file, file == nil { file = found }
        for index in max(first, next)..<max(first, next, end) {
            let offset = (start + ByteCount(index * pageSize) - mapping.range.start) + mapping.offset
            note(
                MappingPattern.Page(
                    filePage: mapping.file.map { _ in offset.rawValue / pageSize }, isReadable: mapping.isReadable,
                    isWritable: mapping.isWritable, isExecutable: mapping.isExecutable, isShared: mapping.isShared,
                    isOtherFile: mapping.file != nil && mapping.file != file), at: index)
        }
        next = max(next, end)
    }

    /// The pages that are not mapped as the scheme has them.
    mutating func wrongPages() -> PageCount {
        skip(to: count)
        return PageCount(wrong)
    }

    private mutating func skip(to index: Int) {
        while next < index {
            note(nil, at: next)
            next += 1
        }
    }

    private mutating func note(_ found: MappingPattern.Page?, at index: Int) {
        let verdict = verdicts[index / perHugePage]
        let expected = pattern.page(index, isOptimized: verdict != .own)
        if found == expected { return }
        // Of a huge page that is neither, what is right in either state.
        if verdict == .neither, found == pattern.page(index, isOptimized: false) { return }
        wrong += 1
        firstDifference =
            firstDifference
            ?? "vmemmap page \(index % perHugePage / run) of huge page \(index / perHugePage) is "
            + "\(found?.text ?? "not mapped"); the scheme says \(expected.text)"
    }
}
