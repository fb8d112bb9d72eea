import HostLab
import HostMemory
import Testing
import VmemmapEmulator

@Suite("What a region gives back to the budget when it goes")
struct RegionBudgetTests {
    @Test("Mappings that could not be unmapped with their region are not granted again")
    func refusedUnmapping() throws {
        let budget = MappingBudget(
            limit: { () throws(HostError) in MappingCount(100_000) }, inUse: { () throws(HostError) in .zero })
        var region: VmemmapRegion? = try VmemmapRegion(Shape(size: .twoMebibytes, pages: 2).plan(), budget: budget)
        try region?.optimize(HugePageIndex(0)..<HugePageIndex(2), writers: .excluded)
        let (balance, range) = (budget.balance, try #require(region?.range))
        _ = InjectedFault(first: 1, failures: 1000, operations: [.unmap]).during { region = nil }
        #expect(budget.balance == balance)
        try HostKernel.unmapRegion(range)
    }

    @Test("Mappings are granted again once their region is unmapped")
    func unmapping() throws {
        let budget = MappingBudget(
            limit: { () throws(HostError) in MappingCount(100_000) }, inUse: { () throws(HostError) in .zero })
        var region: VmemmapRegion? = try VmemmapRegion(Shape(size: .twoMebibytes, pages: 2).plan(), budget: budget)
        try region?.optimize(HugePageIndex(0)..<HugePageIndex(2), writers: .excluded)
        let added = try #require(region?.plan.mappings(.optimized)) * 2
        let balance = budget.balance
        region = nil
        #expect(budget.balance == balance + added)
    }
}
