import CSystemShims
import Synchronization
public import SystemPackage

/// Memory or files that a child which this process forks does not get.
///
/// A child could write to shared frames, and it keeps every frame alive that the parent gives back while it runs. What is
/// shielded is taken from it inside `fork` itself, before it runs anything of its own (`pthread_atfork`): no advice has to be
/// given again with each mapping. `posix_spawn`, `vfork` and `exec` copy nothing to begin with; a bare `clone` call of a
/// process's own is not covered.
public final class ForkShield: Sendable {
    private let handle: Atomic<UInt>

    /// Shields a stretch of address space, whatever is mapped there by then.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` unless it is whole pages, one at least.
    public convenience init(_ range: AddressRange) throws(HostError) {
        guard range.isWholePages, range.length > .zero else {
            throw HostError(.invalidArgument, .fork, .addresses(range))
        }
        try self.init(.addresses(range)) { vme_fork_shield_add(range.start.rawValue, range.length.rawValue, -1, -1) }
    }

    /// Shields two descriptors.
    public convenience init(_ first: FileDescriptor, _ second: FileDescriptor) throws(HostError) {
        try self.init(.process) { vme_fork_shield_add(0, 0, first.rawValue, second.rawValue) }
    }

    private init(_ place: HostError.Place, _ add: () -> Int64) throws(HostError) {
        handle = Atomic(UInt(try HostKernel.call(.fork, place, add)))
    }

    deinit { remove() }

    /// Ends it: before what it shields becomes somebody else's.
    public func remove() {
        let handle = handle.exchange(0, ordering: .acquiringAndReleasing)
        if handle != 0 { vme_fork_shield_remove(handle) }
    }
}

/// A child of this process that has tried to store to some addresses, and waits. It ends with the probe.
public struct ForkProbe: ~Copyable, Sendable {
    private let probe: vme_fork_probe

    /// Forks a child that tries a store to each of `addresses`. The corresponding C function is `fork`.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` for no addresses at all.
    public init(storingTo addresses: [Address]) throws(HostError) {
        let words = addresses.map(\.rawValue)
        var probe: vme_fork_probe?
        _ = try HostKernel.call(.fork, .process) {
            // SAFETY: the array lives for the call, which is past by the time the child ends.
            probe = unsafe words.withUnsafeBufferPointer { words in
                guard let first = words.baseAddress, !words.isEmpty else { return nil }
                return unsafe vme_fork_probe_start(first, words.count)
            }
            return probe?.pid ?? -Int64(Errno.invalidArgument.rawValue)
        }
        guard let probe else { throw HostError(.invalidArgument, .fork, .process) }
        self.probe = probe
    }

    deinit { vme_fork_probe_end(probe) }

    /// The child's number.
    public var processID: Int32 { Int32(probe.pid) }
    /// How many of its stores were made; the others faulted.
    public var storesMade: Int { Int(probe.stores) }

    /// Lets the child go and waits for it.
    public consuming func end() {}
}
