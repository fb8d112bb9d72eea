/// Words of a kernel's memory that were read once. The bytes of a recording, or of a test.
struct RecordedWords: KernelReader, Hashable, Sendable {
    /// Each word by its address, a multiple of 8.
    var words: [UInt64: UInt64] = [:]

    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64] {
        guard Self.isInOnePage(address, count) else { throw .unreadable(address) }
        var found: [UInt64] = []
        for index in 0..<UInt64(count) {
            let place = address + index * 8
            guard let word = words[place.rawValue] else { throw .unreadable(place) }
            found.append(word)
        }
        return found
    }
}

/// Passes on what another reader reads, and keeps it.
final class KeepingReader: KernelReader {
    private let reader: any KernelReader
    /// What was read so far: of each word what it was last.
    private(set) var kept = RecordedWords()

    init(_ reader: any KernelReader) { self.reader = reader }

    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64] {
        let words = try reader.words(at: address, count: count)
        for (index, word) in words.enumerated() { kept.words[address.rawValue + UInt64(index * 8)] = word }
        return words
    }
}
