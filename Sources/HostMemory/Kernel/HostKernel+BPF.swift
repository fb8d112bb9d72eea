import CSystemShims
package import SystemPackage

/// Small BPF programs, run by hand and attached to nothing. The corresponding C function is `bpf`.
///
/// `union bpf_attr` is written as 64-bit words: linux/bpf.h lays it out without gaps, and its order of bytes is x86's.
extension HostKernel {
    /// The kinds of program that BPF_PROG_RUN runs on a context of the caller's.
    package enum BPFProgramKind: UInt64, Sendable, CaseIterable {
        /// BPF_PROG_TYPE_RAW_TRACEPOINT (run by hand since Linux 5.10).
        case rawTracepoint = 17
        /// BPF_PROG_TYPE_SYSCALL (Linux 5.14), which must be allowed to sleep.
        case systemCall = 31

        fileprivate var flags: UInt64 { self == .systemCall ? 1 << 4 : 0 }
    }

    /// Makes an array map with one value of `length` bytes. Needs CAP_BPF.
    package static func createBPFArray(length: Int) throws(HostError) -> FileDescriptor {
        // BPF_MAP_TYPE_ARRAY and the key's size, the value's size and how many there are, flags
        var attributes: [UInt64] = [2 | 4 << 32, UInt64(length) | 1 << 32, 0]
        return FileDescriptor(rawValue: CInt(try bpf(.createMap, &attributes).get()))
    }

    /// Loads a program. Needs CAP_BPF, and CAP_PERFMON if it reads the kernel's memory.
    ///
    /// Throws ``HostError/Code-swift.struct/invalid`` for a program that the kernel's verifier refuses.
    package static func loadBPFProgram(
        _ kind: BPFProgramKind, _ instructions: [UInt64]
    ) throws(HostError) -> FileDescriptor {
        // The kernel calls the helpers that read its memory only for programs under its own licence.
        let licence = Array("GPL\0".utf8)
        let result = lending(instructions) { program in
            lending(licence) { licence in
                var attributes = [
                    kind.rawValue | UInt64(instructions.count) << 32, program, licence, 0, 0, kind.flags << 32,
                ]
                return bpf(.loadProgram, &attributes)
            }
        }
        return FileDescriptor(rawValue: CInt(try result.get()))
    }

    /// Runs a program once on `context` and returns what it returned.
    package static func runBPFProgram(_ program: FileDescriptor, context: [UInt64]) throws(HostError) -> Int32 {
        // The kernel writes the context back.
        var context = context
        // SAFETY: the kernel alone is given the address. It reads and writes as many bytes as it is told, which are the
        // array's, while this function waits for it.
        let result = unsafe context.withUnsafeMutableBytes { bytes in
            let place = UInt64(UInt(bitPattern: bytes.baseAddress))
            var attributes = [UInt64(program.rawValue), 0, 0, 0, 0, UInt64(bytes.count), place, 0]
            return bpf(.runProgram, &attributes).map { _ in Int32(truncatingIfNeeded: attributes[0] >> 32) }
        }
        return try result.get()
    }

    /// Copies the value of a map made by ``createBPFArray(length:)``.
    ///
    /// - Parameter words: as many words as the map's value has.
    package static func readBPFArray(_ map: FileDescriptor, into words: inout [UInt64]) throws(HostError) {
        let key: [UInt64] = [0]
        // SAFETY: the kernel alone is given the address, and it writes the map's value there while this function waits
        // for it.
        let result = unsafe words.withUnsafeMutableBytes { value in
            let place = UInt64(UInt(bitPattern: value.baseAddress))
            return lending(key) { key in
                var attributes = [UInt64(map.rawValue), key, place, 0]
                return bpf(.lookUp, &attributes)
            }
        }
        _ = try result.get()
    }

    /// Commands of `bpf`.
    private enum BPFCommand: CInt {
        case createMap = 0
        case lookUp = 1
        case loadProgram = 5
        case runProgram = 10
    }

    private static func bpf(_ command: BPFCommand, _ attributes: inout [UInt64]) -> Result<Int64, HostError> {
        Result { () throws(HostError) in
            try callThroughSignals(.bpf, .process) {
                // SAFETY: the kernel reads and writes at most the length it is told, which is the array's.
                unsafe attributes.withUnsafeMutableBytes { bytes in
                    guard let start = bytes.baseAddress else { return 0 }
                    return unsafe vme_bpf(command.rawValue, start, bytes.count)
                }
            }
        }
    }

    /// Calls `body` with the address of an array's elements, which stay there until it returns.
    private static func lending<Element, Value>(_ array: [Element], _ body: (UInt64) -> Value) -> Value {
        // SAFETY: the kernel alone is given the address, and it reads the elements while this function waits for it.
        unsafe array.withUnsafeBytes { bytes in body(UInt64(UInt(bitPattern: bytes.baseAddress))) }
    }
}
