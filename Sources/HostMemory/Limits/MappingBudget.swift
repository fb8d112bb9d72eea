/// What the process may still map before vm.max_map_count stops it.
///
/// The kernel does not tell a process how many mappings it has, short of listing them all. So the budget counts once,
/// then keeps an account, and counts again only when the account runs low: the closer to the limit, the more often.
/// Other mappings of the process (thread stacks, malloc) change beside the account: ``MappingAccount/slack`` is for
/// them. The kernel remains the judge: an operation that passes the budget and is refused all the same is rolled back
/// like any other.
package final class MappingBudget: Sendable {
    /// The budget of this process. The limit is a process's, so there is one budget for all regions.
    package static let process = MappingBudget(
        limit: { () throws(HostError) in try HostLimits.mappingLimit() },
        inUse: { () throws(HostError) in try ProcMaps.count() })

    /// Why mappings were not granted.
    package enum Refusal: Error, Hashable, Sendable {
        /// There are not as many left.
        case exceeded(Exceeded)
        /// The count or the limit could not be read.
        case unknown(HostError)
    }

    /// The figures of a refusal.
    package struct Exceeded: Hashable, Sendable {
        /// What was asked for.
        package let asked: MappingCount
        /// What the process had, and what operations under way may add to it.
        package let inUse: MappingCount
        /// vm.max_map_count.
        package let limit: MappingCount
        /// The most that would have been granted.
        package var free: MappingCount { max(.zero, limit - inUse) }
    }

    private let limit: @Sendable () throws(HostError) -> MappingCount
    private let inUse: @Sendable () throws(HostError) -> MappingCount
    private let account = Guarded(Account())

    /// At every moment, the process's mappings, `outstanding` and `allowance` come to the limit at most. That holds
    /// whenever a count falls into an operation, since a mapping is noted as made only after it is there, and as
    /// removed before it goes: until the operation ends, what it has removed is set aside for it to be put back.
    private struct Account {
        /// Mappings that may be granted before the next count.
        var allowance = 0
        /// Mappings that operations under way may add to those they are known to have.
        var outstanding = 0
    }

    /// A budget over a limit and a count of one's own choosing, for tests.
    package init(
        limit: @escaping @Sendable () throws(HostError) -> MappingCount,
        inUse: @escaping @Sendable () throws(HostError) -> MappingCount
    ) {
        self.limit = limit
        self.inUse = inUse
    }

    /// What an operation has to do with the budget from its beginning to its end: the mappings that are set aside for
    /// it, and those that it makes. It ends when this goes, in whatever way: what it has not made can be had again
    /// then, and what it has removed too.
    package struct Reservation: ~Copyable, Sendable {
        private let budget: MappingBudget
        private var reserved = MappingCount.zero
        /// What the operation has made so far: fewer than it has reserved as a rule, and below zero for one that has
        /// removed mappings.
        package private(set) var made = MappingCount.zero

        fileprivate init(_ budget: MappingBudget) { self.budget = budget }

        /// Sets `count` more mappings aside, or says why not. Counts the process's mappings if the account has run low.
        package mutating func reserve(_ count: MappingCount) throws(Refusal) {
            try budget.grant(count)
            reserved = reserved + count
        }

        /// Tells that the operation has made mappings, or (below zero) that it is about to remove some.
        package mutating func note(made count: MappingCount) {
            budget.account.withLock { $0.outstanding -= count.rawValue }
            made = made + count
        }

        deinit {
            let unused = (reserved - made).rawValue
            budget.account.withLock { account in
                account.outstanding -= unused
                account.allowance += unused
            }
        }
    }

    /// Begins an operation, with nothing set aside for it yet.
    package func begin() -> Reservation { Reservation(self) }

    /// Begins an operation with `count` mappings set aside for it, or says why not.
    package func reserve(_ count: MappingCount) throws(Refusal) -> Reservation {
        var reservation = begin()
        try reservation.reserve(count)
        return reservation
    }

    private func grant(_ count: MappingCount) throws(Refusal) {
        // The count is made under the lock: who else runs low meanwhile gets what is left after this one.
        try account.withLock { (account) throws(Refusal) in
            if count.rawValue > account.allowance { try self.count(&account, for: count) }
            account.allowance -= count.rawValue
            account.outstanding += count.rawValue
        }
    }

    /// What may be granted before the next count, less what operations under way have been granted: where no count
    /// comes in between, it falls by every mapping made and rises by every one removed.
    package var balance: MappingCount { account.withLock { MappingCount($0.allowance) } }

    private func count(_ account: inout Account, for asked: MappingCount) throws(Refusal) {
        let state: Exceeded
        do throws(HostError) {
            state = Exceeded(asked: asked, inUse: try inUse() + MappingCount(account.outstanding), limit: try limit())
        } catch {
            throw .unknown(error)
        }
        if state.free < asked { throw .exceeded(state) }
        account.allowance = max(asked.rawValue, (state.free - MappingAccount.slack).rawValue)
    }
}
