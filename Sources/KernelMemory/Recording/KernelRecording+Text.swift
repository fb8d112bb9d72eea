import HostMemory

// A line for each thing, its name first. Numbers are hexadecimal digits, but for counts and sizes.
//
//     vmemmap-kernel-recording 1
//     kernel Linux 6.18.44 x86_64
//     levels 4
//     root ffff888102f70000
//     direct-map ffff888000000000
//     address-mask 00003ffffffff000
//     vmemmap ffffea0000000000
//     struct-page 64 8            its size, and where a tail's word lies
//     page-type 48 244            where it lies, and its top byte on a HugeTLB page; may be missing
//     optimized-flag 40 4         the word and the bit; may be missing
//     found WHAT: ADDRESS: WAY; WAY
//     look on
//     pool 2097152 2
//     page 1c3e00 2097152
//     ffffea00070f8028 10         words from an address on
//     ffff888404d49000 8000000404d49163 8000000404d49121*7
//     page 1c4000 2097152
//     changing
//     end                         the last line: without it, a part is missing
extension KernelRecording {
    static let firstLine = "vmemmap-kernel-recording 1"
    static let lastLine = "end"

    /// The text of the recording.
    package var text: String {
        func hex(_ number: UInt64) -> String { Hexadecimal.padded(number) }
        var lines = [
            Self.firstLine, "kernel \(kernel)", "levels \(layout.tables.levels)",
            "root \(hex(layout.tables.root.rawValue))", "direct-map \(hex(layout.tables.directMap.rawValue))",
            "address-mask \(hex(layout.tables.addressMask))", "vmemmap \(hex(layout.vmemmap.rawValue))",
            "struct-page \(layout.structPageBytes) \(layout.headOffset)",
        ]
        if let type = layout.hugeTLBType { lines.append("page-type \(type.offset) \(type.value)") }
        if let flag = layout.optimizedFlag { lines.append("optimized-flag \(flag.offset) \(flag.bit)") }
        for found in layout.evidence {
            lines.append("found \(found.what): \(found.value): \(found.ways.joined(separator: "; "))")
        }
        for look in looks {
            lines.append("look \(look.kind.rawValue)")
            lines += look.pools.map { "pool \($0.size.rawValue) \($0.pages)" }
            for page in look.pages {
                lines.append("page \(String(page.pfn, radix: 16)) \(page.size.rawValue)")
                lines += page.words.map { $0.lines } ?? ["changing"]
            }
        }
        lines.append(Self.lastLine)
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads a recording.
    ///
    /// - Throws: ``KernelMemoryError/recording(line:_:)`` for anything else, and for more than there can be.
    package init(text: String) throws(KernelMemoryError) { try self.init(text: text, mostWords: Limit.allWords) }

    /// The same with another limit, for a test.
    init(text: String, mostWords: Int) throws(KernelMemoryError) {
        var parser = RecordingParser(wordsLeft: mostWords)
        if text.utf8.count > Limit.bytes { throw .recording(line: 1, "more than \(Limit.bytes >> 20) MiB") }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) { try parser.take(line) }
        self = try parser.finish()
    }
}

extension RecordedWords {
    /// One line for each run of addresses, and one number for each run of equal words.
    fileprivate var lines: [String] {
        var lines: [String] = []
        var line = ""
        var next: UInt64?
        var (last, times) = (UInt64(0), 0)
        func flush() {
            if times > 0 { line += " " + String(last, radix: 16) + (times > 1 ? "*\(times)" : "") }
            times = 0
        }
        for (address, word) in words.sorted(by: { $0.key < $1.key }) {
            if address != next {
                flush()
                if !line.isEmpty { lines.append(line) }
                line = Hexadecimal.padded(address)
            }
            if times > 0, word != last { flush() }
            (last, times) = (word, times + 1)
            next = address &+ 8
        }
        flush()
        if !line.isEmpty { lines.append(line) }
        return lines
    }
}

/// Takes a recording in line by line.
private struct RecordingParser {
    private typealias Limit = KernelRecording.Limit

