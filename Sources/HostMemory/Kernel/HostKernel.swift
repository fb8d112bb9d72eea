import CSystemShims
import Glibc
import SystemPackage

/// The one door to the kernel: every system call of the project passes here.
///
/// The door does three things and no more: it lets an ``InjectedFault`` fail the call, it repeats a call that a signal
/// interrupted where repeating is right, and it turns -errno into a ``HostError``. The calls themselves are spread over
/// extensions by what they act on.
package enum HostKernel {
    /// Makes one call. The closure returns a result or -errno, as the shims do.
    @inline(__always)
    package static func call(
        _ operation: HostOperation, _ place: @autoclosure () -> HostError.Place, _ body: () -> Int64
    ) throws(HostError) -> Int64 {
        let refused = vme_injection_next(operation.rawValue)
        if refused != 0, vme_injection_is_late() { doBeforeRefusal(operation, place(), body) }
        let result = refused == 0 ? body() : Int64(refused)
        if result < 0 {
            throw HostError(Errno(rawValue: CInt(-result)), operation, place())
        }
        return result
    }

    /// What a C function returned, or -errno as the shims have it. To be given the call itself: errno is read at once.
    @inline(__always)
    static func result(_ returned: some SignedInteger) -> Int64 { returned < 0 ? -Int64(errno) : Int64(returned) }

    /// The same of `mmap`, which returns an address or MAP_FAILED (-1).
    @inline(__always)
    static func addressResult(_ returned: UnsafeMutableRawPointer?) -> Int64 {
        let address = Int64(Int(bitPattern: returned))
        return address == -1 ? -Int64(errno) : address
    }

    /// What a call that is to be refused late does (``InjectedFault/Manner/late``).
    @inline(never)
    private static func doBeforeRefusal(_ operation: HostOperation, _ place: HostError.Place, _ body: () -> Int64) {
        switch (operation, place) {
        case (.mapFile, .addresses(let target)), (.move, .addresses(let target)):
            // SAFETY: the call that is refused would have replaced the same mappings.
            _ = unsafe munmap(target.start.pointer, target.length.rawValue)
        case (.write, _), (.protect, _), (.advise, _), (.punchHole, _): _ = body()
        default: break
        }
    }

    /// Makes one call, and makes it again as long as a signal interrupts it before it has done anything.
    ///
    /// For calls on files. The calls on mappings never report EINTR to a living process.
    @inline(__always)
    package static func callThroughSignals(
        _ operation: HostOperation, _ place: @autoclosure () -> HostError.Place, _ body: () -> Int64
    ) throws(HostError) -> Int64 {
        while true {
            do {
                return try call(operation, place(), body)
            } catch  where error.code == .interrupted {
                continue
            }
        }
    }

    /// Makes one call that may make a mapping: not while another thread moves one.
    ///
    /// `mremap` at the mapping limit is refused after it has unmapped its target if others map between its two looks at
    /// the limit (Linux 6.17 and later). So whoever maps shares turns, and ``moveCall(_:_:_:)`` has one alone. Two
    /// atomic steps a call: the kernel's own lock is held longer.
    @inline(__always)
    package static func mappingCall(
        _ operation: HostOperation, _ place: @autoclosure () -> HostError.Place, _ body: () -> Int64
    ) throws(HostError) -> Int64 {
        try call(operation, place()) { inMappingTurn(body) }
    }

    /// Does something that may make or remove mappings: not while another thread moves one. Turns do not nest, and
    /// whoever has one must not wait for a thread that may want one.
    @inline(__always)
    package static func inMappingTurn<Value>(_ body: () -> Value) -> Value {
        vme_mapping_turn_share()
        defer { vme_mapping_turn_end() }
        return body()
    }

    /// Makes one call that moves a mapping: while no other thread maps.
    @inline(__always)
    package static func moveCall(
        _ operation: HostOperation, _ place: @autoclosure () -> HostError.Place, _ body: () -> Int64
    ) throws(HostError) -> Int64 {
        try call(operation, place()) {
            vme_mapping_turn_own()
            defer { vme_mapping_turn_end() }
            return body()
        }
    }
}
