import Testing

@testable import KernelMemory

/// Descriptions of types that are made up.
struct BTFBuilder {
    private var strings = Array("\0".utf8)
    private var types: [UInt8] = []

    private func bytes(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }

    mutating func name(_ text: String) -> UInt32 {
        if text.isEmpty { return 0 }
        let place = strings.count
        strings += Array(text.utf8) + [0]
        return UInt32(place)
    }

    mutating func add(
        _ kind: UInt32, _ text: String, count: Int = 0, sizeOrType: UInt32 = 0, bitFields: Bool = false,
        rest: [UInt32] = []
    ) {
        let information = kind << 24 | UInt32(count) | (bitFields ? 1 << 31 : 0)
        types += bytes(name(text)) + bytes(information) + bytes(sizeOrType) + rest.flatMap(bytes)
    }

    mutating func structure(
        _ text: String, kind: UInt32 = 4, size: UInt32 = 64, bitFields: Bool = false,
        _ members: [(String, UInt32, UInt32)]
    ) {
        var rest: [UInt32] = []
        for (member, type, bit) in members { rest += [name(member), type, bit] }
        add(kind, text, count: members.count, sizeOrType: size, bitFields: bitFields, rest: rest)
    }

    var file: [UInt8] {
        let header: [UInt32] = [0x01eb9f, 24, 0, UInt32(types.count), UInt32(types.count), UInt32(strings.count)]
        return header.flatMap(bytes) + types + strings
    }
}

struct BTFTests {
    private var builder: BTFBuilder {
        var btf = BTFBuilder()
        btf.add(1, "long", sizeOrType: 8, rest: [0x40])  // 1
        btf.add(3, "", rest: [1, 1, 4])  // 2: an array
        btf.structure("", kind: 5, [("compound_head", 1, 0), ("lru", 1, 64)])  // 3: an anonymous union
        btf.structure("", [("", 3, 0), ("mapping", 1, 128)])  // 4: an anonymous structure around it
        btf.add(13, "", count: 1, rest: [0, 1])  // 5: a function's arguments
        btf.structure("page", [("flags", 1, 0), ("", 4, 64), ("private", 1, 320)])  // 6
        btf.structure("bits", bitFields: true, [("a", 1, 3 << 24 | 0), ("b", 1, 5 << 24 | 3), ("c", 1, 64)])  // 7
        btf.add(6, "marks", count: 2, sizeOrType: 4, rest: [btf.name("FIRST"), 0, btf.name("SECOND"), 7])  // 8
        btf.add(15, "section", count: 1, rest: [1, 0, 8])  // 9
        btf.structure("page_pool", [("flags", 1, 64)])  // 10
        return btf
    }

    @Test("Members, also of anonymous structures and unions")
    func members() throws {
        let btf = try BTF(builder.file)
        #expect(btf.offset(of: "flags", in: "page") == 0 && btf.offset(of: "private", in: "page") == 40)
        #expect(btf.offset(of: "compound_head", in: "page") == 8 && btf.offset(of: "lru", in: "page") == 16)
        #expect(btf.offset(of: "mapping", in: "page") == 24 && btf.offset(of: "flags", in: "page_pool") == 8)
        #expect(btf.offset(of: "flag", in: "page") == nil && btf.offset(of: "flagss", in: "page") == nil)
        #expect(btf.offset(of: "flags", in: "pag") == nil && btf.offset(of: "flags", in: "marks") == nil)
        #expect(btf.offset(of: "a", in: "bits") == 0 && btf.offset(of: "b", in: "bits") == nil)
        #expect(btf.offset(of: "c", in: "bits") == 8 && btf.size(of: "page") == 64 && btf.size(of: "none") == nil)
        #expect(btf.value(of: "SECOND", in: "marks") == 7 && btf.value(of: "THIRD", in: "marks") == nil)
    }

    @Test("Structures nested in circles have an end")
    func circles() throws {
        var btf = BTFBuilder()
        btf.structure("page", (0..<300).map { _ in ("", 1, 0) } + [("last", 1, 64)])
        #expect(try BTF(btf.file).offset(of: "none", in: "page") == nil)
    }

    @Test("Cut short or damaged, it gives an error or no answer")
    func damage() throws {
        let file = builder.file
        for length in 0..<file.count {
            #expect(throws: KernelMemoryError.self, "\(length) bytes") { try BTF(Array(file.prefix(length))) }
        }
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<5000 {
            var damaged = file
            for _ in 0..<3 {
                damaged[Int.random(in: 0..<file.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            guard let btf = try? BTF(damaged) else { continue }
            _ = btf.offset(of: "compound_head", in: "page")
            _ = btf.offset(of: "none", in: "page")
            _ = btf.value(of: "SECOND", in: "marks")
        }
    }
}
