import ArgumentParser
import FoundationEssentials
import HostLab
import HostMemory
import SystemPackage

/// The processes of emulated NUMA nodes, started, led and ended by this one.
///
/// If one fails, whoever leads them is told which, and why; when this process ends, however, so do they.
final class NodeGroup {
    /// What there is to react to.
    enum Event {
        /// A node has said something.
        case said(NodeWord, String, by: Int)
        /// A node has ended, and all was well.
        case ended(Int)
        /// SIGHUP, SIGINT, SIGQUIT or SIGTERM.
        case signal(Int32)
        /// Standard input can be read.
        case input
    }

    private struct Node {
        let process: ChildProcess
        /// The line that it has begun.
        var line: [UInt8] = []
        /// The last that it said for people.
        var text = ""
        var hasEnded = false
    }

    /// What is kept of a node's text.
    private static let longestText = 4096
    private var nodes: [Node] = []
    private var events: [Event] = []
    private let signals: TerminationSignals

    /// How many there are.
    var count: Int { nodes.count }
    /// Their process numbers.
    var processIDs: [Int32] { nodes.map(\.process.pid) }

    /// Starts a node for each list of arguments.
    ///
    /// - Parameters:
    ///   - command: the subcommand.
    ///   - signals: taken before there were threads.
    init(_ command: String, _ arguments: [[String]], _ signals: TerminationSignals) throws(ExperimentError) {
        self.signals = signals
        for (number, arguments) in arguments.enumerated() {
            do throws(HostError) {
                let process = try ChildProcess("/proc/self/exe", [command, "--as-node"] + arguments, isPart: true)
                nodes.append(Node(process: process))
            } catch {
                end()
                throw .node(NodeFailure(error, number))
            }
        }
    }

    deinit { end() }

    /// Ends those that run still, at once, and waits until they have gone.
    func end() {
        for node in nodes where !node.hasEnded { node.process.kill() }
        for number in nodes.indices where !nodes[number].hasEnded {
            nodes[number].hasEnded = true
            _ = try? nodes[number].process.end()
        }
    }

    /// Lets all nodes go on that wait for it.
    func letGo() { for node in nodes where !node.hasEnded { node.process.sendLine() } }

    /// Has all nodes end by themselves.
    func endInput() { for node in nodes { node.process.endInput() } }

    /// Waits for the next event. Nil: all nodes have ended.
    ///
    /// - Parameter input: whether standard input is waited for, too.
    /// - Throws: ``ExperimentError/node(_:)`` for a node that has failed: then the others have been ended.
    func next(orInput input: Bool = false) throws(ExperimentError) -> Event? {
        while events.isEmpty {
            if nodes.allSatisfy(\.hasEnded) { return nil }
            do throws(HostError) {
                let outputs = nodes.map { $0.hasEnded ? nil : $0.process.output }
                let (signal, ready) = try signals.wait(for: outputs + (input ? [.standardInput] : []))
                // What has ended nodes may be the same signal, which a whole job gets.
                if let signal { return .signal(signal) }
                if input, ready[nodes.count] { events.append(.input) }
                for number in nodes.indices where ready[number] {
                    let chunk = try nodes[number].process.readChunk()
                    if !chunk.isEmpty { take(chunk, number) }
                    if chunk.isEmpty { nodes[number].hasEnded = true }
                }
            } catch {
                throw .host(error)
            }
            for number in nodes.indices where nodes[number].hasEnded { try takeEnd(of: number) }
        }
        return events.removeFirst()
    }

    /// Which nodes' ends have been told.
    private var told: Set<Int> = []

    private func takeEnd(of number: Int) throws(ExperimentError) {
        guard told.insert(number).inserted else { return }
        let code: Int32
        do throws(HostError) { code = try nodes[number].process.end() } catch { throw .host(error) }
        if code == 0 {
            events.append(.ended(number))
            return
        }
        let text = nodes[number].text + String(decoding: nodes[number].line, as: UTF8.self)
        end()
        throw .node(NodeFailure(node: number, pid: nodes[number].process.pid, code: code, text: text))
    }

    private func take(_ chunk: ArraySlice<UInt8>, _ number: Int) {
        for byte in chunk {
            guard byte == UInt8(ascii: "\n") else {
                nodes[number].line.append(byte)
                continue
            }
            let line = String(decoding: nodes[number].line, as: UTF8.self)
            nodes[number].line = []
            let parts = line.dropFirst().split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            if line.first == NodeLink.mark, let word = parts.first.flatMap({ NodeWord(rawValue: String($0)) }) {
                events.append(.said(word, parts.count == 2 ? String(parts[1]) : "", by: number))
            } else {
                nodes[number].text = String((nodes[number].text + line + "\n").suffix(Self.longestText))
            }
        }
    }

    /// What a node has said about something.
    static func decoded<Value: Decodable>(_ text: String, from node: Int) throws(ExperimentError) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw .unexpected("what node \(node) says cannot be read: \(error)")
        }
    }
}

/// A node that has failed, or could not be started.
struct NodeFailure: Hashable, Sendable, CustomStringConvertible {
    /// Which, from 0.
    let node: Int
    /// Its process; nil: there is none.
    let pid: Int32?
    /// The exit code, or 128 and the number of the signal that ended it; what comes of the refusal of a start.
    let code: Int32
    /// What it said.
    let text: String

    init(node: Int, pid: Int32, code: Int32, text: String) {
        self.node = node
        self.pid = pid
        self.code = code
        self.text = text
    }

    init(_ error: HostError, _ node: Int) {
        self.node = node
        pid = nil
        code = ExitCode(error).rawValue
        text = "it cannot be started: \(error)" + ErrorText.advice(error)
    }

    /// The signal that ended it.
    var signal: Int32? { pid != nil && code > 128 ? code - 128 : nil }

    /// `node 2 (process 4711) was ended by signal 9`, and what it said.
    var description: String {
        let name = "node \(node)" + (pid.map { " (process \($0))" } ?? "")
        let own = text.split(separator: "\n").map { $0.hasPrefix(prefix) ? $0.dropFirst(prefix.count) : $0 }
            .joined(separator: "\n")
        if let signal {
            let advice = signal == 9 ? " (the kernel sends it where memory is short: see dmesg)" : ""
            return "\(name) was ended by signal \(signal)\(advice), and so the others were ended"
                + (own.isEmpty ? "" : ": \(own)")
        }
        return "\(name): " + (own.isEmpty ? "it ended with \(code), and said nothing" : own)
    }

    private var prefix: String { "\(Tool.name): " }
}
