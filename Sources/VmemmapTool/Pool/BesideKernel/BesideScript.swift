import HostMemory
import VmemmapEmulator

/// A line of a script that is done twice: on the emulated machine, and on another HugeTLB layer.
struct BesideLine: Hashable, Sendable {
    /// One thing that it does.
    struct Step: Hashable, Sendable {
        /// The line that the emulated machine is given.
        let line: String
        /// What the other layer is asked; nil: nothing.
        let action: PoolAction?

        /// Whether it demotes the huge page around a frame. The kernel is only asked for one, whichever it is, and to
        /// that it says ok in any case: the counts are compared, the outcome is not.
        var isOfOneFrame: Bool {
            if case .demote = action { line.split(separator: " ").count == 2 } else { false }
        }
    }

    /// Its number in the script, from 1.
    let number: Int
    /// What it says.
    let statement: String
    /// What is done, in order, until something is refused.
    let steps: [Step]
    /// Why it is done on the emulated machine alone, or not as it says; nil: there is nothing to say.
    let note: String?
}

/// Reads a script for the comparison. Pure.
struct BesideScript {
    /// Why a line has no counterpart on the host, and cannot be left out of it either: what follows depends on it.
    struct Refusal: Hashable, Sendable {
        let number: Int
        let statement: String
        let reason: String
    }

    /// The scheme that the host's kernel has: a machine that names none gets it.
    let scheme: Scheme
    private(set) var lines: [BesideLine] = []
    private(set) var refusals: [Refusal] = []
    /// The memory of the smallest machine that it boots.
    private(set) var memory: ByteCount?

    /// Reads every line.
    ///
    /// - Throws: the number of a line that is no statement, with what could have stood there.
    init(_ texts: [String], scheme: Scheme) throws(BesideScriptError) {
        self.scheme = scheme
        for (index, text) in texts.enumerated() {
            do throws(PoolScriptError) {
                guard try PoolScript.parse(text[...]) != nil else { continue }
            } catch {
                throw BesideScriptError(number: index + 1, error: error)
            }
            let words = text.split(whereSeparator: \.isWhitespace).prefix { $0 != "#" }.map(String.init)
            add(words, index + 1)
        }
    }

    private enum Reading {
        case steps([BesideLine.Step], note: String? = nil)
        case refused(String)
    }

    private mutating func add(_ words: [String], _ number: Int) {
        let statement = words.joined(separator: " ")
        switch read(words, statement) {
        case .steps(let steps, let note):
            lines.append(BesideLine(number: number, statement: statement, steps: steps, note: note))
        case .refused(let reason):
            refusals.append(Refusal(number: number, statement: statement, reason: reason))
        }
    }

    private mutating func read(_ words: [String], _ statement: String) -> Reading {
        func both(_ action: PoolAction) -> Reading { .steps([.init(line: statement, action: action)]) }
        let size = words.count > 1 ? Self.size(words[1]) : nil
        let count = words.count > 2 ? Int(words[2]) : nil
        switch (words[0], words.count) {
        case ("boot", _): return boot(Array(words.dropFirst()))
        case ("sysctl", 2): return both(.optimize(words[1].hasSuffix("=1")))
        case ("nr_hugepages", 3): if let size, let count { return both(.pool(size, count)) }
        case ("nr_overcommit_hugepages", 3): if let size, let count { return both(.overcommit(size, count)) }
        case ("reserve", 3): if let size, let count { return both(.reserve(size, count)) }
        case ("unreserve", 3): if let size, let count { return both(.unreserve(size, count)) }
        case ("alloc", 2...3), ("touch", 2...3):
            guard let size, words.count == 2 || count != nil else { break }
            let action = words[0] == "alloc" ? PoolAction.allocate(size) : .touch(size)
            let step = BesideLine.Step(line: "\(words[0]) \(words[1])", action: action)
            return .steps(Array(repeating: step, count: min(count ?? 1, Self.mostPages)))
        case ("free", 2):
            if words[1] == "all" { return both(.freeAll) }
            if let number = Self.number(words[1]) { return both(.free(number)) }
            return .refused("the host's huge pages have other frames: say free #N")
        case ("demote", 3): if let size, let count { return both(.demote(size, count)) }
        case ("demote", 2):
            return .steps(
                [.init(line: statement, action: .demote(.oneGibibyte, 1))],
                note: "the kernel demotes a free page of its own choice, and none where this one is not free")
        case ("expect", _), ("meminfo", _), ("vmstat", _), ("flush", _):
            return .steps([.init(line: statement, action: nil)])
        case ("page", _), ("walkers", _):
            return .steps([.init(line: statement, action: nil)], note: "done on the emulated machine alone")
        case ("poison", _):
            return .refused("a memory error cannot be taken back from the host's own memory")
        case ("dissolve", _):
            return .refused("no file of the host dissolves a huge page but by a memory error")
        case ("budget", _): return .refused("the host's memory cannot be kept from restores alone")
        default: break
        }
        return .refused("it has no counterpart on the host")
    }

