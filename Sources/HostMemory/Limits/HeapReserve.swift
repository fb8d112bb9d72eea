import CSystemShims

/// Room in malloc's heap, for processes that make memory scarce on purpose.
///
/// A refused allocation is the end of a Swift process: it cannot be caught. glibc maps each thread a heap (an arena) of
/// its own; where that is refused, the thread's allocations fail, whatever room the other heaps have. The main thread's
/// heap grows by `brk`, which RLIMIT_AS and vm.max_map_count refuse too. So there is to be one heap for all, and room
/// in it.
package enum HeapReserve {
    /// More than a stress run allocates while the host is short of something.
    package static let size = ByteCount.mebibytes(16)

    /// Has the threads that are started from now on share the heaps there are. Before there are others, that is the
    /// main thread's. The corresponding C function is `mallopt`.
    package static func share() { vme_heap_share() }

    /// The same, and gives the calling thread's heap ``size`` of free room, which takes no frames until it is used.
    /// Called again, it fills the room up.
    ///
    /// To be called first on the main thread, before there are others: its heap is the only one then. The corresponding
    /// C function is `mallopt`.
    ///
    /// - Returns: whether the room is in the main thread's heap. With another C library than glibc nothing is done.
    @discardableResult
    package static func fill() -> Bool { HostKernel.inMappingTurn { vme_heap_reserve(size.rawValue) } }
}
