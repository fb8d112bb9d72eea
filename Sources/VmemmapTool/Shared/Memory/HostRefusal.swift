import HostMemory
import SystemPackage

/// What a refusal by the host comes to: what there is to do about it, and how a command ends.
///
/// The error's code alone does not tell: EINVAL is a flag that this kernel does not know of `madvise`, and a wrong
/// argument of `munmap`.
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
        switch error.code {
        case .outOfMemory: self = .memory
        case .noSpace: self = .fileSystem
        case .fileTooLarge: self = .fileSize
        case .tooManyFiles: self = .descriptors
        case .tooManyThreads: self = .threads
        case .notPermitted, .readOnly: self = .permission
        case .notSupported where error.errno == .noSuchFileOrDirectory && Self.isKernelFile(error.place):
            self = .unreadable
        case .notSupported: self = .support
        case .unreadable: self = .unreadable
        case .invalid where Self.hasNewerFlags(error.operation): self = .support
        // Of a file of the kernel's, which does not take every value.
        case .invalid where error.operation == .write: self = .other
        case .badAddress where Self.touchesMemory(error.operation): self = .memory
        case .invalid, .badAddress, .badDescriptor: self = .misuse
        default: self = .other
        }
    }

    /// Whether it is a file by which the kernel says how things are.
    private static func isKernelFile(_ place: HostError.Place) -> Bool {
        guard case .file(let name) = place else { return false }
        return name.hasPrefix("/proc/") || name.hasPrefix("/sys/")
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