    /// More than any host has of the smallest huge pages within the share that it gives.
    private static let mostPages = 1 << 20

    private static func size(_ word: String) -> HugePageSize? {
        ["2M": .twoMebibytes, "1G": .oneGibibyte][word]
    }

    /// N of `#N`.
    private static func number(_ word: String) -> Int? {
        guard word.hasPrefix("#") else { return nil }
        return Int(word.dropFirst().hasSuffix("+0") ? word.dropFirst().dropLast(2) : word.dropFirst())
    }

    // MARK: Boot

    /// A plain machine, and what its kernel command line asks for done by sysctl and sysfs, on both.
    private mutating func boot(_ words: [String]) -> Reading {
        var kept = ["boot"]
        var later: [BesideLine.Step] = []
        var size = "2M"
        var isOptimizing = false
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { return .refused("it has no counterpart on the host") }
            let value = parts[1]
            switch parts[0] {
            case "memory", "backing", "tail_frames", "pmd_mapped", "release": kept.append(word)
            case "scheme":
                guard value == scheme.rawValue else {
                    return .refused("this kernel has the \(scheme.rawValue) scheme: say scheme=\(scheme.rawValue)")
                }
            case "hugetlb_free_vmemmap": isOptimizing = value == "on"
            case "hugepagesz": size = value
            case "hugepages":
                // Given before its size, it is of that size.
                if later.isEmpty, let next = words.first(where: { $0.hasPrefix("hugepagesz=") }) {
                    size = String(next.dropFirst("hugepagesz=".count))
                }
                guard let count = Int(value), let pages = Self.size(size) else {
                    return .refused("the comparison knows one number of huge pages of one size at boot")
                }
                later.append(.init(line: "nr_hugepages \(size) \(count)", action: .pool(pages, count)))
            default: return .refused("this kernel has no \(parts[0])=")
            }
        }
        let memory = words.first { $0.hasPrefix("memory=") }.flatMap { ByteCount(text: $0.dropFirst("memory=".count)) }
        if let memory { self.memory = min(self.memory ?? memory, memory) }
        kept.append("scheme=\(scheme.rawValue)")
        let steps = [BesideLine.Step(line: kept.joined(separator: " "), action: .reset)]
        let sysctl = BesideLine.Step(line: "sysctl hugetlb_optimize_vmemmap=1", action: .optimize(true))
        let rest = (isOptimizing ? [sysctl] : []) + later
        return .steps(
            steps + rest,
            note: "the host's pools are emptied"
                + (rest.isEmpty ? "" : ", and what the command line asks for is done by sysctl and sysfs, on both"))
    }
}

/// A line that is no statement.
struct BesideScriptError: Error, Hashable, Sendable {
    /// Its number, from 1.
    let number: Int
    /// What stands there, and what could have.
    let error: PoolScriptError
}

extension BesideScript {
    /// Memory that the pools may take at most: what both are made to have, and as many surplus pages as may be made.
    /// Nil where that is more than can be counted.
    func mostBytes() -> ByteCount? {
        var most: [HugePageSize: (pool: Int, overcommit: Int)] = [:]
        for step in lines.flatMap(\.steps) {
            switch step.action {
            case .pool(let size, let count): most[size, default: (0, 0)].pool = max(most[size]?.pool ?? 0, count)
            case .overcommit(let size, let count):
                most[size, default: (0, 0)].overcommit = max(most[size]?.overcommit ?? 0, count)
            default: break
            }
        }
        // As many surplus pages as are asked for at all.
        var sum = 0
        for (size, counts) in most {
            let asked = lines.flatMap(\.steps).reduce(0) { sum, step in
                switch step.action {
                case .allocate(size): sum + 1
                case .reserve(size, let count): sum.addingReportingOverflow(count).overflow ? .max / 2 : sum + count
                default: sum
                }
            }
            let (pages, isTooMany) = counts.pool.addingReportingOverflow(min(counts.overcommit, asked))
            guard !isTooMany, let bytes = size.bytes.multiplied(by: pages) else { return nil }
            let (next, isTooMuch) = sum.addingReportingOverflow(bytes.rawValue)
            if isTooMuch { return nil }
            sum = next
        }
        return ByteCount(sum)
    }
}
