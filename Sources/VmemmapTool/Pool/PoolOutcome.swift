import HostMemory
import VmemmapEmulator

/// What a line of a pool script did.
enum PoolOutcome: Hashable, Sendable {
    /// A machine came up; what its pools got of the huge pages asked for.
    case booted(PoolBoot, [PoolSized])
    /// A pool changed its size, or came as close to it as possible.
    case pool(PoolSized)
    /// Huge pages were allocated: their numbers in the script, and their first frames.
    case allocated([PoolUser.Allocated])
    /// Huge pages were touched, up to one that there was none for: SIGBUS.
    case signalled([PoolUser.Allocated], HugeTLBError)
    /// Done, with nothing to show.
    case done
    /// Refused, as the kernel would with that errno.
    case refused(HugeTLBError)
    /// Memory came or went.
    case memory(MemoryChange)
    /// What /proc/meminfo would say, of each size.
    case meminfo([HugePagesInfo], PoolHostFigures)
    /// What /proc/vmstat would say.
    case vmstat(MemmapInfo, PoolHostFigures)
    /// A struct page.
    case page(StructPageView)
    /// What walkers saw until they were stopped.
    case walked(Walkers.Tally)
    /// A figure held against a value.
    case expected(String, expected: String, found: String)
}

/// What became of the size of a pool.
struct PoolSized: Hashable, Sendable {
    let size: HugePageSize
    /// Nil: of all nodes.
    let node: Int?
    let change: PoolChange
    /// New huge pages that are optimized; nil where none was to be.
    var optimized: HugePageCount?
    /// How many tail frames would let all of them be, at this host's vm.max_map_count; nil where that is not what stood
    /// in the way, or no number would.
    var fittingTailFrames: PageCount?
    /// The tail frames with which the most are optimized, where no number lets all of them be; nil elsewhere.
    var furthestTailFrames: EmulatedMemory.Reach?
}

extension PoolOutcome {
    /// How it ended, as the kernel would tell: an errno's name, `SIGBUS`, or nil where it was carried out. A pool that
    /// came short of what was asked for is that too.
    var refusal: String? {
        switch self {
        case .refused(let error): error.errnoName
        case .signalled: "SIGBUS"
        default: nil
        }
    }

    /// What stood in the way of a pool that has not all that was asked for.
    var remark: String? {
        let pools: [PoolSized] =
            switch self {
            case .pool(let pool): [pool]
            case .booted(_, let pools): pools
            default: []
            }
        let remarks = pools.flatMap(\.remarks)
        return remarks.isEmpty ? nil : remarks.joined(separator: "; ")
    }

    /// What the statement expects: the figure, its value and what it was. Nil where it expects nothing.
    var expectation: PoolExpectation? {
        switch self {
        case .expected(let figure, let expected, let found):
            PoolExpectation(expects: figure, expected: expected, measured: found)
        case .walked(let seen):
            PoolExpectation(
                expects: "wrong compound_heads of the walkers", expected: "0", measured: "\(seen.wrong)",
                reads: seen.reads)
        default: nil
        }
    }

    /// Whether what the statement expects is so; nil where it expects nothing.
    var holds: Bool? { expectation.map(\.isMet) }
}

/// A figure, what it was to be, and what it was.
struct PoolExpectation: Hashable, Sendable, Codable {
    let expects: String
    let expected: String
    let measured: String
    /// Of walkers: how much they have read.
    var reads: Int? = nil

    /// Whether it is so.
    var isMet: Bool { expected == measured }

    /// What came of it.
    ///
    /// - Parameter line: the number of the script's line that expects it.
    func check(line: Int) -> Check {
        let (id, statement) = ("line_\(line)", "line \(line): \(expects) is \(expected)")
        let name = expects.lowercased().replacing(" ", with: "_")
        if let expected = Int(expected), let measured = Int(measured) {
            return Check(
                id, statement, [.equal(name, expected, measured)] + (reads.map { [.tried("reads", $0)] } ?? []),
                method: "")
        }
        // How an operation ended is no number.
        return Check(
            id, statement, [.equal("\(name)s_as_expected", 1, isMet ? 1 : 0)],
            method: isMet ? "" : "the \(expects) is \(measured)")
    }
}

extension PoolSized {
    /// What stood in the way, with the errno that it would be, and why huge pages are not optimized.
    var remarks: [String] {
        let refusal = change.refusal.map { "\($0) (\($0.errnoName))" }
        let fitting =
            fittingTailFrames.map(ShortageText.wayOut) ?? furthestTailFrames.map(ShortageText.furthest) ?? ""
        let notOptimized = change.optimizeRefusal.map {
            "\(Format.count(change.notOptimized.rawValue)) of them not optimized: \($0)\(fitting)"
        }
        let discarded = (change.discarded > .zero ? change.discarded : nil).map {
            "\($0.rawValue) given back: it lies in two zones (hugetlb_bootmem_page_zones_valid())"
        }
        return [discarded, refusal, notOptimized].compactMap { $0 }
    }
}

/// What the host measured of the machine's struct pages.
struct PoolHostFigures: Hashable, Sendable, Codable {
    /// Different frames behind the region.
    let distinctFrames: PageCount
    /// How they were told apart.
    let countingMethod: FrameCount.Method
    /// Frames that the counters make one expect.
    let expectedFrames: PageCount
    /// Mappings of the region.
    let mappings: MappingCount
    /// VmPTE of the process.
    let pageTableBytes: ByteCount
}
