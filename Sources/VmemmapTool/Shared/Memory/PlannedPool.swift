import ArgumentParser
import HostMemory
import VmemmapEmulator

/// An amount of memory in huge pages of one size, as `400G@2M`.
struct PlannedPool: Hashable, Sendable, Codable {
    /// The memory.
    let memoryBytes: ByteCount
    /// The huge page.
    let hugePageBytes: ByteCount

    init(memory: ByteCount, size: HugePageSize) {
        memoryBytes = memory
        hugePageBytes = size.bytes
    }

    /// The pools that were asked for; where there are none, all of `memory` in each of `sizes`.
    static func all(_ asked: [PlannedPool], orAllOf memory: ByteCount, in sizes: [HugePageSize]) -> [PlannedPool] {
        asked.isEmpty ? sizes.map { PlannedPool(memory: memory, size: $0) } : asked
    }

    /// Whole huge pages that fit.
    var pages: HugePageCount { HugePageCount(memoryBytes.rawValue / hugePageBytes.rawValue) }

    /// What fills no huge page.
    var restBytes: ByteCount { memoryBytes - hugePageBytes * pages.rawValue }

    /// As it is written on the command line, with an error that says what may stand there.
    static func parse(_ text: String) throws -> PlannedPool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            throw ValidationError(
                "it must be an amount of memory and the size of its huge pages, as in 400G@2M")
        }
        return PlannedPool(
            memory: try part("the memory", parts[0], MemorySize.parse).bytes,
            size: try part("the size of huge page", parts[1], HugePageSize.parse))
    }

    private static func part<Value>(
        _ name: String, _ text: String, _ parse: (String) throws -> Value
    ) throws -> Value {
        do { return try parse(text) } catch { throw ValidationError("\(name), '\(text)': \(error)") }
    }
}
