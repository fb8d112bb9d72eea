import HostLab
import HostMemory
import VmemmapEmulator

/// One huge page put into the host's pool with the kernel's own optimization on, and taken out again: what the kernel
/// made of it. It comes before anything that takes more of them.
struct KernelTrial: Hashable, Sendable, Codable {
    /// Its size.
    let hugePageBytes: ByteCount
    /// How many were put in and taken out, one after the other: more than one where memory did not come back, and
    /// nothing else was wrong.
    let pages: HugePageCount
    /// How many struct pages in a bad state the kernel reported meanwhile; null where nothing tells.
    let badPageReports: Measured<Int>
    /// What it said of them.
    let kernelWords: [String]
    /// How many of them the host has lost; null where that cannot be seen, and where the two other figures show that
    /// nothing is wrong with the struct pages: pipes and the like are in no account either.
    let lostPages: Measured<HugePageCount>
    /// Vmemmap pages of the last one, restored, that hold what they must not; null where the kernel's memory cannot be
    /// read, or somebody else had the huge page by then.
    let strayVmemmapPages: Measured<PageCount>
    /// The scheme that the kernel's page tables showed while it was in the pool; null where they cannot be read.
    let scheme: Measured<Scheme>

    /// What must hold.
    var checks: [Check] {
        [
            Check(.noBadPages, expected: 0, measured: badPageReports.value),
            Check(.memoryComesBack, expected: 0, measured: lostPages.value?.rawValue),
            Check(.restoredPagesAreTheirOwn, expected: 0, measured: strayVmemmapPages.value?.rawValue),
        ]
    }

    /// What is wrong, what the kernel says of it, and what to do, in one line.
    var text: String {
        let failed = checks.filter { $0.outcome == .failed }.flatMap(\.figures).map {
            "\(Format.words($0.name)) \($0.measured.value ?? 0)"
        }
        // Printable ASCII alone: the log is anybody's to write to.
        let said = kernelWords.map { $0.unicodeScalars.reduce(into: "") { $0 += $1.escaped(asASCII: true) } }
        let words = said.isEmpty ? "" : " the kernel says \u{22}\(said.joined(separator: "; "))\u{22};"
        return "this kernel's own vmemmap optimization is broken: \(failed.joined(separator: ", ")) after "
            + "\(Format.count(pages.rawValue, "huge page")) put into the pool and taken out;\(words) nothing more was "
            + "taken; reboot, and leave vm.hugetlb_optimize_vmemmap at 0 on this kernel"
    }
}

extension KernelTrial {
    /// How many reports of bad struct pages came between two looks; nil where nothing tells. Pure.
    ///
    /// - Parameters:
    ///   - before: what had gone wrong before; nil where that is hidden.
    ///   - after: the same after it.
    ///   - logged: reports in the kernel's log; nil where that cannot be read.
    static func badPageReports(before: KernelTaint?, after: KernelTaint?, logged: Int?) -> Int? {
        if let logged, logged > 0 { return logged }
        // The kernel reports some 60 a minute and is silent of the rest: with the bit set before, silence says nothing.
        guard let before, let after, !before.hasBadPage else { return nil }
        return after.hasBadPage ? 1 : 0
    }

    /// Whether as much memory has gone out of all accounts as a huge page, and not much more: that is somebody else's.
    /// Pure.
    ///
    /// - Returns: nil where one of the two is not known.
    static func isLost(before: UnaccountedMemory?, after: UnaccountedMemory?, pageSize: ByteCount) -> Bool? {
        guard let before, let after else { return nil }
        let gone = (after.bytes - before.bytes).rawValue
        return gone >= pageSize.rawValue / 4 * 3 && gone < pageSize.rawValue / 2 * 3
    }

    /// Whether memory is lost, with the other two figures known: where both show that the struct pages are sound,
    /// memory that has gone out of all accounts is somebody else's, and nothing can be said. Pure.
    static func believed(_ isLost: Bool?, reports: Int?, stray: Int?) -> Bool? {
        isLost == true && reports == 0 && stray == 0 ? nil : isLost
    }
}
