/// The kernel's own description of its types (BTF, /sys/kernel/btf/vmlinux): as much of it as tells where a member of a
/// structure lies. Pure: bytes in, offsets out.
package struct BTF: Sendable {
    private let file: LittleEndianBytes
    /// Where each type's description begins, by its number. The first is void, which has none.
    private let types: [Int]
    private let strings: Range<Int>

    /// Goes through the descriptions of all types once. They say how long they are, so there is no other way to find
    /// one.
    ///
    /// - Throws: ``KernelMemoryError/malformed(_:)``.
    package init(_ bytes: [UInt8]) throws(KernelMemoryError) {
        let file = LittleEndianBytes(bytes)
        guard let magic = file.uint32(at: 0), magic & 0xffffff == 0x01_eb9f, let header = file.uint32(at: 4),
            let typeStart = file.uint32(at: 8), let typeLength = file.uint32(at: 12),
            let stringStart = file.uint32(at: 16), let stringLength = file.uint32(at: 20), header >= 24
        else { throw .malformed("BTF without its header") }
        let first = Int(header) + Int(typeStart)
        let end = first + Int(typeLength)
        strings = Int(header) + Int(stringStart)..<Int(header) + Int(stringStart) + Int(stringLength)
        guard end <= file.count, strings.upperBound <= file.count else {
            throw .malformed("BTF with sections beyond its end")
        }
        var types = [0]
        var place = first
        while place < end {
            guard let type = Description(file, at: place), let length = type.length, place + length <= end else {
                throw .malformed("BTF type \(types.count)")
            }
            types.append(place)
            place += length
        }
        self.file = file
        self.types = types
    }

    /// The size of a structure in bytes; nil if there is none of the name.
    package func size(of structure: String) -> Int? {
        description(.structure, structure).map { Int($0.sizeOrType) }
    }

    /// Where a member of a structure lies, in bytes from its start; also one of an anonymous structure or union in it.
    /// Nil if there is none, or it is a bit field that begins in the middle of a byte.
    package func offset(of member: String, in structure: String) -> Int? {
        guard let type = description(.structure, structure) else { return nil }
        // Descriptions can be nested in circles: no kernel's go further than this.
        var members = 4096
        return offset(Array(member.utf8), in: type, depth: 8, &members)
    }

    /// The value of an enumerator; nil if there is no such enumeration, or it has no such enumerator.
    package func value(of enumerator: String, in enumeration: String) -> Int? {
        guard let type = description(.enumeration, enumeration) else { return nil }
        let name = Array(enumerator.utf8)
        for index in 0..<type.count {
            let place = type.start + Description.fixedLength + index * 8
            guard let offset = file.uint32(at: place), let value = file.uint32(at: place + 4) else { return nil }
            if isName(offset, name) { return Int(Int32(bitPattern: value)) }
        }
        return nil
    }

    // MARK: One type

    private enum Kind: UInt32 {
        case structure = 4
        case union = 5
        case enumeration = 6
    }

    /// struct btf_type, and how long what follows it is.
    private struct Description {
        static let fixedLength = 12
        let start: Int
        let name: UInt32
        let information: UInt32
        let sizeOrType: UInt32

        init?(_ file: LittleEndianBytes, at start: Int) {
            guard let name = file.uint32(at: start), let information = file.uint32(at: start + 4),
                let sizeOrType = file.uint32(at: start + 8)
            else { return nil }
            self.start = start
            self.name = name
            self.information = information
            self.sizeOrType = sizeOrType
        }

        var kind: UInt32 { information >> 24 & 0x1f }
        var count: Int { Int(information & 0xffff) }
        /// Whether the offsets of members have the size of a bit field in their top byte.
        var hasBitFields: Bool { information >> 31 == 1 }

        /// All of it; nil for a kind that is not known, whose length is not known either.
        var length: Int? {
            let rest: Int? =
                switch kind {
                case 1, 14, 17: 4  // INT, VAR, DECL_TAG
                // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
                case 2, 7, 8, 9, 10, 11, 12, 16, 18: 0
                case 3: 12  // ARRAY
                case 4, 5, 15, 19: count * 12  // STRUCT, UNION, DATASEC, ENUM64
                case 6, 13: count * 8  // ENUM, FUNC_PROTO
                default: nil
                }
            return rest.map { Self.fixedLength + $0 }
        }
    }

    private func description(_ kind: Kind, _ name: String) -> Description? {
        let wanted = Array(name.utf8)
        for place in types.dropFirst() {
            guard let type = Description(file, at: place), type.kind == kind.rawValue, isName(type.name, wanted) else {
                continue
            }
            return type
        }
        return nil
    }

    private func offset(_ member: [UInt8], in type: Description, depth: Int, _ members: inout Int) -> Int? {
        for index in 0..<type.count {
            members -= 1
            let place = type.start + Description.fixedLength + index * 12
            guard members >= 0, let name = file.uint32(at: place), let number = file.uint32(at: place + 4),
                let bits = file.uint32(at: place + 8)
            else { return nil }
            let bit = Int(type.hasBitFields ? bits & 0xff_ffff : bits)
            if isName(name, member) { return bit.isMultiple(of: 8) ? bit / 8 : nil }
            guard depth > 0, isName(name, []), types.indices.contains(Int(number)), number > 0,
                let inner = Description(file, at: types[Int(number)]),
                inner.kind == Kind.structure.rawValue || inner.kind == Kind.union.rawValue,
                let found = offset(member, in: inner, depth: depth - 1, &members)
            else { continue }
            return bit / 8 + found
        }
        return nil
    }

    /// Whether the string at an offset is `name`.
    private func isName(_ offset: UInt32, _ name: [UInt8]) -> Bool {
        let start = strings.lowerBound + Int(offset)
        guard start + name.count < strings.upperBound, file.bytes[start + name.count] == 0 else { return false }
        return name.indices.allSatisfy { file.bytes[start + $0] == name[$0] }
    }
}
