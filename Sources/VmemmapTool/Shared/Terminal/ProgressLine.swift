import Glibc
import HostMemory
import SystemPackage

/// One line on a terminal's standard error that says how far a piece of work is, how fast it goes and how long it will
/// take. Nothing elsewhere, and nothing of work that takes less than a second.
final class ProgressLine {
    private let isShown: Bool
    private var work: String?
    private var start = 0
    private var lastShown = 0

    /// - Parameter isWanted: false: never a line. Nor on a terminal that cannot take one away again (TERM=dumb).
    init(isWanted: Bool = true) {
        isShown = isWanted && isatty(2) == 1 && HostKernel.environment(["TERM"])["TERM"] != "dumb"
    }

    /// Shows that `done` of `total` are through.
    func show(_ progress: Progress) {
        switch progress {
        case .count(let work, let done, let total, let unit):
            show(work) { ProgressText.line(work, done, of: total, unit: unit, nanoseconds: $0) }
        case .time(let work, let nanoseconds, let total, let rate):
            show(work) { _ in ProgressText.line(work, nanoseconds: nanoseconds, of: total, rate: rate) }
        }
    }

    /// Shows a line at most ten times a second, and none of work that has not taken a second yet.
    ///
    /// - Parameter line: the line, so many nanoseconds after the work began.
    private func show(_ work: String, _ line: (Int) -> String) {
        guard isShown else { return }
        let now = HostKernel.monotonicNanoseconds()
        if work != self.work {
            self.work = work
            start = now
        }
        guard now - start > 1_000_000_000, now - lastShown > 100_000_000 else { return }
        lastShown = now
        // A line that wraps could not be taken away again.
        write("\r\u{1b}[K" + line(now - start).prefix(max(20, Terminal.columns(of: .standardError) - 1)))
    }

    /// Takes the line away: what it was about is done.
    func clear() {
        work = nil
        if lastShown > 0 { write("\r\u{1b}[K") }
        lastShown = 0
    }

    private func write(_ text: some StringProtocol) {
        try? HostKernel.write(Array(text.utf8), to: .standardError, name: "standard error")
    }
}
