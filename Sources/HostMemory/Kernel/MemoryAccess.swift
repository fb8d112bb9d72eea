import CSystemShims

/// How a store that may fault ended.
package enum AccessOutcome: Hashable, Sendable {
    /// It was made.
    case done
    /// The page is mapped but does not allow it: SIGSEGV with si_code SEGV_ACCERR (2).
    case refused
    /// Another fault: the signal and its si_code.
    case faulted(signal: Int32, code: Int32)

    init(_ access: vme_access) {
        switch (access.signal, access.code) {
        case (0, _): self = .done
        case (11, 2): self = .refused
        case (let signal, let code): self = .faulted(signal: signal, code: code)
        }
    }
}

/// Words of mapped memory that other threads and the remapping itself may change at any time.
///
/// No reference into such memory is ever formed: each access is one atomic instruction through the shim.
package enum MemoryAccess {
    /// Loads the 64-bit word at `address` with acquire order.
    ///
    /// - Safety: `address` is 8-byte aligned and lies in a mapping that is readable and stays.
    @unsafe @inline(__always)
    package static func load(_ address: Address) -> UInt64 {
        // SAFETY: the caller answers for the mapping; address 0 never is one, and reads as 0.
        guard let word = unsafe address.pointer(as: UInt64.self) else { return 0 }
        return unsafe vme_load_acquire(word)
    }

    /// Stores `value` at `address` with release order.
    ///
    /// - Safety: `address` is 8-byte aligned and lies in a mapping that is writable and stays.
    @unsafe @inline(__always)
    package static func store(_ value: UInt64, at address: Address) {
        // SAFETY: the caller answers for the mapping; address 0 never is one, and is left alone.
        guard let word = unsafe address.pointer(as: UInt64.self) else { return }
        unsafe vme_store_release(word, value)
    }

    /// Stores `value` at `address`, or reports the fault that stops it.
    ///
    /// - Safety: `address` is 8-byte aligned and lies in a mapping that stays (of whatever protection).
    @unsafe package static func tryStore(_ value: UInt64, at address: Address) -> AccessOutcome {
        // SAFETY: the shim survives a fault; the caller answers that the mapping is not somebody else's.
        guard let word = unsafe address.pointer(as: UInt64.self) else { return .refused }
        return unsafe AccessOutcome(vme_try_store(word, value))
    }

    /// Loads the word at `address`, or nil if that faults.
    ///
    /// - Safety: `address` is 8-byte aligned and lies in address space the caller holds, mapped or not.
    @unsafe package static func tryLoad(_ address: Address) -> UInt64? {
        // SAFETY: as for tryStore; the result word is this function's own.
        guard let word = unsafe address.pointer(as: UInt64.self) else { return nil }
        var value: UInt64 = 0
        let outcome = unsafe AccessOutcome(vme_try_load(word, &value))
        return outcome == .done ? value : nil
    }

    /// Replaces the 32-bit counter at `address` by `value` if it is `expected`, in one atomic step, or reports the
    /// fault that stops it. Processors fault on a read-only page whatever the counter is.
    ///
    /// - Returns: how it ended, and what the counter was.
    /// - Safety: as for ``tryAdd(_:at:)``.
    @unsafe package static func tryReplace(
        _ expected: Int32, with value: Int32, at address: Address
    ) -> (outcome: AccessOutcome, found: Int32) {
        // SAFETY: as for tryStore; the word that was found is this function's own.
        guard let counter = unsafe address.pointer(as: Int32.self) else { return (.refused, expected) }
        var found = expected
        let outcome = unsafe AccessOutcome(vme_try_replace(counter, &found, value))
        return (outcome, found)
    }

    /// Adds `delta` to the 32-bit counter at `address` in one atomic step, or reports the fault that stops it.
    ///
    /// - Safety: `address` is 4-byte aligned and lies in a mapping that stays (of whatever protection).
    @unsafe package static func tryAdd(_ delta: Int32, at address: Address) -> AccessOutcome {
        // SAFETY: as for tryStore.
        guard let counter = unsafe address.pointer(as: Int32.self) else { return .refused }
        return unsafe AccessOutcome(vme_try_add(counter, delta))
    }
}
