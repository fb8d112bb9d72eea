import HostMemory
import VmemmapEmulator

/// What a line of a pool script did.
enum PoolOutcome: Hashable, Sendable {
    /// A machine came up; what its pools got of the huge pages asked for.
    case booted(PoolBoot, [PoolSized])
    /// A pool changed its size, or came as close to it as possible.
    case pool(PoolSized)
    /// Huge pages were allocated: their numbers in the script, and their first frames.
    case allocated([PoolSession.Allocated])
    /// Huge pages were touched, up to one that there was none for: SIGBUS.
    case signalled([PoolSession.Allocated], HugeTLBError)
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
        return pools.flatMap(\.remarks).first
    }

    /// Whether what the statement expects is so; nil where it expects nothing.
    var holds: Bool? {
        switch self {
        case .expected(_, let expected, let found): expected == found
        case .walked(let seen): seen.wrong == 0
        default: nil
        }
    }
}

extension PoolSized {
    /// What stood in the way, with the errno that it would be, and why huge pages are not optimized.
    var remarks: [String] {
        let refusal = change.refusal.map { "\($0) (\($0.errnoName))" }
        let notOptimized = change.optimizeRefusal.map { "\(change.notOptimized) of them not optimized: \($0)" }
        let discarded = (change.discarded > .zero ? change.discarded : nil).map {
            "\($0) given back: it lies in two zones (hugetlb_bootmem_page_zones_valid())"
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
