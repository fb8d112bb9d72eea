import HostLab
import HostMemory
import SystemPackage
import Testing
import VmemmapEmulator

/// One of the two operations, with all that a sweep of faults needs to know of it.
enum Operation: String, Sendable, CaseIterable {
    case optimize, restore

    /// Runs it on some huge pages of a region, or on every one, and returns what it says that it has left.
    @discardableResult
    func run(
        on region: VmemmapRegion, _ writers: Writers, _ pages: Range<HugePageIndex>? = nil
    ) throws(VmemmapError) -> VmemmapError.Residue {
        switch self {
        case .optimize: try region.optimize(pages ?? region.all, writers: writers)
        case .restore: try region.restore(pages ?? region.all, writers: writers)
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
