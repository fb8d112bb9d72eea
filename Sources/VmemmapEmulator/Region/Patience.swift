import HostMemory

/// How long a call is repeated that the host refuses while some reader has a reference to the page.
///
/// The reader may have been put off its processor while it holds the reference, for as long as a busy scheduler likes:
/// a number of tries alone, or of yields, can pass while it does not run once. So the pauses grow, and it takes both a
/// time and a number of tries to give up: the time may pass while it is this thread that does not run.
struct Patience {
    private static let yields = 4
    private static let longestPause = 5_000_000

    private let end: Int
    private let triesAtLeast: Int
    private var tries = 0
    private var pause = 50_000

    /// - Parameters:
    ///   - nanoseconds: the time to be passed before it gives up.
    ///   - triesAtLeast: the tries to be made before it does.
    init(nanoseconds: Int, triesAtLeast: Int) {
        end = HostKernel.monotonicNanoseconds() + nanoseconds
        self.triesAtLeast = triesAtLeast
    }

    /// Waits before the next try, longer each time. False, and nothing waited, when there is to be none.
    mutating func wait() -> Bool {
        tries += 1
        if tries >= triesAtLeast, HostKernel.monotonicNanoseconds() >= end { return false }
        if tries <= Self.yields {
            HostKernel.yield()
        } else {
            HostKernel.sleep(nanoseconds: pause)
            pause = min(2 * pause, Self.longestPause)
        }
        return true
    }
}
