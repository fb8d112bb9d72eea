import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("Signals that ask to end")
struct TerminationSignalsTests {
    @Test(
        "SIGTERM, SIGINT, SIGQUIT and SIGHUP are taken and do not kill", arguments: [SIGTERM, SIGINT, SIGQUIT, SIGHUP])
    func signals(number: CInt) async {
        await #expect(processExitsWith: .success) { [number = number as CInt] in
            try unblockSignals()
            let signals = try TerminationSignals()
            raise(number)
            #expect(try signals.wait() == .signal(number))
        }
    }

    @Test("Another signal keeps its own way")
    func otherSignal() async {
        await #expect(processExitsWith: .signal(SIGUSR1)) {
            try unblockSignals()
            _ = try TerminationSignals()
            raise(SIGUSR1)
        }
    }

    @Test("A signal of a crash ends the process, whatever handles it; one that was ignored stays so")
    func crashes() async {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            try unblockSignals()
            signal(SIGBUS) { _ in }
            signal(SIGQUIT, SIG_IGN)
            TerminationSignals.endByCrashes()
            raise(SIGQUIT)
            raise(SIGBUS)
        }
    }

    @Test("A line on standard input ends a wait, half a line does not")
    func lines() async {
        await #expect(processExitsWith: .success) {
            let writer = try replaceStandardInput()
            try HostKernel.write(Array("one\n\nhalf".utf8), to: writer, name: "pipe")
            let signals = try TerminationSignals()
            #expect(try signals.wait() == .line)
            #expect(try signals.wait() == .line)
            raise(SIGTERM)
            #expect(try signals.wait() == .signal(SIGTERM))
        }
    }

    @Test("The end of standard input ends no wait")
    func endOfInput() async {
        await #expect(processExitsWith: .success) {
            try HostKernel.close(try replaceStandardInput())
            try waitsForSignal()
        }
    }

    @Test("Neither does standard input that was closed before the start")
    func closedInput() async {
        await #expect(processExitsWith: .success) {
            let signals = try TerminationSignals()
            try HostKernel.close(.standardInput)
            try waitsForSignal(signals)
        }
    }
}

/// Puts a pipe in the place of standard input and gives its writing end.
private func replaceStandardInput() throws -> FileDescriptor {
    let pipe = try FileDescriptor.pipe()
    _ = try pipe.readEnd.duplicate(as: .standardInput)
    try HostKernel.close(pipe.readEnd)
    return pipe.writeEnd
}

/// Lets every signal reach this thread: the threads that tests run on have most of them blocked.
private func unblockSignals() throws {
    var none = sigset_t()
    // SAFETY: the set is this function's own.
    try #require(unsafe sigemptyset(&none) == 0 && pthread_sigmask(SIG_SETMASK, &none, nil) == 0)
}

/// Waits, and has another thread send SIGTERM to this one while it does.
private func waitsForSignal(_ given: TerminationSignals? = nil) throws {
    let signals = try given ?? TerminationSignals()
    let waiter = pthread_self()
    let sender = try HostThread {
        HostKernel.sleep(nanoseconds: 50_000_000)
        // To the one thread that has it blocked: the test library's own threads would die of it.
        pthread_kill(waiter, SIGTERM)
    }
    #expect(try signals.wait() == .signal(SIGTERM))
    sender.join()
}
