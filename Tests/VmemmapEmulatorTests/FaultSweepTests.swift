import Glibc
import HostLab
import HostMemory
import SystemPackage
import Testing

@testable import VmemmapEmulator

/// Every call that an operation makes fails: once, twice, or from then on. Whatever comes of it, the region is as the
/// operation says, and one mending makes it whole.
@Suite("Each call of an operation fails", .serialized)
struct FaultSweepTests {
    @Test(
        "Everything or nothing, or exactly what is said; mended by the next",
        arguments: FaultCase.small + FaultCase.batches)
    func sweep(_ fault: FaultCase) throws {
        try FaultSweep.run(fault, FaultCase.isFull ? [1, 2, 1_000_000] : [1, 1_000_000]) {
            InjectedFault(first: $0, failures: $1)
        }
    }

    @Test("The same on blocks that PMDs map, and on gigantic pages", arguments: FaultCase.large)
    func large(_ fault: FaultCase) throws {
        try FaultSweep.run(fault, FaultCase.isFull ? [1, 2, 1_000_000] : [1, 1_000_000]) {
            InjectedFault(first: $0, failures: $1)
        }
    }

    @Test("The same with readers at it", arguments: FaultCase.small.filter { $0.writers == .present })
    func readers(_ fault: FaultCase) throws {
        let sweep = try FaultSweep(fault)
        let walkers = try Walkers(1, over: sweep.region, seed: 3)
        defer { _ = walkers.stop() }
        try sweep.run { InjectedFault(first: $0) }
        let seen = walkers.stop()
        #expect(seen.wrong == 0, "\(String(describing: seen.firstWrong))")
        try sweep.expectNoStaging()
    }

    @Test(
        "The same for reasons that pass: a signal, a moment without memory, a page that is busy",
        arguments: FaultCase.small.filter { $0.writers == .excluded },
        FaultCase.isFull ? [Errno.interrupted, .resourceTemporarilyUnavailable, .resourceBusy] : [.interrupted])
    func reasons(_ fault: FaultCase, _ errno: Errno) throws {
        let sweep = try FaultSweep(fault)
        let outcomes = try sweep.run { InjectedFault(first: $0, errno: errno) }
        try sweep.expectNoStaging()
        // A call on a file is made again after a signal; what is only to be given back does not fail an operation.
        let hasFileCalls = fault.shape.backing == .memfd || fault.shape.scheme != .sharedTail
        if errno == .interrupted { #expect((outcomes.succeeded > 0) == hasFileCalls && outcomes.refused > 0) }
    }

    @Test(
        "A mending that is refused at any call names what is torn, and the next one succeeds",
        arguments: FaultCase.small)
    func mending(_ fault: FaultCase) throws {
        var refused = 0
        for (torn, failures) in [(2, 1_000_000), (4, 1), (4, 1_000_000), (7, 1_000_000)] {
            for number in 1...40 {
                let region = try fault.region(.process)
                let tearing = InjectedFault(first: torn, failures: 1_000_000, operations: FaultCase.changing)
                _ = tearing.during { try? fault.operation.run(on: region, fault.writers) }
                let (result, outcome) = InjectedFault(first: number, failures: failures).during {
                    Result { () throws(VmemmapError) in try region.mend(region.all) }
                }
                let comment = "torn at \(torn), call \(number)"
                if case .failure(let error) = result {
                    refused += 1
                    #expect(error.residue.torn == region.states.compactMap(\.tear), "\(comment)")
                }
                #expect(region.differencesFromPrepared().isEmpty, "\(comment)")
                #expect(try region.mend(region.all).isEmpty, "\(comment)")
                try region.expectWhole(region.states, comment)
                if outcome.failed == 0 { break }
            }
        }
        // With one or two replacements a huge page, a refusal finds nothing replaced yet, and tears nothing.
        if fault.operation == .optimize, try fault.shape.plan().replacements.count > 3 { #expect(refused > 0) }
    }

    /// In a process of its own, so that nobody else's mapping falls into the gap.
    @Test(
        "The same where the host refuses late: gaps in the mapping, calls that have had their effect",
        arguments: 0..<FaultCase.late.count)
    func late(_ number: Int) async {
        await #expect(processExitsWith: .success) { [number] in
            let fault = FaultCase.late[number]
            let isShort = fault.shape.mapping == .pmd && !FaultCase.isFull
            try FaultSweep.run(fault, isShort ? [1_000_000] : [1, 2, 1_000_000]) {
                InjectedFault(first: $0, failures: $1, operations: FaultCase.replacing, manner: .late)
            }
        }
    }
}

extension FaultCase {
    /// Each scheme and backing once, of all shapes.
    fileprivate static let late =
        small.filter { $0.writers == .present } + blocks.filter { $0.span.count < 64 }
        + gigantic.filter { $0.shape.mapping == .pmd }

