import HostLab
import HostMemory
import VmemmapEmulator

/// What is said of a shortage: what is needed, the limit, how much of it is left, and each way out. Whoever meets one,
/// of mappings above all, says it from here.
enum ShortageText {
    /// `10 240 huge pages of 2.00 MiB need 81 920 mappings, but ...`
    static func line(_ shortage: Shortage, _ sizing: ErrorText.Sizing) -> String {
        let isOne = shortage.asked == HugePageCount(1)
        let asked =
            "\(Format.count(shortage.asked.rawValue, "huge page")) of \(Format.bytes(shortage.pageSize.bytes))"
        let need = asked + (shortage.share == nil ? "" : " a node") + (isOne ? " needs" : " need")
        let (fits, or) = fitting(shortage, sizing)
        switch shortage.resource {
        case .mappings: return "\(need) \(mappings(shortage)); \(fits)\(raise(shortage, or))"
        case .memory(let source):
            let needed = shortage.needed.map { Format.bytes(ByteCount($0)) } ?? "more memory than can be counted"
            return "\(need) \(needed), but \(source) leaves \(Format.bytes(ByteCount(shortage.available))); "
                + "\(fits)\(or) \(source.contains("limit") ? raiseMemory(shortage) : "free memory")"
        case .contiguousMemory:
            return
                "\(asked) \(isOne ? "is" : "are") to be allocated by the host in one piece each, and it found not one, "
                + "with \(Format.bytes(ByteCount(shortage.available))) of memory available in smaller pieces (as root: "
                + "sysctl vm.compact_memory=1, or reserve them at boot: "
                + "hugepagesz=\(shortage.pageSize.bytes.argument) hugepages=\(shortage.asked.rawValue))"
        }
    }

    /// Why vm.max_map_count was not raised as far as it had to be, and how to do with what there is.
    static func line(_ refusal: RaisedMapLimit.Refusal, _ sizing: ErrorText.Sizing) -> String {
        let failure = "cannot raise vm.max_map_count to \(refusal.limit.rawValue): "
        switch refusal.cause {
        case .inUse(let settings): return failure + "\(settings)"
        case .leftChanged(let setting): return failure + "\(setting)"
        case .host(let error), .noLock(let error):
            guard [.permission, .support, .unreadable].contains(HostRefusal(error)) else {
                return failure + "\(error)" + ErrorText.advice(error)
            }
            let others = refusal.shortage.map { ways($0, sizing) } ?? ["no --raise-map-limit: there is room without"]
            let place = error.code == .readOnly ? "where /proc/sys may be written, " : ""
            return failure + "\(error); \(place)\(asRoot(refusal.limit))"
                + (others.isEmpty ? "" : ", or use \(others.joined(separator: " or "))")
        }
    }

    /// What the engine's refusal for want of mappings leaves to be said: how far the limit has to be raised.
    static func wayOut(of error: VmemmapError) -> String {
        guard case .mappingLimit(let asked, let inUse, _, _) = error.cause else { return "" }
        let limit = inUse + asked + MappingAccount.growth
        return limit <= MappingAccount.highestLimit ? "; \(asRoot(limit))" : ""
    }

    /// `; tail_frames=7 would let all of them be`: of huge pages of a script for which there were too few mappings.
    static func wayOut(_ tailFrames: PageCount) -> String {
        "; tail_frames=\(tailFrames.rawValue) would let all of them be"
    }

    /// The same where no number would.
    static func furthest(_ reach: EmulatedMemory.Reach) -> String {
        let best =
            reach.isBetter
            ? "tail_frames=\(reach.tailFrames.rawValue) goes furthest, to about" : "more go no further than about"
        return "; no number of tail frames would let all of them be: \(best) \(Format.count(reach.pages.rawValue))"
    }

    // MARK: Parts of it

