import HostMemory
import Synchronization
import VmemmapEmulator

// What workers do to the machine: optimizing and restoring come of huge pages that come and go.
extension StressWorker {
    /// Base pages with memory errors that a machine gets at most: each is lost to it.
    private static let mostErrors = 12

    func carryOutOnMachine(_ action: StressOperation.Action, _ state: inout State) -> StressOutcome {
        switch action {
        case .optimize, .restore, .cycle: return .nothing
        case .setPool(let isGigantic, let share): return setPool(size(isGigantic), share)
        case .allocate(let isGigantic): return allocate(size(isGigantic), &state)
        case .free(let pick): return free(pick, &state)
        case .reserve(let isGigantic): return reserve(size(isGigantic), &state)
        case .unreserve(let isGigantic): return unreserve(size(isGigantic), &state)
        case .overcommit(let isGigantic, let count):
            return attempt { () throws(HugeTLBError) in
                try setUp.machine.setOvercommit(size(isGigantic), HugePageCount(count))
                return .done
            }
        case .poison(let pick, let place): return poison(pick, place, state)
        case .dissolve(let place):
            return attempt { () throws(HugeTLBError) in
                try setUp.machine.dissolve(frame(place))
                return .done
            }
        case .demote(let place):
            return attempt { () throws(HugeTLBError) in
                try setUp.machine.demote(frame(place))
                return .done
            }
        case .setOptimizing(let isOptimizing):
            setUp.machine.setOptimizing(isOptimizing)
            return .done
        }
    }

    private func attempt(_ body: () throws(HugeTLBError) -> StressOutcome) -> StressOutcome {
        do throws(HugeTLBError) {
            return try body()
        } catch {
            return .pool(error)
        }
    }

    /// Small pages where the machine is too small for gigantic ones.
    private func size(_ isGigantic: Bool) -> HugePageSize {
        let sizes = setUp.machine.configuration.sizes
        guard isGigantic || setUp.configuration.isLarge, let gigantic = sizes.gigantic,
            setUp.machine.region(gigantic) != nil
        else { return sizes.block }
        return gigantic
    }

    private func frame(_ place: UInt32) -> PageFrameNumber {
        PageFrameNumber(Self.place(place, setUp.small?.layout.frames.count ?? 1))
    }

    private func setPool(_ size: HugePageSize, _ share: UInt32) -> StressOutcome {
        let most = setUp.machine.region(size)?.plan.hugePages.rawValue ?? 0
        // Half of memory at most, and most often less: there is to be room for the other size and for surplus pages.
        let asked = Self.place(share, min(96, most / 2 + 1) + 1)
        return attempt { () throws(HugeTLBError) in
            let change = try setUp.machine.setPool(size, to: HugePageCount(asked))
            return change.refusal.map { .pool($0) } ?? .done
        }
    }

    private func allocate(_ size: HugePageSize, _ state: inout State) -> StressOutcome {
        let isReserved = (state.reserved[size] ?? 0) > 0
        do throws(HugeTLBError) {
            let page = try setUp.machine.allocate(size, isReserved: isReserved)
            if isReserved { state.reserved[size, default: 0] -= 1 }
            state.held.append(page)
            checkHeld(page)
            return .done
        } catch {
            return .pool(error)
        }
    }

    private func free(_ pick: UInt32, _ state: inout State) -> StressOutcome {
        if state.held.isEmpty { return .nothing }
        let page = state.held.remove(at: Self.place(pick, state.held.count))
        checkHeld(page)
        return attempt { () throws(HugeTLBError) in
            try setUp.machine.free(page)
            return .done
        }
    }

    private func reserve(_ size: HugePageSize, _ state: inout State) -> StressOutcome {
        do throws(HugeTLBError) {
            try setUp.machine.reserve(size, HugePageCount(1))
            state.reserved[size, default: 0] += 1
            return .done
        } catch {
            return .pool(error)
        }
    }

    private func unreserve(_ size: HugePageSize, _ state: inout State) -> StressOutcome {
        guard let reserved = state.reserved[size], reserved > 0 else { return .nothing }
        setUp.machine.unreserve(size, HugePageCount(1))
        state.reserved[size] = reserved - 1
        return .done
    }

    /// Only of what one holds: nobody else may write to its struct pages.
    private func poison(_ pick: UInt32, _ place: UInt32, _ state: State) -> StressOutcome {
        if state.held.isEmpty { return .nothing }
        let page = state.held[Self.place(pick, state.held.count)]
        let frame = page.head.advanced(by: Self.place(place, setUp.machine.configuration.sizes.pages(in: page.size)))
        let isAllowed = setUp.poisoned.withLock { poisoned in
            if poisoned.count >= Self.mostErrors { return poisoned.contains(frame) }
            poisoned.insert(frame)
            return true
        }
        guard isAllowed else { return .nothing }
        return attempt { () throws(HugeTLBError) in
            try setUp.machine.poison(frame)
            return .done
        }
    }

    /// While one holds a huge page, each of its frames leads to its head and nowhere else.
    func checkHeld(_ page: HugePage) {
        guard let region = setUp.machine.region(page.size) else { return }
        let pages = region.plan.geometry.basePagesPerHugePage
        for offset in [0, 1, 63, 64, pages / 2, pages - 1] {
            setUp.counters.looked(at: .heldFramesLeadToHead)
            let frame = page.head.advanced(by: offset)
            let seen = region.observedHead(of: frame)
            if seen?.head == region.layout.structPage(of: page.head) { continue }
            setUp.counters.wrongReads.count()
            setUp.report(
                StressFinding(
                    .heldFramesLeadToHead,
                    "frame \(frame.rawValue) of \(page) leads to \(seen.map { "\($0.head)" } ?? "a fault")",
                    StressFinding.Place(region: region, page: page.index)))
            return
        }
    }
}
