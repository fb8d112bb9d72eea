import HostMemory
import SystemPackage

/// What a refusal by the host comes to: what there is to do about it, and how a command ends.
///
/// The kernel's word alone does not tell: EAGAIN is a thread too many of `pthread_create` and memory of `mmap`, and
/// EINVAL a flag that this kernel does not know of `madvise` and a wrong argument of `munmap`.
enum HostRefusal: Hashable, Sendable, CaseIterable {
    /// Memory, or one mapping too many: the kernel does not tell which.
    case memory
    /// Room in a file system.
    case fileSystem
    /// The length of a file (RLIMIT_FSIZE).
    case fileSize
    /// Descriptors.
    case descriptors
    /// Threads and processes, or memory for their stacks.
    case threads
    /// It is not allowed.
    case permission
    /// This kernel does not have it.
    case support
    /// What the kernel has to say cannot be read: a file of /proc or /sys is hidden, empty, or in another form.
    case unreadable
    /// Anything else that the host may answer to a right call: a device that is busy, an error of its own.
    case other
    /// The call was wrong: this tool's fault.
    case misuse

    /// What `error` comes to.
    init(_ error: HostError) {
        guard let errno = error.errno else {
            self = .unreadable
            return
        }
        let isHidden = errno == .noSuchFileOrDirectory && Self.isKernelFile(error.place)
        self = isHidden ? .unreadable : Self.kind(of: errno, error.operation)
    }

    private static func kind(of errno: Errno, _ operation: HostOperation) -> HostRefusal {
        switch errno {
        case .noMemory: .memory
        case .resourceTemporarilyUnavailable: startsSomething(operation) ? .threads : .memory
        case .noSpace, .diskQuotaExceeded: .fileSystem
        case .fileTooLarge: .fileSize
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem: .descriptors
        case .notPermitted, .permissionDenied, .readOnlyFileSystem: .permission
        case .noFunction, .notSupported, .notSupportedOnSocket, .inappropriateIOCTLForDevice, .noSuchFileOrDirectory,
            .operationNotSupportedByDevice, .notSupportedInKernel:
            .support
        case .invalidArgument: hasNewerFlags(operation) ? .support : operation == .write ? .other : .misuse
        case .badAddress: touchesMemory(operation) ? .memory : .misuse
        case .badFileDescriptor: .misuse
        default: .other
        }
    }

    /// Whether it is a file by which the kernel says how things are.
    private static func isKernelFile(_ place: HostError.Place) -> Bool {
        guard case .file(let name) = place else { return false }
        return name.hasPrefix("/proc/") || name.hasPrefix("/sys/")
    }

    private static func startsSomething(_ operation: HostOperation) -> Bool {
        operation == .startThread || operation == .startProcess || operation == .fork
    }

    /// Whether EINVAL means a kernel that is too old for a flag or an advice, or was built without.
    private static func hasNewerFlags(_ operation: HostOperation) -> Bool {
        switch operation {
        case .seal, .createFile, .advise, .splitHugePage, .collapse, .scanPageMap, .mapHugePage, .punchHole, .seek,
            .mount, .open, .bpf:
            true
        default: false
        }
    }

    /// Whether the kernel has to get at memory of the process: EFAULT where there is no frame for it.
    private static func touchesMemory(_ operation: HostOperation) -> Bool {
        switch operation {
        case .read, .write, .advise, .move, .splitHugePage, .collapse, .scanPageMap: true
        default: false
        }
    }
}
