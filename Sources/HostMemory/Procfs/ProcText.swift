package import SystemPackage

/// The `Key:   value` (or `key value`) lines that many files of /proc consist of. Pure: text in, values out.
package struct ProcFields: Sendable {
    private let values: [Substring: Substring]

    /// Takes `text` apart: one field a line, the key up to the first colon or space. Lines without a value are left
    /// out.
    package init(_ text: String) {
        var values: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            guard let end = line.firstIndex(where: { $0 == ":" || $0 == " " }) else { continue }
            let value = line[end...].drop { $0 == ":" || $0 == " " || $0 == "\t" }
            if !value.isEmpty { values[line[..<end]] = value }
        }
        self.values = values
    }

    /// The text of a field, without leading space; nil if there is no such field.
    package func text(_ key: String) -> Substring? { values[key[...]] }

    /// A field that is one whole number; nil if it is missing or something else.
    package func number(_ key: String) -> Int? { text(key).flatMap { Int($0) } }

    /// A field of the form `123 kB`, in bytes; nil if it is missing, has no such unit, is below zero, or does not fit.
    package func kibibytes(_ key: String) -> ByteCount? {
        guard let value = text(key), value.hasSuffix(" kB"), let count = Int(value.dropLast(3)), count >= 0 else {
            return nil
        }
        return ByteCount(1024).multiplied(by: count)
    }
}

extension HostKernel {
    /// Reads a whole file of /proc or /sys, whose size is known only by reading it.
    ///
    /// - Parameter most: how many bytes to read at most; what follows is left out.
    package static func readText(_ path: FilePath, upTo most: Int = .max) throws(HostError) -> String {
        String(decoding: try readBytes(path, upTo: most), as: UTF8.self)
    }

    /// Reads a whole file of /proc or /sys that is not text.
    package static func readBytes(_ path: FilePath, upTo most: Int = .max) throws(HostError) -> [UInt8] {
        let file = try open(path, .readOnly)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        do {
            while bytes.count < most {
                let count = try read(file, into: &chunk, name: path.string)
                if count == 0 { break }
                bytes += chunk[..<count]
            }
        } catch {
            try? close(file)
            throw error
        }
        try close(file)
        return bytes
    }

    /// A file that holds one whole number.
    package static func readNumber(_ path: FilePath) throws(HostError) -> Int {
        let text = try readText(path)
        guard let number = Int(text.split(whereSeparator: \.isWhitespace).first ?? "") else {
            throw HostError(unreadable: path.string)
        }
        return number
    }
}
