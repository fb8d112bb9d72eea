import HostMemory
import SystemPackage

/// Reads the kernel's memory by a BPF program of a few instructions, attached to nothing and run once a read.
///
/// bpf_probe_read_kernel copies word by word and cannot fault: where nothing is mapped it says -EFAULT. Not for several
/// threads: a read is a run and a look at the map that it fills.
final class BPFReader: KernelReader {
    private let map: FileDescriptor
    private let program: FileDescriptor
    private let kind: HostKernel.BPFProgramKind

    /// Loads the program as the first kind that this kernel runs.
    ///
    /// - Throws: ``KernelMemoryError/notPermitted(refusal:)`` without the capabilities; ``KernelMemoryError/host(_:)``
    ///   otherwise.
    init() throws(KernelMemoryError) {
        do throws(HostError) {
            let map = try HostKernel.createBPFArray(length: BasePage.bytes)
            do throws(HostError) {
                (program, kind) = try Self.firstThatRuns { (kind) throws(HostError) in
                    try HostKernel.loadBPFProgram(kind, Self.readProgram(into: map))
                }
            } catch {
                try? HostKernel.close(map)
                throw error
            }
            self.map = map
        } catch {
            throw error.code == .notPermitted ? .notPermitted(refusal: "\(error)") : .host(error)
        }
    }

    deinit {
        try? HostKernel.close(program)
        try? HostKernel.close(map)
    }

    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64] {
        guard Self.isInOnePage(address, count) else { throw .unreadable(address) }
        var words = [UInt64](repeating: 0, count: BasePage.words)
        let result: Int32
        do throws(HostError) {
            result = try HostKernel.runBPFProgram(program, context: [address.rawValue, UInt64(count * 8)])
            if result == 0 { try HostKernel.readBPFArray(map, into: &words) }
        } catch {
            throw .host(error)
        }
        if result != 0 { throw .unreadable(address) }
        words.removeLast(BasePage.words - count)
        return words
    }

    /// The address of this thread's task_struct.
    func currentTask() throws(KernelMemoryError) -> KernelAddress {
        var words = [UInt64](repeating: 0, count: BasePage.words)
        do throws(HostError) {
            let program = try HostKernel.loadBPFProgram(kind, Self.taskProgram(into: map))
            defer { try? HostKernel.close(program) }
            _ = try HostKernel.runBPFProgram(program, context: [0, 0])
            try HostKernel.readBPFArray(map, into: &words)
        } catch {
            throw .host(error)
        }
        return KernelAddress(words[0])
    }

    /// A kind that this kernel can load and run, and the program as one.
    private static func firstThatRuns(
        _ load: (HostKernel.BPFProgramKind) throws(HostError) -> FileDescriptor
    ) throws(HostError) -> (FileDescriptor, HostKernel.BPFProgramKind) {
        var refusal: HostError?
        for kind in HostKernel.BPFProgramKind.allCases {
            do throws(HostError) {
                let program = try load(kind)
                do throws(HostError) {
                    _ = try HostKernel.runBPFProgram(program, context: [0, 8])
                    return (program, kind)
                } catch {
                    try? HostKernel.close(program)
                    throw error
                }
            } catch {
                if error.code == .notPermitted { throw error }
                refusal = refusal ?? error
            }
        }
        throw refusal ?? HostError(.noFunction, .bpf, .process)
    }

    // MARK: The programs

    /// `r2` bytes from `r3` to the map, by the context's two words: the address and a length that the verifier sees
    /// bounded.
    private static func readProgram(into map: FileDescriptor) -> [UInt64] {
        [
            instruction(0x79, 3, 1, offset: 0),  // r3 = context[0]
            instruction(0x79, 2, 1, offset: 8),  // r2 = context[1]
            instruction(0xb7, 0, 0, value: 1),  // r0 = 1
            instruction(0x25, 2, 0, offset: 3, value: UInt32(BasePage.bytes)),  // if r2 > 4096, to the end
        ] + mapValue(map) + [
            instruction(0x85, 0, 0, value: 113),  // r0 = bpf_probe_read_kernel(r1, r2, r3)
            instruction(0x95, 0, 0),  // return r0
        ]
    }

    /// The current task's address to the map.
    private static func taskProgram(into map: FileDescriptor) -> [UInt64] {
        [instruction(0x85, 0, 0, value: 35)]  // r0 = bpf_get_current_task()
            + mapValue(map) + [
                instruction(0x7b, 1, 0, offset: 0),  // map[0] = r0
                instruction(0xb7, 0, 0, value: 0),  // r0 = 0
                instruction(0x95, 0, 0),  // return r0
            ]
    }

    /// `r1` = the address of the map's value: a load in two slots, marked BPF_PSEUDO_MAP_VALUE.
    private static func mapValue(_ map: FileDescriptor) -> [UInt64] {
        [instruction(0x18, 1, 2, value: UInt32(bitPattern: map.rawValue)), 0]
    }

    /// struct bpf_insn: opcode, destination and source register, offset, immediate value.
    private static func instruction(
        _ opcode: UInt64, _ destination: UInt64, _ source: UInt64, offset: UInt64 = 0, value: UInt32 = 0
    ) -> UInt64 { opcode | destination << 8 | source << 12 | offset << 16 | UInt64(value) << 32 }
}
