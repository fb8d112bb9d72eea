/// A place in the kernel's address space. A number: nothing here can follow it.
package struct KernelAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The virtual address.
    package let rawValue: UInt64

    /// The virtual address `rawValue`.
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Orders by position.
    package static func < (left: KernelAddress, right: KernelAddress) -> Bool { left.rawValue < right.rawValue }

    /// The address `bytes` further up. Wraps around: what is added may come from a table that is torn, or from a
    /// hostile file.
    package static func + (left: KernelAddress, bytes: UInt64) -> KernelAddress {
        KernelAddress(left.rawValue &+ bytes)
    }

    /// Sixteen hexadecimal digits with 0x.
    package var description: String { "0x" + Hexadecimal.padded(rawValue) }
}

/// Something that reads the kernel's memory, and never writes: a BPF program, /proc/kcore, or a recording of either.
package protocol KernelReader {
    /// The `count` words of 8 bytes at `address`.
    ///
    /// - Parameters:
    ///   - address: a multiple of 8.
    ///   - count: from 1 to 512; the words lie in one page of 4 KiB.
    /// - Throws: ``KernelMemoryError/unreadable(_:)`` where nothing is mapped there, or nothing was recorded.
    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64]
}

extension KernelReader {
    /// The word at a multiple of 8.
    func word(at address: KernelAddress) throws(KernelMemoryError) -> UInt64 {
        guard let word = try words(at: address, count: 1).first else { throw .unreadable(address) }
        return word
    }

    /// `count` words from a multiple of 8 on, in as many pages as they lie in.
    func words(at address: KernelAddress, acrossPages count: Int) throws(KernelMemoryError) -> [UInt64] {
        var words: [UInt64] = []
        while words.count < count {
            let next = address + UInt64(words.count * 8)
            let inPage = (BasePage.bytes - Int(next.rawValue % UInt64(BasePage.bytes))) / 8
            words += try self.words(at: next, count: min(inPage, count - words.count))
        }
        return words
    }

    /// Whether a reader may be asked for this: aligned, and in one page.
    static func isInOnePage(_ address: KernelAddress, _ count: Int) -> Bool {
        address.rawValue.isMultiple(of: 8) && (1...BasePage.words).contains(count)
            && Int(address.rawValue % UInt64(BasePage.bytes)) + count * 8 <= BasePage.bytes
    }
}

/// The base page of x86-64, of which a page table is one.
package enum BasePage {
    /// 4 KiB.
    package static let bytes = 4096
    /// Its words, or the entries of a page table.
    package static let words = 512
    /// Its logarithm.
    static let shift: UInt64 = 12
}

/// Numbers in hexadecimal digits.
enum Hexadecimal {
    /// Sixteen digits.
    static func padded(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
