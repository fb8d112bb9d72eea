package import SystemPackage

/// Reads a file of /proc line by line. It may have millions of them: nothing is allocated for each.
package enum ProcLines {
    /// Calls `body` for each line, without its newline, up to the end or until `isDone`, which is asked before each
    /// read.
    package static func forEach(
        _ path: FilePath, until isDone: () -> Bool = { false }, _ body: (Span<UInt8>) throws(HostError) -> Void
    ) throws(HostError) {
        let file = try HostKernel.open(path, .readOnly)
        do {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            var splitter = LineSplitter()
            while !isDone() {
                let count = try HostKernel.read(file, into: &chunk, name: path.string)
                if count == 0 { break }
                try splitter.add(chunk.span.extracting(0..<count), body)
            }
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        try HostKernel.close(file)
    }
}

/// Puts lines together out of a text that comes in parts. Pure.
struct LineSplitter {
    /// The start of a line whose end has not come.
    private var carried: [UInt8] = []

    /// Takes in the next part, and calls `body` for each line that ends in it, without its newline.
    mutating func add(_ part: Span<UInt8>, _ body: (Span<UInt8>) throws(HostError) -> Void) throws(HostError) {
        var start = 0
        for end in part.indices where part[end] == UInt8(ascii: "\n") {
            if carried.isEmpty {
                try body(part.extracting(start..<end))
            } else {
                for place in start..<end { carried.append(part[place]) }
                try body(carried.span)
                carried.removeAll(keepingCapacity: true)
            }
            start = end + 1
        }
        for place in start..<part.count { carried.append(part[place]) }
    }
}
