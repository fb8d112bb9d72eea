import Testing

@testable import HostMemory

/// Damaged texts through the parsers. Each seed has a process of its own: a trap fails one test, and names the seed.
@Suite("Damaged texts")
struct ParserFuzzTests {
    @Test("No damaged line of maps traps the parser", arguments: [1, 2, 3, 4] as [UInt64])
    func lines(seed: UInt64) async {
        await #expect(processExitsWith: .success) { [seed = seed as UInt64] in
            var generator = SeededGenerator(seed: seed)
            for round in 0..<10_000 {
                let line = damaged(Fixtures.lines[round % Fixtures.lines.count], &generator)
                if let mapping = Mapping(line.span) {
                    #expect(mapping.range.start < mapping.range.end)
                    #expect(mapping.range.length > .zero && mapping.offset >= .zero)
                }
            }
        }
    }

    @Test("No damaged smaps_rollup traps the parser", arguments: [1, 2, 3, 4] as [UInt64])
    func rollups(seed: UInt64) async {
        await #expect(processExitsWith: .success) { [seed = seed as UInt64] in
            let texts = [Fixtures.rollup4_19, Fixtures.rollup5_15, Fixtures.rollup6_18]
            fuzz(texts, seed: seed) { text in
                if let rollup = SmapsRollup(text) { #expect(rollup.rss >= .zero && rollup.pss >= .zero) }
            }
        }
    }

    @Test("No damaged status, statm or cgroup traps its parser", arguments: [1, 2, 3, 4] as [UInt64])
    func others(seed: UInt64) async {
        await #expect(processExitsWith: .success) { [seed = seed as UInt64] in
            let statuses = [Fixtures.status4_9, Fixtures.status5_15, Fixtures.status6_18]
            fuzz(statuses, seed: seed) { _ = ProcessStatus($0) }
            fuzz(["765 436 408 5 0 90 0\n"], seed: seed) { _ = Statm($0) }
            fuzz(["9:memory:/docker/4f2\n0::/a/b\n"], seed: seed) { _ = CgroupMemory.hierarchies($0) }
            fuzz(["always [madvise] never\n"], seed: seed) { _ = HostDescription.chosen($0) }
        }
    }
}

private func fuzz(_ texts: [String], seed: UInt64, _ parse: (String) -> Void) {
    var generator = SeededGenerator(seed: seed)
    for round in 0..<2500 {
        // Damaged bytes need not be UTF-8; a text of /proc is decoded the same way.
        parse(String(decoding: damaged(texts[round % texts.count], &generator), as: UTF8.self))
    }
}

/// `text` with one to four bytes replaced, repeated, removed or exchanged for a digit, or cut off.
private func damaged(_ text: String, _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = Array(text.utf8)
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(contentsOf: repeatElement(bytes[place], count: 20), at: place)
        case 4: bytes.insert(UInt8.random(in: 0x30...0x39, using: &generator), at: place)
        default: bytes.removeSubrange(place...)
        }
    }
    return bytes
}
