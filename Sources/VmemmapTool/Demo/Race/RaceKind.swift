/// What is raced: a wrong way and the right one, in pairs under readers.
enum RaceKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// Restoring by mapping fresh memory in place and filling it there, beside the engine's way.
    case restore
    /// Optimizing with an unmapped gap, as arm64's break-before-make has it, beside the engine's way.
    case gap
    /// Readers who take references, without and with the kernel's fix of 2024.
    case speculative

    /// The wrong way, then the right one.
    var ways: [RaceResult.Way] {
        switch self {
        case .restore: [.naive, .atomic]
        case .gap: [.gap, .atomic]
        case .speculative: [.unchecked, .checked]
        }
    }
}
