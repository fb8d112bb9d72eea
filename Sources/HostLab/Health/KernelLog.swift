package import HostMemory
import SystemPackage

/// What the kernel logs from a moment on: /dev/kmsg.
package final class KernelLog {
    private static let path: FilePath = "/dev/kmsg"
    /// More than the longest record (CONSOLE_EXT_LOG_MAX).
    private static let longestRecord = 16384

    private let file: FileDescriptor

    /// From now on.
    ///
    /// - Throws: `HostError` where this process may not read it (CAP_SYSLOG), or there is none.
    package init() throws(HostError) {
        file = try HostKernel.open(Self.path, .readOnly, options: [.closeOnExec, .nonBlocking])
        do throws(HostError) {
            try HostKernel.seekToEnd(file, name: Self.path.string)
        } catch {
            try? HostKernel.close(file)
            throw error
        }
    }

    deinit { try? HostKernel.close(file) }

    /// The messages since the last call, or since it was opened. Those that newer ones have replaced by now are left
    /// out.
    package func messages() throws(HostError) -> [String] {
        var messages: [String] = []
        var buffer = [UInt8](repeating: 0, count: Self.longestRecord)
        while true {
            do throws(HostError) {
                let count = try HostKernel.read(file, into: &buffer, name: Self.path.string)
                if count == 0 { return messages }
                Self.message(String(decoding: buffer[..<count], as: UTF8.self)).map { messages.append($0) }
            } catch  where error.errno == .brokenPipe {
                // The record that was next is gone; the following read goes on behind it.
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                return messages
            }
        }
    }

    /// The text of a record, `6,339,5140900,-;text` with lines of ` KEY=value` behind it; nil if it is none. Pure.
    package static func message(_ record: String) -> String? {
        guard let line = record.split(separator: "\n", omittingEmptySubsequences: false).first,
            let end = line.firstIndex(of: ";"), line[..<end].split(separator: ",").count >= 3
        else { return nil }
        return String(line[line.index(after: end)...])
    }

    /// How many times the kernel reports a struct page in a bad state. Pure.
    package static func badPageReports(_ messages: [String]) -> Int { messages.count(where: isBadPage) }

    /// What it says of the first of them: the page, and what is wrong with it. Pure.
    package static func wordsOfBadPage(_ messages: [String]) -> [String] {
        let report = messages.drop { !isBadPage($0) }
        return report.prefix(1) + report.dropFirst().prefix { !isBadPage($0) }.filter { $0.hasPrefix(reason) }
    }

    private static let reason = "page dumped because: "

    /// `bad_page()`; "Bad page map" and the like are about page tables of processes.
    private static func isBadPage(_ message: String) -> Bool {
        message.hasPrefix("BUG: Bad page state in process ")
    }
}
