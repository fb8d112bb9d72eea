import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

/// One of the two operations, with all that a sweep of faults needs to know of it.
enum Operation: String, Sendable, CaseIterable {
    case optimize, restore

    /// Runs it on every huge page of a region.
    func run(on region: VmemmapRegion, _ writers: Writers) throws(VmemmapError) {
        switch self {
        case .optimize: try region.optimize(region.all, writers: writers)
        case .restore: try region.restore(region.all, writers: writers)
        }
    }

    var opposite: Operation { self == .optimize ? .restore : .optimize }

    /// Runs it while calls fail: the error, if it failed, and what the fault saw.
    func run(
        on region: VmemmapRegion, _ writers: Writers, under fault: InjectedFault
    ) -> (error: VmemmapError?, outcome: InjectedFault.Outcome) {
        let (error, outcome) = fault.during { () -> VmemmapError? in
            do throws(VmemmapError) {
                try run(on: region, writers)
                return nil
            } catch {
                return error
            }
        }
        return (error, outcome)
    }
}

extension HugePageState {
    /// The state with what differs between never optimized and restored left out.
    var isOptimized: Bool { self == .optimized }
}

/// Who writes, which operation, which shape: what a sweep of faults runs over.
struct FaultCase: Sendable, CustomTestStringConvertible {
    let shape: Shape
    let operation: Operation
    let writers: Writers
    /// After the first few, every how many calls one is failed.
    let stride: Int

    /// The calls that are failed, one after the other, until the operation makes fewer.
    var calls: some Sequence<Int> { sequence(first: 1) { $0 < 6 ? $0 + 1 : $0 + stride } }

    /// Whether it is cheap enough to be swept with walkers beside it, and to compare every byte at each step.
    var isSmall: Bool { stride == 1 }

    var testDescription: String { "\(operation) \(shape.testDescription), writers \(writers)" }

    static let all: [FaultCase] = Operation.allCases.flatMap { operation in
        [
            FaultCase(
                shape: Shape(size: .twoMebibytes, pages: 1), operation: operation, writers: .excluded, stride: 1),
            FaultCase(
                shape: Shape(size: .twoMebibytes, pages: 3), operation: operation, writers: .present, stride: 1),
            // A whole batch and a part of one.
            FaultCase(
                shape: Shape(size: .twoMebibytes, pages: 67), operation: operation, writers: .excluded, stride: 97),
            FaultCase(
                shape: Shape(size: .oneGibibyte, pages: 1), operation: operation, writers: .present, stride: 4001),
        ]
    }
}

/// Compares what a failed operation says of a region with what the host says of it.
struct ResidueCheck {
    let region: VmemmapRegion
    let operation: Operation
    let before: [HugePageState]
    let residue: VmemmapError.Residue

    /// Everything in which the two disagree.
    func disagreements() throws -> [String] {
        let mappings = try PageMappings(of: region)
        let incomplete = Dictionary(residue.incomplete.map { ($0.page, $0) }, uniquingKeysWith: { first, _ in first })
        let notPutBack = Set(residue.notPutBack.flatMap { Array($0) })
        var problems: [String] = []
        if incomplete.count != residue.incomplete.count { problems.append("a huge page is incomplete twice") }
        for page in region.all {
            if let part = incomplete[page] {
                if notPutBack.contains(page) { problems.append("\(page) is incomplete and yet whole in its new state") }
                problems += disagreements(part, mappings)
                continue
            }
            let expected = notPutBack.contains(page) ? operation == .optimize : before[page.rawValue].isOptimized
            let state = region.state(of: page)
            if state.isOptimized != expected { problems.append("\(page) is \(state), not named in the residue") }
            problems += mappings.pagesNotAs(state, in: page.rawValue).map { "\(page), \(state): \($0)" }
            problems += wrongHeads(of: page, outside: nil)
        }
        problems += try frameDisagreements(incomplete.values.map { $0 })
        return problems
    }

    private func disagreements(_ part: IncompleteHugePage, _ mappings: PageMappings) -> [String] {
        var problems: [String] = []
        for index in 0..<region.plan.geometry.vmemmapPagesPerHugePage.rawValue {
            let vmemmapPage = VmemmapPageIndex(index)
            if part.uncertain.contains(vmemmapPage) { continue }
            let kind = mappings.kind(index, of: part.page.rawValue)
            let isReadOnlyAllowed = index == 1 && part.isWriteProtected
            let allowed: [PageMappings.Kind]
            if part.replaced.contains(vmemmapPage) {
                allowed =
                    index == 1 && !isReadOnlyAllowed
                    ? [.shared(isWritable: true)]
                    : index == 1
                        ? [.shared(isWritable: true), .shared(isWritable: false)] : [.shared(isWritable: false)]
            } else {
                allowed = [.own(isWritable: true)] + (isReadOnlyAllowed ? [.own(isWritable: false)] : [])
            }
            if !allowed.contains(kind) { problems.append("\(part): vmemmap page \(index) is \(kind)") }
        }
        return problems + wrongHeads(of: part.page, outside: part.uncertain)
    }

    /// Looks at one struct page at least of every vmemmap page.
    private func wrongHeads(of page: HugePageIndex, outside uncertain: Range<VmemmapPageIndex>?) -> [String] {
        let geometry = region.plan.geometry
        let first = geometry.headFrame(of: page)
        let wrong = region.wrongHeads(in: first..<first.advanced(by: geometry.basePagesPerHugePage), every: 63)
            .filter { uncertain?.contains(geometry.vmemmapPage(of: $0)) != true }
        return wrong.isEmpty ? [] : ["\(wrong.count) wrong compound_heads in huge page \(page)"]
    }

    /// The memory file holds what is shown, what an incomplete huge page needs, what is named as stale, and no more.
    private func frameDisagreements(_ incomplete: [IncompleteHugePage]) throws -> [String] {
        let named = Set(incomplete.map(\.page))
        let shown = region.all.count { !named.contains($0) && region.state(of: $0).isOptimized }
        let needed = incomplete.count { !$0.replaced.isEmpty || !$0.uncertain.isEmpty }
        let expected = (region.plan.sharedFramesPerHugePage * (shown + needed))
            .bytes(pageSize: region.plan.geometry.basePageSize)
        let found = try region.sharedFrameBytes()
        // A write that failed may have left fewer stale frames than it would have made.
        let most = expected + residue.staleFrames.bytes(pageSize: region.plan.geometry.basePageSize)
        if expected <= found, found <= most { return [] }
        return ["the memory file has \(found) bytes, the residue accounts for \(expected) to \(most)"]
    }
}
