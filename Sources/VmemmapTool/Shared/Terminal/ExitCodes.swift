import ArgumentParser
import Glibc
import HostMemory
import VmemmapEmulator

extension ExitCode {
    /// A check failed.
    static let violation = ExitCode(2)
    /// The host lacks a resource, or refused otherwise.
    static let shortage = ExitCode(3)
    /// Not supported on this host.
    static let notSupported = ExitCode(4)

    /// The code for an error.
    init(_ error: ExperimentError) {
        switch error {
        case .shortage, .refused: self = .shortage
        case .mapLimit(let refusal): self.init(ExperimentError(refusal.cause))
        case .notSupported, .notPermitted: self = .notSupported
        case .notFound, .inUse: self = .shortage
        case .host(let error): self.init(error)
        case .vmemmap(let error): self.init(error)
        case .node(let failure): self.init(failure)
        case .signal(let number): self.init(128 + number)
        case .brokenKernel: self = .violation
        case .setting, .unexpected: self = .failure
        }
    }

    /// The code for a refusal by the host.
    init(_ error: HostError) {
        switch HostRefusal(error) {
        case .memory, .fileSystem, .fileSize, .descriptors, .threads, .other: self = .shortage
        case .permission, .support, .unreadable: self = .notSupported
        case .misuse: self = .failure
        }
    }

    /// The node's own; for a node that a signal has ended, a shortage, unless it has crashed.
    private init(_ failure: NodeFailure) {
        let crashes = [SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV]
        switch failure.signal {
        case .some(let signal): self = crashes.contains(signal) ? .failure : .shortage
        case .none: self.init(failure.code)
        }
    }

    private init(_ error: VmemmapError) {
        switch error.cause {
        case .host(let error): self.init(error)
        case .mappingLimit, .unusableCount: self = .shortage
        case .basePageSize, .hugePageSize, .notPMDMappable, .neverRemapped: self = .notSupported
        case .pmdMappedAtBoot, .unusableFirstZone, .unusableTailFrames, .unusableStructPage: self = .validationFailure
        case .sharedTail, .torn, .fault, .heldUp, .outOfRange, .frameOutOfRange: self = .failure
        }
    }
}

/// Runs an experiment; says why on standard error and exits with the right code if it cannot be run.
///
/// - Parameter sizing: the option that says how much the command is to do.
func runOrExit<Value>(
    _ sizing: ErrorText.Sizing = .pages, _ body: () throws(ExperimentError) -> Value
) throws -> Value {
    do throws(ExperimentError) {
        return try body()
    } catch {
        Output.error(ErrorText.line(error, sizing))
        throw ExitCode(error)
    }
}
