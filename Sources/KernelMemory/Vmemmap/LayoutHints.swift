/// What is known of a kernel before its page tables are: what the search for them starts from. Pure values.
struct LayoutHints: Sendable {
    /// A page of this process's own with random bytes.
    struct OwnPage: Sendable {
        /// Where it is mapped.
        let address: UInt64
        /// What it holds.
        let words: [UInt64]
        /// Its frame by /proc/self/pagemap; nil where the kernel does not tell this process.
        let frame: UInt64?
    }

    /// Where in physical memory the kernel keeps a note of VMCOREINFO (/sys/kernel/vmcoreinfo).
    struct NotePlace: Sendable, Hashable {
        let address: UInt64
        let length: Int

        /// Parses the file's text: two numbers in hexadecimal digits. Nil if it is something else.
        init?(_ text: String) {
            let numbers = text.split(whereSeparator: \.isWhitespace).map { word in
                UInt64(word.hasPrefix("0x") ? word.dropFirst(2) : word, radix: 16)
            }
            guard numbers.count == 2, let address = numbers[0], let length = numbers[1], address < 1 << 52,
                address.isMultiple(of: 8), (24...1 << 16).contains(length)
            else { return nil }
            self.address = address
            self.length = Int(length)
        }
    }

    /// Whether the processor and the kernel use page tables of 5 levels (`la57` in /proc/cpuinfo).
    var hasFiveLevels = false
    /// Bits of a physical address (/proc/cpuinfo), those of memory encryption left out.
    var physicalBits = 46
    /// Where memory ends, in frames (/proc/zoneinfo).
    var endFrame: UInt64 = 0
    var ownPage: OwnPage?
    /// The address of this thread's task_struct, where the source tells it.
    var task: KernelAddress?
    var notePlace: NotePlace?
    var btf: BTF?
    /// The direct map by the headers of /proc/kcore.
    var directMap: KernelAddress?
    /// VMCOREINFO, where the source has it.
    var info: VMCoreInfo?

    /// Takes BTF. Of a form that is not known, it is left out: what needs none is found without.
    mutating func take(btf bytes: [UInt8]) { btf = try? BTF(bytes) }

    /// Takes what /proc/cpuinfo says of the first processor.
    mutating func take(cpuinfo text: String) {
        let lines = text.split(separator: "\n")
        if let flags = lines.first(where: { $0.hasPrefix("flags") }) {
            hasFiveLevels = flags.split(separator: " ").contains("la57")
        }
        if let sizes = lines.first(where: { $0.hasPrefix("address sizes") }) {
            let words = sizes.drop { $0 != ":" }.dropFirst().split(separator: " ")
            if let bits = words.first.flatMap({ Int($0) }), (32...52).contains(bits) { physicalBits = bits }
        }
    }

    /// Takes the end of the last zone from /proc/zoneinfo.
    mutating func take(zoneinfo text: String) {
        var spanned: UInt64 = 0
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let number = UInt64(words[1]), number < 1 << 40 else { continue }
            if words[0] == "spanned" { spanned = number }
            if words[0] == "start_pfn:", spanned > 0 { endFrame = max(endFrame, number + spanned) }
        }
    }
}
