import CSystemShims
package import HostMemory
package import SystemPackage

/// A failure made on purpose: the `first`-th call of the given kind on this thread reports `errno`.
///
/// For tests and for `stress --faults injected`. It acts on the calling thread only, so that what runs beside is left
/// alone.
package struct InjectedFault: Sendable {
    /// What a failing call has done by the time it is refused.
    package enum Manner: Sendable, CaseIterable {
        /// Nothing: the call is not made.
        case atOnce
        /// As late as the kernel may refuse: a mapping that was to replace another has unmapped it and leaves a gap; a
        /// write, a change of protection, an advice or a hole is made.
        case late
    }

    /// The first call that fails, counted from 1; below that, the first there is.
    package var first: Int
    /// How many calls, from that one on, fail; none below 1.
    package var failures: Int
    /// What the failing calls report: a number above 0, or none fails.
    package var errno: Errno
    /// The operations that count; the others are made as ever.
    package var operations: Set<HostOperation>
    /// What the failing calls do before they fail.
    package var manner: Manner

    /// What happened while a fault was armed.
    package struct Outcome: Sendable {
        /// The calls that counted.
        package var calls: Int
        /// Those of them that were failed.
        package var failed: Int
    }

    /// Fails `failures` calls from the `first`-th on with `errno`.
    package init(
        first: Int, failures: Int = 1, errno: Errno = .noMemory,
        operations: Set<HostOperation> = Set(HostOperation.allCases), manner: Manner = .atOnce
    ) {
        self.first = first
        self.failures = failures
        self.errno = errno
        self.operations = operations
        self.manner = manner
    }

    /// Runs `body` on this thread with the fault armed, and tells how many calls there were and how many failed.
    ///
    /// Faults do not nest: one inside another replaces it.
    package func during<Value>(_ body: () -> Value) -> (value: Value, outcome: Outcome) {
        let mask = operations.reduce(into: UInt64(0)) { $0 |= 1 << UInt64($1.rawValue) }
        let isError = errno.rawValue > 0
        vme_injection_arm(
            mask, Int64(max(1, first)), isError ? Int64(max(0, failures)) : 0, errno.rawValue,
            manner == .late)
        let value = body()
        let seen = vme_injection_disarm()
        return (value, Outcome(calls: Int(seen.calls), failed: Int(seen.fired)))
    }
}
