internal import ArgumentParser
internal import HostMemory

/// An amount of memory on the command line: a whole number and K, M, G or T.
struct MemorySize: ExpressibleByArgument {
    let bytes: ByteCount

    init?(argument: String) {
        guard let bytes = ByteCount(text: argument.uppercased()) else { return nil }
        self.bytes = bytes
    }
}
