import HostLab
import HostMemory
import Synchronization
import VmemmapEmulator

/// The host refuses for real: limits lowered, mappings and frames taken away, for a part of a round. The coordinator's
/// alone.
struct StressPressure {
    /// What is made scarce.
    enum Kind: String, CaseIterable {
        /// RLIMIT_AS.
        case addressSpace
        /// vm.max_map_count, by ballast.
        case mappings
        /// RLIMIT_NOFILE.
        case openFiles
        /// The file system that the region's frames come from (ENOSPC).
        case fileSystem
    }

    private enum Applied {
        case limit(LoweredLimit)
        case ballast(MappingBallast)
        case filler(SmallFileSystem.Filler)
    }

    private var applied: Applied?

    /// Whether something is scarce now.
    var isApplied: Bool { applied != nil }

    /// Why mappings are never made scarce under a limit of so many; nil where they are.
    static func leftOut(mappingLimit: MappingCount) -> String? {
        guard mappingLimit > MappingBallast.highestFilled else { return nil }
        return
            "vm.max_map_count reached: it is \(mappingLimit.rawValue), and more than "
            + "\(MappingBallast.highestFilled.rawValue) take too "
            + "long to fill; "
            + "lower it for the run: sysctl -w vm.max_map_count=\(MappingAccount.defaultLimit.rawValue)"
    }

    /// Makes something scarce. What is not possible on this host is left out.
    ///
    /// - Parameter draw: decides how little is left.
    mutating func apply(_ kind: Kind, _ fileSystem: SmallFileSystem?, draw: UInt64) throws(HostError) {
        switch kind {
        case .addressSpace:
            let room = [0, 16 << 10, 256 << 10, 1 << 20][Int(draw % 4)]
            applied = .limit(try LoweredLimit.addressSpace(leaving: ByteCount(room)))
        case .mappings:
            guard MappingBallast.isPossible else { return }
            applied = .ballast(try MappingBallast(leaving: MappingCount(Int(draw % 40))))
        case .openFiles:
            applied = .limit(try LoweredLimit.openFiles(to: 3))
        case .fileSystem:
            applied = try fileSystem.map { (fileSystem) throws(HostError) in
                .filler(try fileSystem.fill(leaving: HostLimits.pageSize * Int(draw % 12)))
            }
        }
    }

    /// Gives it back.
    mutating func lift() throws(HostError) {
        switch applied {
        case nil: break
        case .limit(let limit): try limit.lift()
        case .ballast(let ballast): try ballast.remove()
        case .filler: break
        }
        applied = nil
    }
}

extension StressShortages {
    mutating func note(_ kind: StressPressure.Kind) {
        switch kind {
        case .addressSpace: addressSpace += 1
        case .mappings: mappings += 1
        case .openFiles: openFiles += 1
        case .fileSystem: fileSystem += 1
        }
    }
}