    private var number = 0
    private var headers: [Substring: Substring] = [:]
    private var evidence: [KernelLayout.Evidence] = []
    /// Complete when the first look begins.
    private var found: KernelLayout?
    private var looks: [KernelRecording.Look] = []
    private var pages = 0
    private var wordsLeft: Int
    private var isEnded = false
    // The look and the page that are being read.
    private var kind: LookKind?
    private var pools: [VmemmapLook.Pool] = []
    private var done: [KernelRecording.Page] = []
    private var page: (pfn: UInt64, size: ByteCount)?
    /// Where the look's next huge page can begin, in frames.
    private var next: UInt64 = 0
    private var words = RecordedWords()
    private var isChanging = false

    private static let headerNames: Set<Substring> = [
        "kernel", "levels", "root", "direct-map", "address-mask", "vmemmap", "struct-page", "page-type",
        "optimized-flag",
    ]

    init(wordsLeft: Int) { self.wordsLeft = wordsLeft }

    private func error(_ what: String) -> KernelMemoryError { .recording(line: number, what) }

    mutating func take(_ line: Substring) throws(KernelMemoryError) {
        number += 1
        guard line.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw error("a byte that is no printable ASCII character")
        }
        if number == 1 {
            guard line == KernelRecording.firstLine[...] else { throw error("not a recording of this version") }
            return
        }
        guard !line.isEmpty else { return }
        let end = line.firstIndex(of: " ") ?? line.endIndex
        let (name, rest) = (line[..<end], line[end...].dropFirst())
        if isEnded { throw error("more after the last line") }
        switch name {
        case KernelRecording.lastLine[...] where rest.isEmpty: isEnded = true
        case _ where Self.headerNames.contains(name) && kind == nil: try header(name, rest)
        case "found" where kind == nil: try evidence(rest)
        case "look": try look(rest)
        case "pool" where kind != nil && page == nil: try pool(rest)
        case "page" where kind != nil: try page(rest)
        case "changing" where page != nil && words.words.isEmpty: isChanging = true
        case _ where page != nil && !isChanging: try words(name, rest)
        default: throw error("unexpected: \(String(name.prefix(40)).debugDescription)")
        }
    }

    mutating func finish() throws(KernelMemoryError) -> KernelRecording {
        endLook()
        number += 1
        guard isEnded else { throw error("it ends early: the last line must be `\(KernelRecording.lastLine)`") }
        guard let found else { throw error("no look at a huge page") }
        return KernelRecording(kernel: String(headers["kernel"] ?? ""), layout: found, looks: looks)
    }

    // MARK: The layout

    private mutating func header(_ name: Substring, _ rest: Substring) throws(KernelMemoryError) {
        guard rest.utf8.count <= Limit.text, headers.updateValue(rest, forKey: name) == nil else {
            throw error("\(name) twice, or too long")
        }
    }

    private mutating func evidence(_ rest: Substring) throws(KernelMemoryError) {
        let parts = rest.split(separator: ": ", maxSplits: 2).map(String.init)
        guard parts.count == 3, rest.utf8.count <= 4 * Limit.text, evidence.count < Limit.evidence else {
            throw error("not `found WHAT: ADDRESS: WAY; WAY`")
        }
        let ways = parts[2].split(separator: "; ").map(String.init)
        evidence.append(.init(what: parts[0], value: parts[1], ways: ways))
    }

    private func layout() throws(KernelMemoryError) -> KernelLayout {
        let levels = try numbers("levels", count: 1)?[0]
        let structPage = try numbers("struct-page", count: 2)
        guard let levels, (4...5).contains(levels), let structPage, structPage[0] == 64,
            Self.isWord(structPage[1]), let root = address("root"), let directMap = address("direct-map"),
            let mask = address("address-mask"), let vmemmap = address("vmemmap"), mask.rawValue < 1 << 52
        else { throw error("a part of the layout is missing, or cannot be") }
        let (type, flag) = (try numbers("page-type", count: 2), try numbers("optimized-flag", count: 2))
        if let type {
            guard Self.isWord(type[0] & ~4), type[1] < Int(KernelLayout.PageType.none) else { throw error("page-type") }
        }
        if let flag { guard Self.isWord(flag[0]), flag[1] < 64 else { throw error("optimized-flag") } }
        return KernelLayout(
            tables: KernelPageTables(levels: levels, root: root, directMap: directMap, addressMask: mask.rawValue),
            vmemmap: vmemmap, structPageBytes: structPage[0], headOffset: structPage[1],
            hugeTLBType: type.map { .init(offset: $0[0], value: UInt8($0[1])) },
            optimizedFlag: flag.map { .init(offset: $0[0], bit: $0[1]) }, evidence: evidence)
    }

    /// Whether a whole word of struct page lies there.
    private static func isWord(_ offset: Int) -> Bool { offset.isMultiple(of: 8) && offset < 64 }

    private func numbers(_ name: Substring, count: Int) throws(KernelMemoryError) -> [Int]? {
        guard let text = headers[name] else { return nil }
        let numbers = text.split(separator: " ").map { Int($0) }.compactMap { $0 }
        guard numbers.count == count, numbers.allSatisfy({ $0 >= 0 }) else { throw error("\(name)") }
        return numbers
    }

    private func address(_ name: Substring) -> KernelAddress? {
        headers[name].flatMap(Self.hexadecimal).map { KernelAddress($0) }
    }

    private static func hexadecimal(_ text: Substring) -> UInt64? {
        text.utf8.count <= 16 && text.utf8.first.map { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") } == true
            ? UInt64(text, radix: 16) : nil
    }

    // MARK: Looks

    private mutating func look(_ rest: Substring) throws(KernelMemoryError) {
        endLook()
        if found == nil { found = try layout() }
        guard looks.count < Limit.looks, let kind = LookKind(rawValue: String(rest)),
            !looks.contains(where: { $0.kind == kind })
        else { throw error("too many looks, two of a kind, or one of an unknown kind") }
        self.kind = kind
    }

    private mutating func pool(_ rest: Substring) throws(KernelMemoryError) {
        let numbers = rest.split(separator: " ").map { Int($0) }
        guard numbers.count == 2, let size = numbers[0], let pages = numbers[1], pools.count < Limit.pools,
            (4096...1 << 40).contains(size), (0...1 << 40).contains(pages)
        else { throw error("not `pool BYTES PAGES`") }
        pools.append(.init(size: ByteCount(size), pages: pages))
    }

    private mutating func page(_ rest: Substring) throws(KernelMemoryError) {
        endPage()
        let parts = rest.split(separator: " ")
        guard parts.count == 2, let pfn = Self.hexadecimal(parts[0]), pfn < 1 << 40, let bytes = Int(parts[1]),
            let size = HugePageReader.sizes.first(where: { $0.rawValue == bytes }),
            pfn.isMultiple(of: UInt64(bytes / BasePage.bytes))
        else { throw error("not `page PFN BYTES` of a huge page") }
        pages += 1
        if pages > Limit.pages { throw error("more than \(Limit.pages) huge pages") }
        guard pfn >= next else { throw error("a huge page twice, or not in the order of frames") }
        next = pfn + UInt64(bytes / BasePage.bytes)
        page = (pfn, size)
    }

    private mutating func words(_ name: Substring, _ rest: Substring) throws(KernelMemoryError) {
        guard var place = Self.hexadecimal(name), place.isMultiple(of: 8) else {
            throw error("no address: \(String(name.prefix(40)).debugDescription)")
        }
        let most = page.map { Limit.words(ofPageOf: $0.size) } ?? 0
        for part in rest.split(separator: " ") {
            let star = part.firstIndex(of: "*") ?? part.endIndex
            let times = star == part.endIndex ? 1 : Int(part[part.index(after: star)...])
            guard let word = Self.hexadecimal(part[..<star]), let times, times >= 1,
                times <= most - words.words.count
            else { throw error("not words of one huge page: \(String(part.prefix(40)).debugDescription)") }
            wordsLeft -= times
            if wordsLeft < 0 { throw error("too many words in all") }
            for _ in 0..<times {
                guard words.words.updateValue(word, forKey: place) == nil else { throw error("a word twice") }
                place &+= 8
            }
        }
    }

    private mutating func endPage() {
        if let page {
            done.append(.init(pfn: page.pfn, size: page.size, words: isChanging ? nil : words))
        }
        (page, words, isChanging) = (nil, RecordedWords(), false)
    }

    private mutating func endLook() {
        endPage()
        if let kind { looks.append(.init(kind: kind, pools: pools, pages: done)) }
        (kind, pools, done, next) = (nil, [], [], 0)
    }
}
