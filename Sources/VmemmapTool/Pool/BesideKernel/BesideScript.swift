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

        /// The frame whose huge page it demotes; nil: it is about no one frame. The kernel is only asked for one,
        /// whichever it is, and to that it says ok in any case: the counts are compared, the outcome is not.
        var frame: PoolFrame?
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
    /// NUMA nodes of the host that have memory.
    private let nodes: Int
    private(set) var lines: [BesideLine] = []
    private(set) var refusals: [Refusal] = []
    /// The memory of the smallest machine that it boots.
    private(set) var memory: ByteCount?

    /// Reads every line.
    ///
    /// - Throws: the number of a line that is no statement, with what could have stood there.
    init(_ texts: [String], scheme: Scheme, nodes: Int = 1) throws(BesideScriptError) {
        self.scheme = scheme
        self.nodes = nodes
        // So that a script for another architecture is refused for that, and not for its sizes.
        var sizes = MachineSizes.x86
        for (index, text) in texts.enumerated() {
            do throws(PoolScriptError) {
                guard let statement = try PoolScript.parse(text[...], sizes) else { continue }
                if case .boot(let boot) = statement { sizes = boot.configuration.sizes }
                let words = text.split(whereSeparator: \.isWhitespace).prefix { $0 != "#" }.map(String.init)
                add(statement, words, index + 1)
            } catch {
                throw BesideScriptError(number: index + 1, error: error)
            }
        }
    }

    private enum Reading {
        case steps([BesideLine.Step], note: String? = nil)
        case refused(String)
    }

    private mutating func add(_ statement: PoolStatement, _ words: [String], _ number: Int) {
        let text = words.joined(separator: " ")
        switch read(statement, words, text) {
        case .steps(let steps, let note):
            lines.append(BesideLine(number: number, statement: text, steps: steps, note: note))
        case .refused(let reason):
            refusals.append(Refusal(number: number, statement: text, reason: reason))
        }
    }

    private mutating func read(_ statement: PoolStatement, _ words: [String], _ text: String) -> Reading {
        func both(_ action: PoolAction) -> Reading { .steps([.init(line: text, action: action)]) }
        /// One page after the other, until one is refused.
        func each(_ action: PoolAction, _ count: HugePageCount) -> Reading {
            let step = BesideLine.Step(line: "\(words[0]) \(words[1])", action: action)
            return .steps(Array(repeating: step, count: min(count.rawValue, Self.mostPages)))
        }
        switch statement {
        case .boot: return boot(Array(words.dropFirst()))
        case .optimize(let isOn): return both(.optimize(isOn))
        case .pool(_, _, let node?) where node >= nodes, .demotePages(_, _, let node?) where node >= nodes:
            return .refused("this host has no node \(node) with memory")
        case .pool(let size, let count, let node): return both(.pool(size, count.rawValue, node: node))
        case .overcommit(let size, let count): return both(.overcommit(size, count.rawValue))
        case .reserve(let size, let count, let mapping):
            return both(.reserve(size, count.rawValue, isShared: mapping == .shared))
        case .unreserve(let size, let count): return both(.unreserve(size, count.rawValue))
        case .allocate(let size, let count): return each(.allocate(size), count)
        case .touch(let size, let count): return each(.touch(size), count)
        case .free(nil): return both(.freeAll)
        case .free(.allocated(let number, offset: 0)): return both(.free(number))
        case .free: return .refused("the host's huge pages have other frames: say free #N")
        case .demotePages(.twoMebibytes, _, _):
            return .refused("the host has no such file: only pages of 1G are demoted")
        case .demotePages(let size, let count, let node): return both(.demote(size, count.rawValue, node: node))
        case .demote(let frame):
            return .steps(
                [.init(line: text, action: .demote(.oneGibibyte, 1, node: nil), frame: frame)],
                note: "the kernel demotes a free page of its own choice, and none where this one is not free")
        case .expect, .expectOutcome, .meminfo, .vmstat, .flush: return .steps([.init(line: text, action: nil)])
        case .page, .walk, .stopWalking:
            return .steps([.init(line: text, action: nil)], note: "done on the emulated machine alone")
        case .poison: return .refused("a memory error cannot be taken back from the host's own memory")
        case .dissolve: return .refused("no file of the host dissolves a huge page but by a memory error")
        case .hotplug, .offline: return .refused("the host's own memory is not plugged in and out")
        case .budget: return .refused("the host's memory cannot be kept from restores alone")
        case .demoteSize, .cgroup: return .refused("it has no counterpart on the host")
        }
    }

    /// More than any host has of the smallest huge pages within the share that it gives.
    private static let mostPages = 1 << 20

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
            case "arch":
                // Pools are compared by x86-64's sizes.
                guard value == Architecture.ofHost?.rawValue, Architecture.ofHost?.machineSizes == .x86 else {
                    return .refused("this host is no \(value): leave arch= out")
                }
                kept.append(word)
            case "memory", "backing", "tail_frames", "pmd_mapped", "release": kept.append(word)
            case "scheme":
                guard value == scheme.rawValue else {
                    return .refused("this kernel has the \(scheme.rawValue) scheme: say scheme=\(scheme.rawValue)")
                }
            case "nodes":
                guard value == "\(nodes)" else {
                    return .refused("this host has \(nodes) with memory: say nodes=\(nodes)")
                }
                kept.append(word)
            case "hugetlb_free_vmemmap": isOptimizing = value == "on"
            case "hugepagesz": size = value
            case "hugepages":
                // Given before its size, it is of that size.
                if later.isEmpty, let next = words.first(where: { $0.hasPrefix("hugepagesz=") }) {
                    size = String(next.dropFirst("hugepagesz=".count))
                }
                guard let count = Int(value), let pages = HugePageSize(argument: size) else {
                    return .refused("the comparison knows one number of huge pages of one size at boot")
                }
                later.append(.init(line: "nr_hugepages \(size) \(count)", action: .pool(pages, count, node: nil)))
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
            case .pool(let size, let count, _): most[size, default: (0, 0)].pool = max(most[size]?.pool ?? 0, count)
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
                case .allocate(size), .touch(size): sum + 1
                case .reserve(size, let count, _): sum.addingReportingOverflow(count).overflow ? .max / 2 : sum + count
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
