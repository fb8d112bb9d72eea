import VmemmapEmulator

/// A kernel's version, as far as what it does depends on it and nothing else tells.
struct KernelVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int

    init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// The version in `uname -r`; nil where there is none.
    init?(release: String) {
        let numbers = release.split(separator: ".", maxSplits: 2).prefix(2).map { $0.prefix(while: \.isNumber) }
        guard numbers.count == 2, let major = Int(numbers[0]), let minor = Int(numbers[1]) else { return nil }
        self.init(major, minor)
    }

    static func < (a: Self, b: Self) -> Bool { (a.major, a.minor) < (b.major, b.minor) }

    var description: String { "\(major).\(minor)" }

    /// The scheme of its own vmemmap optimization: what the mainline kernel of that version does.
    var scheme: Scheme {
        Scheme.ofHugeTLB.last { KernelVersion($0.firstLinux.major, $0.firstLinux.minor) <= self } ?? .head
    }
}
