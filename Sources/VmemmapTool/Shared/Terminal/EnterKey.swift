import ArgumentParser
import Glibc
import HostMemory
import SystemPackage

/// Waits for the Enter key between the parts of what is told step by step: on a terminal, or a line of a pipe's.
enum EnterKey {
    /// Throws a usage error where nobody can press it.
    static func check(_ option: String) throws {
        if isatty(0) == 1 { return }
        let status = try? HostKernel.status(of: .standardInput, name: "standard input")
        if status?.type == .fifo || status?.type == .socket { return }
        throw ValidationError(
            "\(option) waits for Enter after each step, and standard input is no terminal and no pipe: run it in a "
                + "terminal, or leave it out.")
    }

    /// Asks for it, and waits. Throws where standard input has ended, or cannot be read.
    static func wait(_ prompt: String, _ style: Style) throws(ExperimentError) {
        Output.print([""] + style.wrapped(["[Enter: \(prompt)]"]))
        var byte: [UInt8] = [0]
        repeat {
            let count: Int
            do throws(HostError) {
                count = try HostKernel.read(.standardInput, into: &byte, name: "standard input")
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                // Whoever started this has set O_NONBLOCK.
                HostKernel.sleep(nanoseconds: 20_000_000)
                continue
            } catch {
                throw .host(error)
            }
            if count == 0 {
                throw .notFound("standard input has ended, and nobody can press Enter any more; run it in a terminal")
            }
        } while byte[0] != UInt8(ascii: "\n")
    }
}
