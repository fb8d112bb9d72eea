import HostMemory

/// The HugeTLB controller of the one cgroup that all users of a machine are in (`hugetlb_cgroup`): how many huge pages
/// of a size they may have. What they have, the pool counts.
public struct HugeTLBCgroup: Hashable, Sendable {
    /// hugetlb.SIZE.max: huge pages in use; nil: any number.
    public var limit: HugePageCount?
    /// hugetlb.SIZE.rsvd.max: huge pages reserved or in use; nil: any number.
    public var reservationLimit: HugePageCount?

    /// No limits.
    public init() {}

    /// Whether one more may be used (`hugetlb_cgroup_charge_cgroup()`). One that is reserved is charged as that
    /// already.
    func allowsUse(_ pool: HState, isReserved: Bool) -> Bool {
        if let limit, HugePageCount(pool.active.count) >= limit { return false }
        return isReserved || allowsReserving(1, pool)
    }

    /// Whether so many more may be reserved (`hugetlb_cgroup_charge_cgroup_rsvd()`).
    func allowsReserving(_ count: HugePageCount, _ pool: HState) -> Bool {
        guard let reservationLimit else { return true }
        return count.adding(pool.reserved + pool.returning + HugePageCount(pool.active.count)) <= reservationLimit
    }
}

extension EmulatedMachine {
    /// Sets what the users of huge pages of a size may have, from now on.
    public func setCgroup(_ size: HugePageSize, _ change: (inout HugeTLBCgroup) -> Void) throws(HugeTLBError) {
        _ = try view(size)
        facts.withLock { facts in facts.change(size) { change(&$0.cgroup) } }
    }
}
