/// The state of a huge page's vmemmap. `HugePageStates` has the transitions between them.
public enum HugePageState: Hashable, Sendable {
    /// As it was built: every vmemmap page has its own frame, in the mapping that it was built in.
    case populated
    /// Tails replaced as the plan says. `HPageVmemmapOptimized` in the kernel.
    case optimized
    /// Every vmemmap page has its own frame again, on the anonymous backing in the mapping that it was moved in with.
    case restored
    /// The host refused an operation half-way and refused to undo it. The next operation on the huge page mends it.
    indirect case torn(TornHugePage)

    /// Whether it is ``torn(_:)``.
    public var isTorn: Bool { tear != nil }

    /// What is torn; nil for a huge page that is whole.
    public var tear: TornHugePage? {
        if case .torn(let torn) = self { torn } else { nil }
    }

    /// Whether tails are replaced, or were before a refusal tore the huge page: their frames count as given back.
    public var wasOptimized: Bool { (tear?.last ?? self) == .optimized }
}

extension HugePageState: CustomStringConvertible {
    /// The state's name, and what is torn.
    public var description: String {
        switch self {
        case .populated: "populated"
        case .optimized: "optimized"
        case .restored: "restored"
        case .torn(let torn): "\(torn)"
        }
    }
}
