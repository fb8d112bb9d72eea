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

    /// The name in exports of what is checked of the right way.
    var check: String {
        switch self {
        case .restore: "walkers_read_right"
        case .gap: "no_read_faults"
        case .speculative: "no_store_faults"
        }
    }

    /// What is so if it passes.
    var statement: String {
        switch self {
        case .restore: "walkers read right under the engine"
        case .gap: "no read faults under the engine"
        case .speculative: "no checked walker stores into a read-only tail"
        }
    }
}