    /// Calls without which nothing can be put back.
    fileprivate static let changing: Set<HostOperation> = [.mapFile, .mapAnonymous, .move, .protect]

    /// Calls that have an effect, or leave a gap, before they are refused.
    fileprivate static let replacing: Set<HostOperation> = [.mapFile, .move, .protect, .write, .punchHole]
}

/// One case of a sweep: a region, and what holds of it throughout.
struct FaultSweep {
    let region: VmemmapRegion
    private let fault: FaultCase
    private let budget: MappingBudget
    /// What the budget and the region's mappings come to together: mappings are granted and settled, never lost.
    private let sum: MappingCount

    init(_ fault: FaultCase) throws {
        self.fault = fault
        let budget = MappingBudget(
            limit: { () throws(HostError) in MappingCount(1_000_000) }, inUse: { () throws(HostError) in .zero })
        self.budget = budget
        // Its only count is made here: what is granted from now on is in the balance.
        _ = try budget.reserve(MappingCount(1))
        region = try fault.region(budget)
        sum = budget.balance + region.mappingsBeyondPopulated
    }

    /// Sweeps a new region with each number of failures: put back, a region is not always what it was.
    static func run(_ fault: FaultCase, _ failures: [Int], _ injected: (Int, Int) -> InjectedFault) throws {
        for failures in failures {
            let sweep = try FaultSweep(fault)
            try sweep.run { injected($0, failures) }
            try sweep.expectNoStaging()
        }
    }

    /// Fails call after call until the operation makes fewer. Returns how many refusals failed it, and how many did
    /// not.
    @discardableResult
    func run(_ injected: (Int) -> InjectedFault) throws -> (refused: Int, succeeded: Int) {
        var outcomes = (refused: 0, succeeded: 0)
        let pages = fault.pages(of: region)
        for number in fault.calls {
            let before = region.states
            let comment = "\(fault.testDescription), call \(number)"
            let (result, outcome) = injected(number).during {
                Result { () throws(VmemmapError) in try fault.operation.run(on: region, fault.writers, pages) }
            }
            if outcome.failed == 0 { break }
            let (residue, isFailed) = try residue(of: result, comment)
            if isFailed { outcomes.refused += 1 } else { outcomes.succeeded += 1 }
            // Staging stays only where its unmapping is refused after another call.
            let check = ResidueCheck(
                region: region, pages: pages, operation: fault.operation, before: before, isFailed: isFailed,
                residue: residue, looksForStaging: outcome.failed > 1)
            let disagreements = try check.disagreements()
            #expect(disagreements.isEmpty, "\(comment): \(disagreements.prefix(3)) \(result)")
            expectBalance(comment)
            let states = region.states
            #expect(try region.mend(region.all).isEmpty, "\(comment)")
            if residue.isEmpty {
                // There was nothing to mend: all but the frames has just been looked at.
                #expect(region.states == states, "\(comment)")
                try region.expectFrames(states, comment)
            } else {
                try region.expectWhole(region.states, comment)
            }
            expectBalance(comment + ", mended")
            try fault.prepare(region)
        }
        #expect(outcomes.refused + outcomes.succeeded > 0)
        return outcomes
    }

