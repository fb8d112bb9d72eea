/// VMCOREINFO: what the kernel tells a crash dump's reader of itself, as lines of `KEY=VALUE`. Pure.
package struct VMCoreInfo: Sendable, Hashable {
    private let values: [String: String]

    /// Parses the text of the note. Lines that are not of the form are left out.
    package init(_ text: String) {
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            values[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        self.values = values
    }

    /// The value of the symbol's address, which is what `SYMBOL(name)` holds; nil if it is not told.
    func symbol(_ name: String) -> KernelAddress? {
        values["SYMBOL(\(name))"].flatMap { UInt64($0, radix: 16) }.map { KernelAddress($0) }
    }

    /// `NUMBER(name)`, which may be below zero, in decimal digits, or in hexadecimal ones after 0x.
    func number(_ name: String) -> Int? {
        guard let text = values["NUMBER(\(name))"] else { return nil }
        if text.hasPrefix("0x") { return UInt64(text.dropFirst(2), radix: 16).map { Int(truncatingIfNeeded: $0) } }
        return Int(text) ?? UInt64(text).map { Int(truncatingIfNeeded: $0) }
    }

    /// `SIZE(structure)` in bytes, if it is one that a structure can have.
    func size(_ structure: String) -> Int? { values["SIZE(\(structure))"].flatMap(Self.length) }

    /// `OFFSET(structure.member)` in bytes.
    func offset(_ member: String) -> Int? { values["OFFSET(\(member))"].flatMap(Self.length) }

    private static func length(_ text: String) -> Int? { Int(text).flatMap { (0..<1 << 20).contains($0) ? $0 : nil } }

    // MARK: The note

    /// Takes the text out of ELF notes: the one of the name VMCOREINFO. Nil if there is none.
    package static func text(inNotes bytes: [UInt8]) -> String? {
        let notes = LittleEndianBytes(bytes)
        var offset = 0
        while let nameLength = notes.uint32(at: offset), let length = notes.uint32(at: offset + 4) {
            let start = offset + 12
            let content = start + padded(Int(nameLength))
            guard let name = notes.slice(at: start, length: Int(nameLength)),
                let text = notes.slice(at: content, length: Int(length))
            else { return nil }
            if Array(name) == noteName { return String(decoding: text.prefix { $0 != 0 }, as: UTF8.self) }
            offset = content + padded(Int(length))
        }
        return nil
    }

    private static func padded(_ length: Int) -> Int { (length + 3) & ~3 }

    /// The name with its zero byte.
    private static let noteName = Array("VMCOREINFO\0".utf8)
}
