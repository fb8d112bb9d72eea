import CSystemShims
import Synchronization
package import SystemPackage

/// Memory or files that a child which this process forks does not get.
///
/// A child could write to shared frames, and it keeps every frame alive that the parent gives back while it runs. What
/// is shielded is taken from it inside `fork` itself, before it runs anything of its own (`pthread_atfork`): no advice
/// has to be given again with each mapping. `posix_spawn`, `vfork` and `exec` copy nothing to begin with; a bare
/// `clone` call of a process's own is not covered.
package final class ForkShield: Sendable {
    private let handle: Atomic<UInt>

    /// Shields a stretch of address space, whatever is mapped there by then.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` unless it is whole pages, one at least.
    package convenience init(_ range: AddressRange) throws(HostError) {
        guard range.isWholePages, range.length > .zero else {
            throw HostError(.invalidArgument, .fork, .addresses(range))
        }
        try self.init(.addresses(range)) { vme_fork_shield_add(range.start.rawValue, range.length.rawValue, -1, -1) }
    }

    /// Shields two descriptors.
    package convenience init(_ first: FileDescriptor, _ second: FileDescriptor) throws(HostError) {
        try self.init(.process) { vme_fork_shield_add(0, 0, first.rawValue, second.rawValue) }
    }

    private init(_ place: HostError.Place, _ add: () -> Int64) throws(HostError) {
        handle = Atomic(UInt(try HostKernel.call(.fork, place, add)))
    }

    deinit { remove() }

    /// Ends it: before what it shields becomes somebody else's.
    package func remove() {
        let handle = handle.exchange(0, ordering: .acquiringAndReleasing)
        if handle != 0 { vme_fork_shield_remove(handle) }
    }
}
