@testable import KernelMemory

/// A kernel's memory that a test makes up: page tables, and words in them and beside them.
struct FakeKernel {
    let levels: Int
    let directMap: KernelAddress
    let vmemmap: KernelAddress
    /// A bit that every entry has beside the address.
    var encryption: UInt64 = 0
    private(set) var memory = RecordedWords()
    private var nextTable: UInt64 = 0x100

    /// The frame of the highest table.
    let root: UInt64 = 0xff

    init(levels: Int = 4) {
        self.levels = levels
        directMap = KernelAddress(levels == 5 ? 0xff11_0003_4000_0000 : 0xffff_8880_c000_0000)
        vmemmap = KernelAddress(levels == 5 ? 0xffd4_0005_4000_0000 : 0xffff_ea00_8000_0000)
    }

    var tables: KernelPageTables {
        KernelPageTables(
            levels: levels, root: directMap + root << 12, directMap: directMap, addressMask: (1 << 46 - 1) & ~encryption
        )
    }

    subscript(address: KernelAddress) -> UInt64? {
        get { memory.words[address.rawValue] }
        set { memory.words[address.rawValue] = newValue }
    }

    /// The word at a place of physical memory.
    subscript(physical place: UInt64) -> UInt64? {
        get { self[directMap + place] }
        set { self[directMap + place] = newValue }
    }

    /// Maps an address at a level by an entry; the tables above are made where they are missing, all of them full of
    /// zeros.
    mutating func map(_ address: KernelAddress, _ entry: UInt64, level: Int = 0, above: UInt64 = 0x67) {
        var table = root
        for current in stride(from: levels - 1, through: level, by: -1) {
            fill(table)
            let place = table << 12 + (address.rawValue >> (12 + 9 * UInt64(current)) & 511) * 8
            if current == level {
                self[physical: place] = entry | encryption
            } else if let entry = self[physical: place], entry & 1 == 1 {
                table = (entry & ~encryption) >> 12 & (1 << 40 - 1)
            } else {
                table = nextTable
                nextTable += 1
                self[physical: place] = table << 12 | above | encryption
            }
        }
    }

    /// Gives every word of a frame that has none the value 0.
    mutating func fill(_ frame: UInt64) {
        for word in 0..<512 where self[physical: frame << 12 + UInt64(word) * 8] == nil {
            self[physical: frame << 12 + UInt64(word) * 8] = 0
        }
    }

    /// Maps a page of the kernel's to a frame, and gives it words: by the direct map and by the address.
    mutating func place(_ words: [UInt64], at address: KernelAddress, frame: UInt64) {
        map(KernelAddress(address.rawValue & ~4095), frame << 12 | 0x8000_0000_0000_0063)
        for (index, word) in words.enumerated() {
            let offset = address.rawValue % 4096 + UInt64(index * 8)
            self[physical: frame << 12 + offset] = word
            self[KernelAddress(address.rawValue & ~4095) + offset] = word
        }
    }
}
