public import SystemPackage

/// What the host refused, where, and why.
///
/// ``code`` says what kind of refusal it is, for callers that act on it; ``errno`` is the kernel's own word;
/// ``operation`` and ``place`` say what was asked of it.
public struct HostError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of a refusal.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Sendable {
            case outOfMemory, noSpace, fileTooLarge, notPermitted, readOnly, notSupported, tooManyFiles, tooManyThreads,
                interrupted, invalid, badAddress, badDescriptor, unreadable, other
        }
        private let kind: Kind

        /// No memory, or one mapping too many (ENOMEM, mostly EAGAIN): the kernel does not tell which.
        package static let outOfMemory = Code(kind: .outOfMemory)
        /// The file system has no room (ENOSPC, EDQUOT).
        package static let noSpace = Code(kind: .noSpace)
        /// A file may not become as long (EFBIG: RLIMIT_FSIZE).
        package static let fileTooLarge = Code(kind: .fileTooLarge)
        /// Not allowed to this process (EPERM, EACCES).
        package static let notPermitted = Code(kind: .notPermitted)
        /// Nobody may write there (EROFS).
        package static let readOnly = Code(kind: .readOnly)
        /// This kernel does not have it (ENOSYS, EOPNOTSUPP, ENOENT, ENOTTY, ENODEV, ENOTSUPP).
        package static let notSupported = Code(kind: .notSupported)
        /// No descriptor left (EMFILE, ENFILE).
        package static let tooManyFiles = Code(kind: .tooManyFiles)
        /// No thread or process left, or no memory for its stack (EAGAIN of what starts one).
        package static let tooManyThreads = Code(kind: .tooManyThreads)
        /// A signal came first (EINTR).
        package static let interrupted = Code(kind: .interrupted)
        /// The kernel calls the arguments wrong, or does not know a flag among them (EINVAL).
        package static let invalid = Code(kind: .invalid)
        /// The kernel cannot get at the memory that the arguments name (EFAULT).
        package static let badAddress = Code(kind: .badAddress)
        /// The descriptor is none, or none for that (EBADF).
        package static let badDescriptor = Code(kind: .badDescriptor)
        /// A file of the kernel's does not read as expected, or ended early. Has no errno.
        package static let unreadable = Code(kind: .unreadable)
        /// Anything else.
        package static let other = Code(kind: .other)

        /// Whether memory, or room in a file or its file system, is what there was too little of.
        package var isLackOfRoom: Bool { [.outOfMemory, .noSpace, .fileTooLarge].contains(self) }

        /// The kind that an errno stands for when `operation` answers with it: the only place that sorts errnos into
        /// kinds.
        package init(_ errno: Errno, _ operation: HostOperation) {
            switch errno {
            case .noMemory: self = .outOfMemory
            case .resourceTemporarilyUnavailable: self = operation.startsSomething ? .tooManyThreads : .outOfMemory
            case .noSpace, .diskQuotaExceeded: self = .noSpace
            case .fileTooLarge: self = .fileTooLarge
            case .notPermitted, .permissionDenied: self = .notPermitted
            case .readOnlyFileSystem: self = .readOnly
            case .noFunction, .notSupportedOnSocket, .notSupported, .noSuchFileOrDirectory,
                .inappropriateIOCTLForDevice, .operationNotSupportedByDevice, .notSupportedInKernel:
                self = .notSupported
            case .tooManyOpenFiles, .tooManyOpenFilesInSystem: self = .tooManyFiles
            case .interrupted: self = .interrupted
            case .invalidArgument: self = .invalid
            case .badAddress: self = .badAddress
            case .badFileDescriptor: self = .badDescriptor
            default: self = .other
            }
        }

        private init(kind: Kind) { self.kind = kind }

        /// The name of the kind.
        package var description: String { kind.rawValue }
    }

    /// What the operation was applied to.
    package enum Place: Hashable, Sendable {
        /// A stretch of this process's address space.
        case addresses(AddressRange)
        /// A file, by path or, for a memory file, by name.
        case file(String)
        /// The process as a whole.
        case process
    }

    /// The kind of the refusal.
    package let code: Code
    /// The kernel's error number; nil where the kernel answered but the answer could not be read.
    public let errno: Errno?
    /// The operation that was refused.
    package let operation: HostOperation
    /// What it was applied to.
    package let place: Place

    /// A refusal by the kernel.
    package init(_ errno: Errno, _ operation: HostOperation, _ place: Place) {
        self.code = Code(errno, operation)
        self.errno = errno
        self.operation = operation
        self.place = place
    }

    /// An answer of the kernel's that does not read as expected.
    package init(unreadable file: String, _ operation: HostOperation = .read) {
        self.code = .unreadable
        self.errno = nil
        self.operation = operation
        self.place = .file(file)
    }

    /// Whether what was asked for is hidden from this process, as in a container, or not there: a figure less, no
    /// reason to do nothing.
    package var isHidden: Bool { [.notSupported, .notPermitted, .unreadable].contains(code) }

    /// One line: operation, place, the kernel's reason.
    public var description: String {
        let reason =
            if let errno { "\(errno) (errno \(errno.rawValue))" } else { "unexpected format" }
        return switch place {
        case .addresses(let range): "\(operation) of \(range) (\(range.length.rawValue) bytes): \(reason)"
        case .file(let name): "\(operation) of \(name): \(reason)"
        case .process: "\(operation): \(reason)"
        }
    }
}

