internal import Experiments
internal import Glibc
internal import HostMemory
internal import Reports
internal import SystemPackage

/// One line on a terminal's standard error that says how far a step is and how long it will take. Nothing elsewhere.
final class ProgressLine {
    private let isTerminal = isatty(2) == 1
    private var step: Step?
    private var start = 0
    private var lastShown = 0

    /// Shows that `done` huge pages of `total` are through `step`, at most ten times a second.
    func show(_ step: Step, _ done: Int, _ total: Int) {
        let now = HostKernel.monotonicNanoseconds()
        if step != self.step {
            self.step = step
            start = now
            lastShown = 0
        }
        guard isTerminal, now - lastShown > 100_000_000 else { return }
        lastShown = now
        var line = "\(step.rawValue): \(CountText.grouped(done)) of \(CountText.grouped(total)) huge pages"
        if done > 0, done < total {
            let rest = Double(now - start) / Double(done) * Double(total - done)
            line += ", \(DurationText.short(nanoseconds: Int(rest))) to go"
        }
        write("\r\u{1b}[K" + line)
    }

    /// Takes the line away.
    func clear() {
        if isTerminal { write("\r\u{1b}[K") }
    }

    private func write(_ text: String) {
        try? HostKernel.write(Array(text.utf8), to: .standardError, name: "standard error")
    }
}