    /// No staged page is left.
    func expectNoStaging(_ location: SourceLocation = #_sourceLocation) throws {
        #expect(try region.staging().isEmpty, sourceLocation: location)
    }

    private func residue(
        of result: Result<VmemmapError.Residue, VmemmapError>, _ comment: String
    ) throws -> (VmemmapError.Residue, isFailed: Bool) {
        switch result {
        case .success(let residue): return (residue, false)
        case .failure(let error):
            #expect(error.operation.rawValue == fault.operation.rawValue, "\(comment)")
            guard case .host(let cause) = error.cause else {
                Issue.record("\(comment): \(error)")
                return (error.residue, true)
            }
            #expect(cause.errno != nil, "\(comment)")
            return (error.residue, true)
        }
    }

    private func expectBalance(_ comment: String) {
        #expect(budget.balance + region.mappingsBeyondPopulated == sum, "\(comment)")
        // Nothing is set aside any more: a count adds nothing to what the process has.
        let refusal = #expect(throws: MappingBudget.Refusal.self, "\(comment)") {
            _ = try budget.reserve(MappingCount(2_000_000))
        }
        guard case .exceeded(let figures) = refusal else { return }
        #expect(figures.inUse == .zero, "\(comment)")
    }
}

extension VmemmapRegion {
    /// Mappings that its huge pages add, by the states they are in.
    fileprivate var mappingsBeyondPopulated: MappingCount { parts.states.mappings(of: all) }

    /// Staged pages outside the region: staging is taken from children as soon as it is mapped ("dc").
    func staging() throws -> [AddressRange] {
        try HostProcess.anonymousMappingsKeptFromChildren().filter { !$0.overlaps(range) }
    }
}

extension HostProcess {
    /// Private anonymous mappings that /proc/self/smaps shows with "dc" (MADV_DONTFORK).
    static func anonymousMappingsKeptFromChildren() throws -> [AddressRange] {
        // By the C library's search: the file has thousands of lines, and few of them are of interest.
        let text = try text(of: "/proc/self/smaps") + [0]
        var ends: [Int] = []
        // SAFETY: the text ends with a zero, and each search starts in it.
        unsafe text.withUnsafeBufferPointer { text in
            let start = unsafe UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self)
            var rest = unsafe start
            while let place = unsafe rest, let hit = unsafe strstr(place, " dc ") {
                unsafe rest = UnsafePointer(hit + 1)
                if let start = unsafe start { ends.append(unsafe UnsafePointer(hit) - start) }
            }
        }
        return ends.compactMap { anonymousMapping(before: $0, in: text) }
    }

    /// The private anonymous mapping whose flags are at `place`; nil if it is another.
    private static func anonymousMapping(before place: Int, in text: [UInt8]) -> AddressRange? {
        let lines = String(decoding: text[max(0, place - 2048)..<place], as: UTF8.self).split(separator: "\n")
        for line in lines.reversed() {
            let words = line.split(separator: " ")
            guard words.count >= 5, let bounds = words.first, bounds.contains("-"), !bounds.hasSuffix(":") else {
                continue
            }
            let ends = bounds.split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard words.count == 5, words[1].hasSuffix("p"), ends.count == 2 else { return nil }
            return AddressRange(start: Address(ends[0]), length: Address(ends[1]) - Address(ends[0]))
        }
        return nil
    }

    private static func text(of path: String) throws -> [UInt8] {
        let file = try FileDescriptor.open(FilePath(path), .readOnly)
        return try file.closeAfter {
            var text: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = try unsafe chunk.withUnsafeMutableBytes { buffer in try unsafe file.read(into: buffer) }
                if count == 0 { return text }
                text += chunk[..<count]
            }
        }
    }
}
