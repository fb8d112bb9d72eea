import HostMemory
import VmemmapEmulator

/// Something that must never be: what, where, and what led to it.
struct StressViolation: Hashable, Sendable, Codable {
    /// Which check failed, by its name in exports.
    let check: String
    /// What is not so.
    let statement: String
    /// The figures.
    let detail: String
    /// The seed that leads to it again.
    let seed: UInt64
    /// The scheme it happened in.
    let scheme: Scheme
    /// The backing it happened on.
    let backing: Backing
    /// The number of the set-up, from 0.
    let setUp: Int
    /// Rounds with this set-up before it.
    let round: Int
    /// The states of the huge pages concerned.
    let states: [String]
    /// Their lines of /proc/self/maps.
    let mappings: [String]
    /// What each worker did last, oldest first.
    let lastOperations: [String]
}

/// A violation as the one who sees it has it, before the dump is made.
struct StressFinding: Sendable {
    let check: StressCheck
    let detail: String
    /// Which huge page of which view; nil: none in particular.
    var place: Place?

    struct Place: Sendable {
        let region: VmemmapRegion
        let page: HugePageIndex
    }

    init(_ check: StressCheck, _ detail: String, _ place: Place? = nil) {
        self.check = check
        self.detail = detail
        self.place = place
    }
}

extension StressFinding {
    /// The states around the place.
    var states: [String] {
        guard let place else { return [] }
        let near = (place.page.rawValue - 2)...(place.page.rawValue + 2)
        return near.filter { (0..<place.region.plan.hugePages.rawValue).contains($0) }.map { number in
            let page = HugePageIndex(number)
            let state = place.region.hugePageStates[number]
            return "huge page \(number) at \(place.region.layout.vmemmap(of: page)): \(state)"
        }
    }

    /// What the host maps there, a 2 MiB page whole.
    var mappings: [String] {
        guard let place else { return [] }
        let lines = try? ProcMaps.lines(overlapping: place.region.layout.vmemmap(of: place.page))
        return Array((lines ?? []).prefix(64))
    }
}
