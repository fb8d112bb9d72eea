import CSystemShims
import SystemPackage

/// A process that puts settings of the host back should this one die before it has done so.
final class Guardian: Sendable {
    /// What the guardian does, in order.
    struct Step: Sendable {
        enum Kind: Sendable { case clearing, setting, mappingLimit }
        let kind: Kind
        /// Its setting's place among those guarded.
        let index: Int
        let path: FilePath
        let value: Int
    }

    /// Its number.
    let processID: Int32
    private let end: FileDescriptor
    private let own: AddressRange
    /// A child that has the socket, or the lock, would pass for this process once that is gone.
    private let shield: ForkShield

    /// Starts it. The corresponding C function is `fork`.
    ///
    /// - Parameter lock: what the guardian keeps until the settings are back.
    init(_ steps: [Step], lock: SettingLock) throws(HostError) {
        let ends = try Self.socketPair()
        end = FileDescriptor(rawValue: ends[1])
        do throws(HostError) {
            defer { try? HostKernel.close(FileDescriptor(rawValue: ends[0])) }
            own = try Self.mapShared(HostLimits.pageSize)
            do throws(HostError) {
                processID = try Self.start(ends, Self.text(steps), own, lock)
                // With the end of the socket, a guardian that is there goes away: nothing has been changed yet.
                shield = try ForkShield(end, lock.descriptor)
            } catch {
                try? HostKernel.unmap(own)
                throw error
            }
        } catch {
            try? HostKernel.close(end)
            throw error
        }
    }

    private static func socketPair() throws(HostError) -> [CInt] {
        var ends: [CInt] = [-1, -1]
        _ = try HostKernel.call(.open, .file("a pair of sockets")) {
            // SAFETY: the array has room for two, and lives for the call.
            unsafe ends.withUnsafeMutableBufferPointer { ends in
                guard let first = ends.baseAddress else { return -Int64(Errno.invalidArgument.rawValue) }
                return unsafe vme_socket_pair(first)
            }
        }
        return ends
    }

    /// Memory that a child which is forked shares. The corresponding C function is `mmap`.
    private static func mapShared(_ length: ByteCount) throws(HostError) -> AddressRange {
        let start = try HostKernel.mappingCall(
            .mapAnonymous, .addresses(AddressRange(start: Address(0), length: length)),
            { vme_map_shared(length.rawValue) })
        return AddressRange(start: Address(UInt(start)), length: length)
    }

    private static func start(
        _ ends: [CInt], _ text: [UInt8], _ own: AddressRange, _ lock: SettingLock
    ) throws(HostError) -> Int32 {
        let pid = try HostKernel.call(.fork, .process) {
            // SAFETY: both arrays live for the call, each string in the text ends in a zero, and the guardian has copies of its own.
            unsafe text.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return -Int64(Errno.invalidArgument.rawValue) }
                return unsafe vme_guardian_start(
                    ends, start.assumingMemoryBound(to: CChar.self), bytes.count, own.start.rawValue,
                    lock.descriptor.rawValue)
            }
        }
        return Int32(pid)
    }

    /// As the guardian reads them.
    private static func text(_ steps: [Step]) -> [UInt8] {
        steps.reduce(into: []) { text, step in
            let kind =
                switch step.kind {
                case .clearing: VME_STEP_CLEARING
                case .setting: VME_STEP_SETTING
                case .mappingLimit: VME_STEP_MAPPING_LIMIT
                }
            text += [UInt8(kind), UInt8(step.index)]
            text += Array(step.path.string.utf8) + [0] + Array("\(step.value)\n".utf8) + [0]
        }
    }

    /// Tells it which values of a setting are this process's doing; any other it leaves alone.
    func note(_ index: Int, _ values: ClosedRange<Int>) {
        vme_guardian_note(own.start.rawValue, index, Int64(values.lowerBound), Int64(values.upperBound))
    }

    /// Sends it away with nothing done, and waits until it has gone; not for long, should somebody have stopped it.
    func dismiss() {
        _ = vme_guardian_tell(end.rawValue, CChar(VME_GUARDIAN_DISMISS))
        for _ in 0..<1000 where !vme_guardian_has_ended(Int64(processID)) {
            HostKernel.sleep(nanoseconds: 1_000_000)
        }
        close()
    }

    /// Has it put the settings back now, or as soon as that harms nobody. Returns false if it is there no more.
    func takeOver() -> Bool {
        defer { close() }
        return !vme_guardian_has_ended(Int64(processID))
            && vme_guardian_tell(end.rawValue, CChar(VME_GUARDIAN_TAKE_OVER)) == 0
    }

    private func close() {
        shield.remove()
        try? HostKernel.close(end)
        try? HostKernel.unmap(own)
    }
}

extension HostKernel {
    /// A process that has more mappings than `mappings`, this one aside; nil where /proc shows none.
    static func process(above mappings: Int) -> Int32? {
        let found = vme_process_above(Int64(mappings))
        return found > 0 ? Int32(found) : nil
    }
}
