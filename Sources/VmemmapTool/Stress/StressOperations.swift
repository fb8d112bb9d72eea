import HostLab
import HostMemory
import SystemPackage
import VmemmapEmulator

/// What a worker does next, with everything about it that is drawn. Places are fractions of what there will be: 2³² is
/// all of it.
struct StressOperation: Hashable, Sendable {
    /// Neighbouring huge pages of the region.
    struct Span: Hashable, Sendable {
        /// Among the worker's own huge pages, or among those that all workers contend for.
        let isOwn: Bool
        let position: UInt32
        let length: Int
        let hasWriters: Bool
    }

    enum Action: Hashable, Sendable {
        case optimize(Span)
        case restore(Span)
        /// Both, one after the other.
        case cycle(Span)
        case setPool(isGigantic: Bool, share: UInt32)
        case allocate(isGigantic: Bool)
        case free(pick: UInt32)
        case reserve(isGigantic: Bool)
        case unreserve(isGigantic: Bool)
        case overcommit(isGigantic: Bool, count: Int)
        case poison(pick: UInt32, place: UInt32)
        case dissolve(place: UInt32)
        case demote(place: UInt32)
        case setOptimizing(Bool)
    }

    /// Calls that fail if faults are injected.
    struct Fault: Hashable, Sendable {
        let operations: [HostOperation]
        let errno: Errno
        let first: Int
        let failures: Int
    }

    /// Its place in the worker's sequence, from 0.
    let number: Int
    let action: Action
    let fault: Fault?
}

/// The operations of one worker: a pure function of the seed, the set-up and the worker.
struct StressOperations: Sequence, IteratorProtocol, Sendable {
    private var generator: SplitMix64
    private var number = 0
    /// Folds in every operation that has been drawn.
    private(set) var digest: UInt64 = 0

    init(seed: UInt64, setUp: Int, worker: Int) {
        generator = SplitMix64(seed: StressSeed.derive(seed, 1, UInt64(setUp), UInt64(worker)))
    }

    mutating func next() -> StressOperation? {
        // Whether faults are injected or not, the same operations are drawn.
        let drawn = (generator.next(), generator.next())
        let fault = drawFault()
        let operation = StressOperation(
            number: number, action: Self.action(drawn.0, drawn.1), fault: drawn.0 >> 60 < 6 ? fault : nil)
        number += 1
        digest = StressSeed.derive(digest, drawn.0, drawn.1)
        return operation
    }

    private static func action(_ choice: UInt64, _ detail: UInt64) -> StressOperation.Action {
        let place = UInt32(truncatingIfNeeded: detail)
        let other = UInt32(truncatingIfNeeded: detail >> 32)
        // A gigantic page takes as long as hundreds of small ones.
        let isGigantic = choice >> 8 & 0x3f == 0
        func span() -> StressOperation.Span {
            let isOwn = choice >> 16 & 1 == 0
            return StressOperation.Span(
                isOwn: isOwn, position: place, length: 1 + Int(other % (isOwn ? 16 : 8)),
                hasWriters: choice >> 17 & 3 == 0)
        }
        switch choice & 0x1f {
        case 0...4: return .optimize(span())
        case 5...9: return .restore(span())
        case 10...12: return .cycle(span())
        case 13, 14: return .setPool(isGigantic: isGigantic, share: place)
        case 15...18: return .allocate(isGigantic: isGigantic)
        case 19...22: return .free(pick: place)
        case 23: return .reserve(isGigantic: isGigantic)
        case 24: return .unreserve(isGigantic: isGigantic)
        case 25: return .overcommit(isGigantic: isGigantic, count: Int(other % 8))
        case 26: return .poison(pick: place, place: other)
        case 27...29: return .dissolve(place: place)
        case 30: return .demote(place: place)
        default: return .setOptimizing(other % 4 != 0)
        }
    }

    /// The calls that an operation makes, and the errors that they can give.
    private static let errors: [(operations: [HostOperation], errors: [Errno])] =
        [
            HostOperation.mapFile, .mapAnonymous, .unmap, .protect, .advise, .move, .write, .read, .punchHole, .open,
            .close,
        ].map { ([$0], $0.possibleErrors) } + [
            // A refusal and then the put-back's refusal: several kinds of call together.
            (
                [.mapFile, .mapAnonymous, .move, .unmap, .protect, .advise],
                [.noMemory, .resourceTemporarilyUnavailable]
            ),
            ([.mapFile, .mapAnonymous, .write], [.noMemory]),
            ([.mapFile, .move, .protect], [.noMemory]),
            ([.mapAnonymous, .unmap, .punchHole, .read, .write], [.noMemory, .ioError]),
        ]

    private mutating func drawFault() -> StressOperation.Fault {
        let drawn = generator.next()
        let (operations, errors) = Self.errors[Int(drawn % UInt64(Self.errors.count))]
        let errno = errors[Int(drawn >> 8 & 0xff) % errors.count]
        // Early calls more often: most operations make few.
        let reach = [2, 4, 16, 64][Int(drawn >> 16 & 3)]
        let failures = [1, 1, 2, 3, 1000][Int(drawn >> 20 & 0xff) % 5]
        return StressOperation.Fault(
            operations: operations, errno: errno, first: 1 + Int(drawn >> 32 & 0xffff) % reach, failures: failures)
    }
}

extension StressOperation: CustomStringConvertible {
    var description: String {
        let fault =
            fault.map { fault in
                let calls = fault.operations.map { "\($0)" }.joined(separator: ", ")
                return "; call \(fault.first) of \(calls) fails \(fault.failures) times: \(fault.errno)"
            } ?? ""
        return "#\(number) \(action)\(fault)"
    }
}

extension StressOperation.Span: CustomStringConvertible {
    var description: String {
        "\(isOwn ? "own" : "contended") from \(position)/2^32, \(length) long\(hasWriters ? ", with writers" : "")"
    }
}
