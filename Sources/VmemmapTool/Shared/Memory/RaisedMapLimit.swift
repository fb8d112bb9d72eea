import HostLab
import HostMemory

/// vm.max_map_count raised for an experiment: whoever has it raised has it put back (``SignalPutBack``).
enum RaisedMapLimit {
    /// Why it was not raised.
    struct Refusal: Sendable {
        /// What it had to be.
        let limit: MappingCount
        /// Why.
        let cause: SettingRefusal
        /// What it is too low for; nil where the experiment has room without, if barely.
        let shortage: Shortage?
    }

    /// Raises it as far as each of `memories` needs, with so many mappings to spare, unless it is as high already: then
    /// there is nothing to put back.
    static func raise(
        for memories: [EmulatedMemory], keepingFree spare: MappingCount = .zero
    ) throws(ExperimentError) -> [ChangedSettings] {
        let room = try HostRoom.current()
        var needed = MappingCount.zero
        for memory in memories {
            needed = max(needed, room.limitNeeded(for: try memory.plan(on: room.withoutMappingLimit)) + spare)
        }
        do throws(SettingRefusal) {
            return try MapCountLimit.raise(to: needed).map { [$0] } ?? []
        } catch {
            let shortage = shortage(of: memories, on: room.keepingFree(spare))
            throw .mapLimit(Refusal(limit: needed, cause: error, shortage: shortage))
        }
    }

    /// The worst of what `memories` lack, with tail frames that let all of them fit.
    private static func shortage(of memories: [EmulatedMemory], on room: HostRoom) -> Shortage? {
        let shortages = memories.compactMap { memory -> Shortage? in
            do throws(ExperimentError) {
                _ = try memory.plan(on: room)
                return nil
            } catch {
                if case .shortage(let shortage) = error { return shortage }
                return nil
            }
        }
        var worst = shortages.min { $0.largest < $1.largest }
        if Set(shortages.map(\.fittingTailFrames)).count > 1 { worst?.fittingTailFrames = nil }
        return worst
    }
}
