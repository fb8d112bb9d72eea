import HostMemory

/// What a stress run exports: every export anew at each report, a line of JSON, and the result in the end.
final class StressReports: Sendable {
    private let exports: Guarded<Exports>
    /// Whether the report may be printed.
    let leaveStandardOutput: Bool

    init(_ exports: sending Exports) {
        leaveStandardOutput = exports.leaveStandardOutput
        self.exports = Guarded(exports)
    }

    /// Writes what there is. A line that cannot be written is said as any other export's; another export is tried again
    /// at the next report.
    func write(_ progress: StressProgress, _ soFar: () -> StressResult) {
        exports.withLock { exports in
            if exports.isEmpty, exports.besides == nil { return }
            if let lines = exports.besides, let line = try? JSONExport.line(progress, command: StressResult.command) {
                lines.append(line)
            }
            exports.rewrite(soFar())
        }
    }

    /// Writes the result.
    func finish(_ result: StressResult) throws { try exports.withLock { exports in try exports.finish(result) } }
}
