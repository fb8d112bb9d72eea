internal import SystemPackage

/// Reads a file of /proc line by line. It may have millions of them: nothing is allocated for each.
enum ProcLines {
    /// Calls `body` for each line, without its newline.
    static func forEach(_ path: FilePath, _ body: (Span<UInt8>) throws(HostError) -> Void) throws(HostError) {
        let file = try HostKernel.open(path, .readOnly)
        do {
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            var carried: [UInt8] = []
            while true {
                let count = try HostKernel.read(file, into: &chunk, name: path.string)
                if count == 0 { break }
                var start = 0
                for end in 0..<count where chunk[end] == UInt8(ascii: "\n") {
                    if carried.isEmpty {
                        try body(chunk.span.extracting(start..<end))
                    } else {
                        carried += chunk[start..<end]
                        try body(carried.span)
                        carried.removeAll(keepingCapacity: true)
                    }
                    start = end + 1
                }
                carried += chunk[start..<count]
            }
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        try HostKernel.close(file)
    }
}
