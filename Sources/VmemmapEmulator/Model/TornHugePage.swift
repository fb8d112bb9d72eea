import HostMemory

/// What is torn of a huge page after a refusal, where undoing was refused as well.
///
/// Every vmemmap page that is not named as uncertain shows the right compound_head.
public struct TornHugePage: Hashable, Sendable {
    /// Where the contents of its vmemmap pages live.
    package enum Contents: String, Hashable, Sendable {
        /// Where they belong: private pages on the anonymous backing, the region's file on memfd.
        case region
        /// The frames of the tails are given back, or may be: contents are what the shared frames show.
        case sharedFrames
        /// In private memory that stands in for pages of the region: a block of the memory file that could not be
        /// written back, or staged pages that could not be moved in.
        case privateMemory
    }

    /// Which huge page.
    public let page: HugePageIndex
    /// The state that it had before: never torn.
    public let last: HugePageState
    /// Where its contents live.
    package let contents: Contents
    /// Vmemmap pages that certainly show a shared frame, as in an optimized huge page.
    package let replaced: Range<VmemmapPageIndex>
    /// Vmemmap pages at which the host refused: they show what they showed, or are not mapped at all.
    package let uncertain: Range<VmemmapPageIndex>
    /// Whether pages that ought to be writable may be write-protected: writers fail with
    /// ``VmemmapError/Cause/torn(_:)``.
    public let isWriteProtected: Bool
    /// Whether its mapping may be in more pieces than its state has: the host cut it so as to change a part, and then
    /// refused. Readers and writers notice nothing of that.
    public let isCut: Bool
    /// Staged pages that hold what the huge page is to show, where no other copy is left.
    let staging: AddressRange?

    /// Whether readers and writers find the huge page as it was, and only its mapping or its memory are not as planned.
    public var isUsable: Bool { replaced.isEmpty && uncertain.isEmpty && !isWriteProtected }
}

extension TornHugePage: CustomStringConvertible {
    /// Which huge page, and everything that is torn of it.
    public var description: String {
        var parts: [String] = []
        if !replaced.isEmpty { parts.append("vmemmap pages \(replaced.numbers) show the shared frame") }
        if !uncertain.isEmpty { parts.append("\(uncertain.numbers) uncertain") }
        if isWriteProtected { parts.append("write-protected") }
        if isCut { parts.append("its mapping perhaps cut") }
        if contents == .privateMemory { parts.append("its contents in private memory") }
        return "\(page) torn (" + parts.joined(separator: ", ") + ")"
    }
}
