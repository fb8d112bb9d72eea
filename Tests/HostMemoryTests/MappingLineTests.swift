import Testing

@testable import HostMemory

@Suite("A line of maps")
struct MappingLineTests {
    @Test("Anonymous memory has no file, with or without the space that follows the inode")
    func anonymous() throws {
        for text in [Fixtures.anonymousLine, String(Fixtures.anonymousLine.dropLast())] {
            let mapping = try #require(Mapping(text: text))
            #expect(mapping.range.start == Address(0x7f42_7aad_e000))
            #expect(mapping.range.end == Address(0x7f42_7aae_0000))
            #expect(mapping.isReadable && mapping.isWritable && !mapping.isShared)
            #expect(mapping.offset == .zero)
            #expect(mapping.file == nil)
        }
    }

    @Test("A deleted memory file is told by device and inode, whatever its name")
    func memoryFile() throws {
        let mapping = try #require(Mapping(text: Fixtures.memoryFileLine))
        #expect(mapping.isReadable && !mapping.isWritable && mapping.isShared)
        #expect(mapping.offset == ByteCount(0x3000))
        #expect(mapping.file == Mapping.FileIdentity(device: 1, inode: 2055))
    }

    @Test("Device numbers are hexadecimal and the inode is decimal")
    func deviceNumbers() throws {
        let mapping = try #require(Mapping(text: Fixtures.libraryLine))
        #expect(mapping.file == Mapping.FileIdentity(device: 0x103 << 32 | 0x0a, inode: 332717))
        #expect(mapping.offset == ByteCount(0x1000))
    }

    @Test("The vsyscall page parses, in the upper half of the address space")
    func vsyscall() throws {
        let mapping = try #require(Mapping(text: Fixtures.vsyscallLine))
        #expect(mapping.range.start == Address(0xffff_ffff_ff60_0000))
        #expect(mapping.range.length == ByteCount(0x1000))
        #expect(!mapping.isReadable && !mapping.isWritable)
    }

    @Test(
        "Any path may follow, spaces, colons and newlines written as the kernel writes them included",
        arguments: ["/a b/c d", "/x:y z", "[anon:name with spaces]", "/new\\012line", "/\u{00e9}t\u{00e9}", "-", " "])
    func paths(path: String) throws {
        let mapping = try #require(Mapping(text: "1000-2000 r--p 00000000 00:01 7 \(path)"))
        #expect(mapping.file == Mapping.FileIdentity(device: 1, inode: 7))
    }

    @Test("The widest numbers that fit are taken as they are")
    func widest() throws {
        let mapping = try #require(
            Mapping(text: "0-7fffffffffffffff rw-s 7fffffffffffffff ffffffff:ffffffff 18446744073709551615"))
        #expect(mapping.range.length == ByteCount(Int.max))
        #expect(mapping.offset == ByteCount(Int.max))
        #expect(mapping.file == Mapping.FileIdentity(device: .max, inode: .max))
        #expect(Mapping(text: "00000000000000000000000000000001000-2000 r--p 0 0:0 0") != nil)
    }

    @Test(
        "What has not the form of a line is nil",
        arguments: [
            "", " ", "-", "\n", "1000", "1000-", "1000-2000", "1000-2000 ", "1000-2000 r--p", "1000-2000 r--p ",
            "1000-2000 r--p 0", "1000-2000 r--p 0 0", "1000-2000 r--p 0 0:0", "1000-2000 r--p 0 0:0 ",
            "-2000 r--p 0 0:0 0",
            "1000-2000 r--p  0:0 0", "1000-2000 r--p 0 :0 0", "1000-2000 r--p 0 0: 0", "1000 2000 r--p 0 0:0 0",
            "1000-2000 r--pp 0 0:0 0", "1000-2000 r-p 0 0:0 0", "1g00-2000 r--p 0 0:0 0", "1000-2000 r--p x 0:0 0",
            "1000-2000 r--p 0 0:0 1a", "1000-2000 r--p 0 0:0 -1", "1000-2000 r--p 0 0:0 x /path",
            "1000-2000\tr--p 0 0:0 0",
            "1A00-2000 r--p 0 0:0 0", "+100-2000 r--p 0 0:0 0", "0x10-2000 r--p 0 0:0 0", "Rss:    12 kB",
        ])
    func malformed(text: String) {
        #expect(Mapping(text: text) == nil)
    }

    @Test(
        "A range that is empty, backwards or longer than any can be is nil",
        arguments: ["1000-1000", "2000-1000", "0-0", "0-8000000000000000", "0-ffffffffffffffff"])
    func badRange(range: String) {
        #expect(Mapping(text: "\(range) rw-p 00000000 00:00 0") == nil)
    }

    @Test(
        "A number beyond its width is nil and no trap",
        arguments: [
            "10000000000000000-20000000000000000 r--p 0 0:0 0", "1000-fffffffffffffffff r--p 0 0:0 0",
            "1000-2000 r--p 8000000000000000 0:0 0", "1000-2000 r--p ffffffffffffffffffffffff 0:0 0",
            "1000-2000 r--p 0 100000000:0 0", "1000-2000 r--p 0 0:100000000 0",
            "1000-2000 r--p 0 0:0 18446744073709551616", "1000-2000 r--p 0 0:0 99999999999999999999999999",
        ])
    func overflow(text: String) {
        #expect(Mapping(text: text) == nil)
    }
}
