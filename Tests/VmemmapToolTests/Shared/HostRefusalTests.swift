import HostLab
import HostMemory
import SystemPackage
import Testing
@testable import VmemmapTool

@Suite("What a refusal by the host comes to")
struct HostRefusalTests {
    /// Every errno that Linux has, and the one that bpf(2) takes from the kernel's own.
    private static let errnos = ((1...133) + [524]).map { Errno(rawValue: $0) }

    /// What an errno comes to, whatever was asked; EAGAIN, EINVAL and EFAULT depend on that.
    private static let byErrno: [Errno: HostRefusal] = [
        .noMemory: .memory, .noSpace: .fileSystem, .diskQuotaExceeded: .fileSystem, .fileTooLarge: .fileSize,
        .tooManyOpenFiles: .descriptors, .tooManyOpenFilesInSystem: .descriptors, .notPermitted: .permission,
        .permissionDenied: .permission, .readOnlyFileSystem: .permission, .noFunction: .support,
        .notSupported: .support, .noSuchFileOrDirectory: .support, .inappropriateIOCTLForDevice: .support,
        .operationNotSupportedByDevice: .support, .badFileDescriptor: .misuse, Errno(rawValue: 524): .support,
    ]

    private static let starting: Set<HostOperation> = [.startThread, .startProcess, .fork]
    private static let withNewerFlags: Set<HostOperation> = [
        .seal, .createFile, .advise, .splitHugePage, .collapse, .scanPageMap, .mapHugePage, .punchHole, .seek, .mount,
        .open, .bpf,
    ]
    private static let touchingMemory: Set<HostOperation> = [
        .read, .write, .advise, .move, .splitHugePage, .collapse, .scanPageMap,
    ]

    private static func expected(_ errno: Errno, _ operation: HostOperation) -> HostRefusal {
        switch errno {
        case .resourceTemporarilyUnavailable: starting.contains(operation) ? .threads : .memory
        case .invalidArgument:
            withNewerFlags.contains(operation) ? .support : operation == .write ? .other : .misuse
        case .badAddress: touchingMemory.contains(operation) ? .memory : .misuse
        default: byErrno[errno] ?? .other
        }
    }

    @Test("By errno and operation, all of them", arguments: HostOperation.allCases)
    func all(_ operation: HostOperation) {
        for errno in Self.errnos {
            let found = HostRefusal(HostError(errno, operation, .process))
            #expect(found == Self.expected(errno, operation), "\(errno.rawValue) of \(operation)")
        }
    }

    @Test("What a right call can answer is never this tool's fault", arguments: HostOperation.allCases)
    func possible(_ operation: HostOperation) {
        for errno in operation.possibleErrors {
            #expect(HostRefusal(HostError(errno, operation, .process)) != .misuse, "\(errno) of \(operation)")
        }
    }

    @Test("A file of the kernel's that is hidden, empty or of another form is not this tool's fault")
    func unreadable() {
        #expect(HostRefusal(HostError(unreadable: "/proc/meminfo")) == .unreadable)
        for name in ["/proc/sys/vm/max_map_count", "/sys/kernel/mm/ksm/run"] {
            #expect(HostRefusal(HostError(.noSuchFileOrDirectory, .open, .file(name))) == .unreadable)
            #expect(HostRefusal(HostError(.permissionDenied, .open, .file(name))) == .permission)
        }
        #expect(HostRefusal(HostError(.noSuchFileOrDirectory, .open, .file("/processes"))) == .support)
    }
}
