import HostMemory
import VmemmapEmulator

/// What a script has of a machine's pools, as processes would: huge pages, and mappings for which some are reserved.
struct PoolUser {
    /// A huge page that the script has allocated.
    struct Allocated: Hashable, Sendable {
        /// Its number in the script, from 1.
        let number: Int
        /// The huge page.
        let page: HugePage
        /// The mapping that it was touched in, if its reservation was that mapping's.
        var mapping: PoolMapping? = nil
    }

    /// Huge pages that are mapped, reserved, and not touched yet.
    private struct Mapping {
        let size: HugePageSize
        let kind: PoolMapping
        var untouched: HugePageCount
    }

    private var allocated: [Allocated] = []
    private var held: Set<Int> = []
    private var mappings: [Mapping] = []
    private let progress: ProgressSink

    /// - Parameter progress: told how far a line is that takes long.
    init(progress: @escaping ProgressSink) { self.progress = progress }

    mutating func allocate(
        _ size: HugePageSize, _ count: HugePageCount, from machine: EmulatedMachine
    ) throws(HugeTLBError) -> [Allocated] {
        var made: [Allocated] = []
        for done in 0..<count.rawValue {
            progress(.count("alloc", done, of: count.rawValue, unit: "huge pages"))
            made.append(hold(try machine.allocate(size)))
        }
        return made
    }

    private mutating func hold(_ page: HugePage, _ mapping: PoolMapping? = nil) -> Allocated {
        let page = Allocated(number: allocated.count + 1, page: page, mapping: mapping)
        allocated.append(page)
        held.insert(page.number)
        return page
    }

    /// Makes a mapping and reserves its huge pages.
    mutating func reserve(
        _ size: HugePageSize, _ count: HugePageCount, _ kind: PoolMapping, from machine: EmulatedMachine
    ) throws(HugeTLBError) {
        try machine.reserve(size, count)
        mappings.append(Mapping(size: size, kind: kind, untouched: count))
    }

    /// Touches pages of the mappings, in the order in which they were made, and when all of those are touched, of
    /// mappings without reservations (MAP_NORESERVE).
    mutating func touch(_ size: HugePageSize, _ count: HugePageCount, from machine: EmulatedMachine) -> PoolOutcome {
        var made: [Allocated] = []
        do throws(HugeTLBError) {
            for done in 0..<count.rawValue {
                progress(.count("touch", done, of: count.rawValue, unit: "huge pages"))
                let place = mappings.firstIndex { $0.size == size && $0.untouched > .zero }
                let page = try machine.allocate(size, isReserved: place != nil)
                made.append(hold(page, place.map { mappings[$0].kind }))
                if let place { mappings[place].untouched -= HugePageCount(1) }
            }
            return .allocated(made)
        } catch {
            // Of a size that there is not, nothing can be mapped in the first place.
            if case .noSuchSize = error.cause { return .refused(error) }
            return .signalled(made, error)
        }
    }

    /// Unmaps what is not touched, of the last mappings first.
    mutating func unreserve(_ size: HugePageSize, _ count: HugePageCount, of machine: EmulatedMachine) {
        machine.unreserve(size, count)
        var left = count
        for place in mappings.indices.reversed() where mappings[place].size == size {
            let taken = min(left, mappings[place].untouched)
            mappings[place].untouched -= taken
            left -= taken
        }
        mappings.removeAll { $0.untouched == .zero }
    }

    /// Frees a huge page; without one, all of them.
    mutating func free(_ head: PageFrameNumber?, of machine: EmulatedMachine) throws(HugeTLBError) {
        let pages = allocated.filter { held.contains($0.number) && (head == nil || $0.page.head == head) }
        if let head, pages.isEmpty {
            throw HugeTLBError(machine.frames.contains(head) ? .notAHugePage(head) : .noSuchFrame(head))
        }
        for (done, page) in pages.enumerated() {
            progress(.count("free", done, of: pages.count, unit: "huge pages"))
            // What is freed of a private mapping is reserved for it again; `free all` unmaps it.
            let isPrivate = page.mapping == .private
            if try machine.free(page.page, restoresReservation: head != nil && isPrivate) {
                mappings.append(Mapping(size: page.page.size, kind: .private, untouched: HugePageCount(1)))
            }
            held.remove(page.number)
        }
    }

    /// The frame that a script names by its number, or by a huge page that it has allocated.
    func frame(_ frame: PoolFrame, _ sizes: MachineSizes) throws(PoolScriptError) -> PageFrameNumber {
        switch frame {
        case .frame(let number): return number
        case .allocated(let number, let offset):
            guard let page = allocated.first(where: { $0.number == number }) else {
                throw PoolScriptError(
                    found: "#\(number)",
                    expected: allocated.isEmpty
                        ? "an alloc before it" : "#1 to #\(allocated.count), the huge pages allocated so far")
            }
            let length = sizes.pages(in: page.page.size)
            guard offset < length else {
                throw PoolScriptError(
                    found: "#\(number)+\(offset)", expected: "an offset up to \(length - 1), within the huge page")
            }
            return page.page.head.advanced(by: offset)
        }
    }
}
