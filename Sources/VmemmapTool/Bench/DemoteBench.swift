import HostMemory
import VmemmapEmulator

/// Demoting a 1 GiB page against growing the pool by as many huge pages of 2 MiB, on one machine.
struct DemoteBench {
    private let machine: EmulatedMachine
    private let small = HugePageSize.oneGibibyte.bytes.rawValue / HugePageSize.twoMebibytes.bytes.rawValue

    /// Boots a machine of 1 GiB with the scheme and the backing of `plan`.
    init(_ plan: MappingPlan) throws {
        machine = try EmulatedMachine(
            MachineConfiguration(
                memory: HugePageSize.oneGibibyte.bytes, scheme: plan.scheme, backing: plan.backing,
                tailFrames: .frames(plan.tailFrames), optimizesAtBoot: true))
    }

    /// Demoting over growing, in `pairs` counted pairs after one that warms up; nil where the host has not the mappings
    /// for either.
    func time(pairs: Int) throws -> Spread? {
        var ratios: [Double] = []
        for pair in 0...pairs {
            guard let (demote, grow) = try timePair() else { return nil }
            if pair > 0 { ratios.append(Double(demote) / Double(grow)) }
        }
        return Spread(ratios)
    }

    private func timePair() throws -> (demote: Int, grow: Int)? {
        try machine.setPool(.oneGibibyte, to: HugePageCount(1))
        let demote = try timed { try machine.demote(HugePageCount(1)) }.nanoseconds
        guard isFull else { return nil }
        try machine.setPool(.twoMebibytes, to: .zero)
        let grow = try timed { try machine.setPool(.twoMebibytes, to: HugePageCount(small)) }.nanoseconds
        guard isFull else { return nil }
        try machine.setPool(.twoMebibytes, to: .zero)
        return (demote, grow)
    }

    private var isFull: Bool {
        let pool = machine.hugePages(.twoMebibytes)
        return pool.total == HugePageCount(small) && pool.optimized == pool.total
    }
}
