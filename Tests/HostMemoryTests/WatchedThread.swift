import Glibc
import Synchronization
import SystemPackage

@testable import HostMemory

/// A thread of which the kernel tells whether it sleeps.
struct WatchedThread: Sendable {
    let thread: HostThread
    private let shared: Shared

    private final class Shared: Sendable {
        let number = Atomic<Int>(0)
        let hasEnded = Atomic(false)
    }

    init(_ body: @escaping @Sendable () -> Void) throws(HostError) {
        let shared = Shared()
        self.shared = shared
        thread = try HostThread {
            shared.number.store(Int(Self.ownNumber()), ordering: .releasing)
            body()
            shared.hasEnded.store(true, ordering: .releasing)
        }
        // It takes a turn to start: who has the turn next must find it running.
        while shared.number.load(ordering: .acquiring) == 0 { HostKernel.sleep(nanoseconds: 100_000) }
    }

    var hasEnded: Bool { shared.hasEnded.load(ordering: .acquiring) }

    /// Waits until it has ended, or has been asleep each time it was looked at for some time: what it waits for is not
    /// in its own hands then. Gives up after ten seconds.
    func waitUntilItSleepsOrEnds() {
        var asleep = 0
        for _ in 0..<10_000 where asleep < 20 && !hasEnded {
            HostKernel.sleep(nanoseconds: 1_000_000)
            asleep = isAsleep ? asleep + 1 : 0
        }
    }

    private var isAsleep: Bool {
        let number = shared.number.load(ordering: .acquiring)
        guard number != 0, let text = try? HostKernel.readText(FilePath("/proc/self/task/\(number)/stat")) else {
            return false
        }
        // The state follows the name, which is in brackets.
        return text[text.index(after: text.lastIndex(of: ")") ?? text.startIndex)...].hasPrefix(" S")
    }

    private static func ownNumber() -> pid_t {
        // SAFETY: gettid has this type in every C library that has it.
        let number = unsafe dlsym(nil, "gettid").map { symbol in
            unsafe unsafeBitCast(symbol, to: (@convention(c) () -> pid_t).self)()
        }
        return number ?? 0
    }
}