extension HostKernel {
    /// What `read` reads; nil where it is hidden or not there.
    package static func unlessHidden<Value>(_ read: () throws(HostError) -> Value?) throws(HostError) -> Value? {
        do throws(HostError) {
            return try read()
        } catch  where error.isHidden {
            return nil
        }
    }
}

extension Errno {
    /// ENOTSUPP: meant for the kernel's own use, but bpf(2) answers with it, too. C has no name for it.
    package static var notSupportedInKernel: Errno { Errno(rawValue: 524) }
}

/// An operation that passes the door to the kernel. The raw value is its bit in an ``InjectedFault``.
package enum HostOperation: UInt32, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// mmap of the anonymous region.
    case mapRegion
    /// mmap of private anonymous memory.
    case mapAnonymous
    /// mmap(MAP_SHARED | MAP_FIXED) of file pages.
    case mapFile
    /// munmap.
    case unmap
    /// mprotect.
    case protect
    /// madvise.
    case advise
    /// mremap(MREMAP_FIXED).
    case move
    /// memfd_create.
    case createFile
    /// ftruncate.
    case setLength
    /// fcntl(F_ADD_SEALS).
    case seal
    /// open.
    case open
    /// close.
    case close
    /// pwritev, pwrite.
    case write
    /// preadv, pread, read.
    case read
    /// fallocate(FALLOC_FL_PUNCH_HOLE).
    case punchHole
    /// fstat, stat.
    case status
    /// pthread_create.
    case startThread
    /// signalfd, poll.
    case wait
    /// linkat, renameat.
    case rename
    /// unlink.
    case remove
    /// madvise(MADV_COLD) on a part of a transparent huge page.
    case splitHugePage
    /// madvise(MADV_COLLAPSE).
    case collapse
    /// ioctl(PAGEMAP_SCAN).
    case scanPageMap
    /// lseek.
    case seek
    /// posix_spawn.
    case startProcess
    /// mmap(MAP_HUGETLB).
    case mapHugePage
    /// getrusage.
    case usage
    /// fork, and what is kept from the child.
    case fork
    /// fsopen, fsconfig and fsmount of a tmpfs.
    case mount
    /// getrlimit, setrlimit.
    case limit
    /// sigaction, pthread_kill.
    case interrupt
    /// fallocate.
    case allocate
    /// fchown, fchmod.
    case permissions
    /// bpf.
    case bpf

    /// Whether it starts a thread or a process.
    fileprivate var startsSomething: Bool { self == .startThread || self == .startProcess || self == .fork }

    /// The system call's name, with the flag that matters.
    package var description: String {
        switch self {
        case .mapRegion: "mmap(region)"
        case .mapAnonymous: "mmap(MAP_ANONYMOUS)"
        case .mapFile: "mmap(MAP_SHARED | MAP_FIXED)"
        case .unmap: "munmap"
        case .protect: "mprotect"
        case .advise: "madvise"
        case .move: "mremap"
        case .createFile: "memfd_create"
        case .setLength: "ftruncate"
        case .seal: "fcntl(F_ADD_SEALS)"
        case .open: "open"
        case .close: "close"
        case .write: "write"
        case .read: "read"
        case .punchHole: "fallocate(PUNCH_HOLE)"
        case .status: "stat"
        case .startThread: "pthread_create"
        case .wait: "poll"
        case .rename: "rename"
        case .remove: "unlink"
        case .splitHugePage: "madvise(MADV_COLD)"
        case .collapse: "madvise(MADV_COLLAPSE)"
        case .scanPageMap: "ioctl(PAGEMAP_SCAN)"
        case .seek: "lseek"
        case .startProcess: "posix_spawn"
        case .mapHugePage: "mmap(MAP_HUGETLB)"
        case .usage: "getrusage"
        case .fork: "fork"
        case .mount: "fsopen(tmpfs)"
        case .limit: "setrlimit"
        case .interrupt: "sigaction"
        case .allocate: "fallocate"
        case .permissions: "fchmod"
        case .bpf: "bpf"
        }
    }
}
