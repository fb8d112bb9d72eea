import CSystemShims
package import HostMemory
import SystemPackage

/// A child of this process that has tried to store to some addresses, and waits. It ends with the probe.
package struct ForkProbe: ~Copyable, Sendable {
    private let probe: vme_fork_probe

    /// Forks a child that tries a store to each of `addresses`. The corresponding C function is `fork`.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` for no addresses at all.
    package init(storingTo addresses: [Address]) throws(HostError) {
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
    package var processID: Int32 { Int32(probe.pid) }
    /// How many of its stores were made; the others faulted.
    package var storesMade: Int { Int(probe.stores) }

    /// Lets the child go and waits for it.
    package consuming func end() {}
}
