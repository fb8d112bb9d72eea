package import HostMemory
package import SystemPackage

extension HostOperation {
    /// The errors that the call can give where it is called rightly (its manual page), EINTR included where a signal
    /// can come first: what an ``InjectedFault`` may report of it.
    ///
    /// Of the calls that optimizing and restoring make. Those that are made only at the start, to measure or to report
    /// have none here.
    package var possibleErrors: [Errno] {
        switch self {
        case .mapFile: [.noMemory, .resourceTemporarilyUnavailable, .tooManyOpenFilesInSystem]
        case .mapAnonymous: [.noMemory, .resourceTemporarilyUnavailable]
        case .unmap: [.noMemory]
        case .protect: [.noMemory, .permissionDenied]
        case .advise: [.noMemory, .badAddress, .resourceTemporarilyUnavailable, .invalidArgument, .interrupted]
        case .move: [.noMemory, .resourceTemporarilyUnavailable, .badAddress]
        case .write: [.noSpace, .interrupted, .ioError, .noMemory, .fileTooLarge, .diskQuotaExceeded]
        case .read: [.interrupted, .ioError, .noMemory]
        case .punchHole: [.interrupted, .ioError, .noSpace, .noMemory, .notPermitted]
        case .open: [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .interrupted, .noSuchFileOrDirectory]
        case .close: [.interrupted, .ioError]
        case .status: [.noMemory]
        case .splitHugePage: [.noMemory, .resourceTemporarilyUnavailable, .invalidArgument, .interrupted]
        case .collapse: [.noMemory, .resourceBusy, .resourceTemporarilyUnavailable, .invalidArgument, .interrupted]
        case .scanPageMap: [.noMemory, .interrupted, .badAddress, .inappropriateIOCTLForDevice]
        // Not ENXIO, which is an answer: no data.
        case .seek: [.invalidArgument]
        default: []
        }
    }
}
