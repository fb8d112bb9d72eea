import Glibc
import HostMemory
import SystemPackage
import Testing

@Suite("What a forked child gets")
struct ForkShieldTests {
    @Test(
        "Unshielded memory it can store to, and has mapped; shielded memory neither, and the parent's stays as it was")
    func memory() throws {
        let range = try HostKernel.mapAnonymous(length: HostLimits.pageSize * 4)
        defer { try? HostKernel.unmap(range) }
        // SAFETY: the page is this test's own.
        unsafe MemoryAccess.store(7, at: range.start)
        let bare = try ForkProbe(storingTo: [range.start])
        #expect(bare.storesMade == 1)
        #expect(try ProcMaps.count(of: .other(bare.processID), overlapping: range) == MappingCount(1))
        bare.end()
        let shield = try ForkShield(range)
        let shielded = try ForkProbe(storingTo: [range.start, range.end - ByteCount(8)])
        #expect(shielded.storesMade == 0)
        #expect(try ProcMaps.count(of: .other(shielded.processID), overlapping: range) == .zero)
        shielded.end()
        shield.remove()
        shield.remove()
        let after = try ForkProbe(storingTo: [range.start])
        #expect(after.storesMade == 1)
        after.end()
        // SAFETY: as above.
        #expect(unsafe MemoryAccess.load(range.start) == 7)
    }

    @Test("A memory file's descriptors are closed in it, and stay open in the parent")
    func files() throws {
        let file = try MemoryFile(name: "fork-shield", length: HostLimits.pageSize)
        let probe = try ForkProbe(storingTo: [Address(8)])
        #expect(probe.storesMade == 0)
        for number in [file.writable.rawValue, file.readOnly.rawValue] {
            #expect(Self.target(number, of: "\(probe.processID)")?.contains("fork-shield") != true)
            #expect(Self.target(number, of: "self")?.contains("fork-shield") == true)
        }
        probe.end()
    }

    private static func target(_ number: Int32, of process: String) -> String? {
        var name = [UInt8](repeating: 0, count: 256)
        // SAFETY: readlink writes at most the buffer's own length into it.
        let length = unsafe name.withUnsafeMutableBytes { buffer in
            guard let start = buffer.baseAddress else { return -1 }
            return unsafe readlink("/proc/\(process)/fd/\(number)", start, buffer.count)
        }
        return length > 0 ? String(decoding: name[..<length], as: UTF8.self) : nil
    }
}