    /// `81 920 mappings, but vm.max_map_count is 65530, 65380 of them free`
    private static func mappings(_ shortage: Shortage) -> String {
        let needed = shortage.needed.map { Format.count($0, "mapping") } ?? "more mappings than can be counted"
        let name =
            shortage.isLimitHidden ? "vm.max_map_count, which is hidden here, is taken for" : "vm.max_map_count is"
        let atMost = shortage.limit >= MappingAccount.highestLimit.rawValue ? "at most " : ""
        return
            "\(needed), but \(name) \(atMost)\(shortage.limit), \(shortage.available) of them free"
    }

    private static func asRoot(_ limit: MappingCount) -> String { "as root: sysctl vm.max_map_count=\(limit.rawValue)" }

    /// How far vm.max_map_count has to be raised, with room for what the process maps meanwhile.
    private static func raise(_ shortage: Shortage, _ or: String) -> String {
        let others = MappingCount(shortage.limit - shortage.available) + MappingAccount.growth
        let limit = shortage.needed.map { $0.addingReportingOverflow(others.rawValue) }
        guard let limit, !limit.overflow, limit.partialValue <= MappingAccount.highestLimit.rawValue else {
            return "; it cannot be raised so far, the most is \(MappingAccount.highestLimit.rawValue)"
        }
        // One process alone raises it.
        let commands = shortage.isOfBench ? "savings and bench" : "savings"
        let option = shortage.share == nil ? ", or --raise-map-limit of \(commands)" : ""
        return "\(or) raise it (\(asRoot(MappingCount(limit.partialValue)))\(option))"
    }

    private static func raiseMemory(_ shortage: Shortage) -> String {
        "raise that limit" + (shortage.lacking.map { " by \(Format.mebibytes(atLeast: $0))" } ?? "")
    }

    /// `8172 fit: use --pages 8172 or --tail-frames 7`, and what joins the last way out to it.
    private static func fitting(_ shortage: Shortage, _ sizing: ErrorText.Sizing) -> (String, or: String) {
        let ways = ways(shortage, sizing)
        let fitting = shortage.largest > .zero ? "\(shortage.largest.rawValue) fit" : "not one fits"
        let fits = fitting + (shortage.share == nil ? "" : " one")
        return ways.isEmpty ? (fits, ";") : (fits + ": use " + ways.joined(separator: " or "), ", or")
    }

    /// What the user could write instead: for as many as fit, or for what lets all of them.
    private static func ways(_ shortage: Shortage, _ sizing: ErrorText.Sizing) -> [String] {
        let tailFrames = sizing == .pagesAlone ? nil : shortage.fittingTailFrames.map { "--tail-frames \($0.rawValue)" }
        guard shortage.largest > .zero else { return [tailFrames].compactMap(\.self) }
        guard let share = shortage.share else {
            let isDivisible = shortage.resource == .mappings && sizing.hasNodes
            let nodes = isDivisible ? nodes(for: shortage.asked, shortage).map { _ in "--nodes auto" } : nil
            let size = size(shortage.largest, shortage.pageSize, sizing)
            return [size, tailFrames, nodes].compactMap(\.self)
        }
        let more = nodes(for: share.pages, shortage).map { ["--nodes auto", "--nodes \($0)"] }
        let most = HugePageCount(shortage.largest.rawValue * share.nodes)
        return (more ?? [size(most, shortage.pageSize, sizing)]) + [tailFrames].compactMap(\.self)
    }

    /// In how many nodes there is room for huge pages; nil: in more than there may be.
    private static func nodes(for pages: HugePageCount, _ shortage: Shortage) -> Int? {
        let nodes = (pages.rawValue - 1) / shortage.largest.rawValue + 1
        return nodes <= NodeCount.most ? nodes : nil
    }

    private static func size(_ pages: HugePageCount, _ size: HugePageSize, _ sizing: ErrorText.Sizing) -> String {
        let memory = (size.bytes * pages.rawValue).argument
        return switch sizing {
        case .pages, .pagesOfNodes, .pagesAlone: "--pages \(pages.rawValue)"
        case .memory: "--memory \(memory)"
        case .script: "memory=\(memory)"
        }
    }
}
