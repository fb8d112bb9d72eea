import HostLab
import HostMemory
import SystemPackage
import VmemmapEmulator

/// The emulated huge pages that an experiment runs on.
struct EmulatedMemory: Hashable, Sendable {
    /// How many huge pages.
    var pages: HugePageCount
    /// Their size.
    var pageSize: HugePageSize
    /// The emulated base page.
    var basePageSize: ByteCount = HostLimits.pageSize
    /// How their vmemmap is shared.
    var scheme: Scheme
    /// What the region consists of.
    var backing: Backing = .anonymous
    /// How many frames in a row serve the tails.
    var tailFrames: TailFrames = .frames(PageCount(1))
    /// How the region is mapped as it is built.
    var mapping: RegionMapping = .pte
    /// Whether the region is built populated or optimized.
    var construction: Construction = .populated

    /// What optimizing them does on this host, if it has room for them.
    ///
    /// - Parameter spare: mappings that must stay free beside it.
    /// - Throws: ``ExperimentError`` when the host's base page has no use for the scheme, or there is no room: nothing
    ///   has been mapped then.
    func planOnThisHost(keepingFree spare: MappingCount = .zero) throws(ExperimentError) -> MappingPlan {
        try plan(on: HostRoom.current().keepingFree(spare))
    }

    /// The same where there is `room`.
    func plan(on room: HostRoom) throws(ExperimentError) -> MappingPlan {
        let plan = try plan(room, mappingLimit: room.freeMappings)
        do throws(ExperimentError) {
            try room.check(plan, construction, asked: pages)
        } catch .shortage(var shortage) where shortage.resource == .mappings && tailFrames != .auto {
            shortage.fittingTailFrames = fittingTailFrames(on: room)
            throw .shortage(shortage)
        }
        return plan
    }

    /// The tail frames with which there is room for them, the next time too, when the process may have more mappings of
    /// its own; nil where there is not with any number.
    func fittingTailFrames(on room: HostRoom) -> PageCount? {
        var memory = self
        memory.tailFrames = .auto
        return (try? memory.plan(on: room.keepingFree(MappingAccount.variation)))?.tailFrames
    }

    /// How far tail frames go where there is not room for all huge pages.
    struct Reach: Hashable, Sendable {
        /// The fewest tail frames with which a huge page takes the fewest mappings.
        let tailFrames: PageCount
        /// The huge pages that there is room for then.
        let pages: HugePageCount
        /// Whether it takes fewer than it does now.
        let isBetter: Bool
    }

    /// The most huge pages that can be optimized with any number of tail frames.
    func reach(on room: HostRoom) -> Reach? {
        guard let geometry = Geometry(basePageSize: basePageSize, hugePageSize: pageSize),
            let most = TailFrames.most([scheme], [pageSize], basePageSize: basePageSize)
        else { return nil }
        func mappings(_ tailFrames: TailFrames) -> MappingCount? {
            try? MappingPlan(
                geometry: geometry, scheme: scheme, backing: backing, hugePages: 1, tailFrames: tailFrames
            ).mappings(.optimized)
        }
        let all = (1...most.rawValue).compactMap { frames in
            mappings(.frames(PageCount(frames))).map { (frames: frames, mappings: $0) }
        }
        guard let best = all.min(by: { $0.mappings < $1.mappings }), best.mappings > .zero else { return nil }
        let free = room.keepingFree(MappingAccount.variation).freeMappings
        return Reach(
            tailFrames: PageCount(best.frames), pages: HugePageCount(free.rawValue / best.mappings.rawValue),
            isBetter: mappings(tailFrames).map { best.mappings < $0 } ?? false)
    }

    /// What optimizing them does where vm.max_map_count is as high as it has to be.
    ///
    /// - Throws: ``ExperimentError`` when the host's base page has no use for the scheme, or there is not memory
    ///   enough.
    func planIgnoringTheMappingLimit() throws(ExperimentError) -> MappingPlan {
        try plan(on: HostRoom.current().withoutMappingLimit)
    }

    /// The way out where a size is too small: the smallest of which the scheme frees something.
    private var largerSize: String {
        var bytes = basePageSize
        while let size = HugePageSize(bytes: bytes) {
            if scheme.frees(of: size, basePageSize: basePageSize) {
                return ": use --page-size \(size.defaultValueDescription) or larger"
            }
            bytes = bytes * 2
        }
        return ""
    }

    private func plan(
        _ room: HostRoom, mappingLimit: MappingCount
    ) throws(ExperimentError) -> MappingPlan {
        guard let geometry = Geometry(basePageSize: basePageSize, hugePageSize: pageSize) else {
            throw .notSupported(
                "no huge page of \(pageSize.bytes.rawValue) bytes has base pages of \(basePageSize.rawValue) "
                    + "bytes\(largerSize)"
            )
        }
        if !scheme.isRemapped, construction == .populated {
            throw .notSupported(
                "the \(scheme.rawValue) scheme is built optimized and never restored: use it with "
                    + Scheme.commandsWithoutRemapping)
        }
        // A plan's figures must fit their numbers: more than memory could ever hold is refused by the plan for what it
        // can.
        let most = construction == .populated ? room.mostPages(geometry) : geometry.mostPages
        let fitting = max(HugePageCount(1), min(pages, most))
        let plan = try ExperimentError.wrapping {
            try MappingPlan(
                geometry: geometry, scheme: scheme, backing: backing, mapping: mapping, hugePages: fitting,
                tailFrames: tailFrames,
                cost: .current(), mappingLimit: mappingLimit)
        }
        guard plan.isWorthwhile else {
            throw .notSupported(
                "with base pages of \(basePageSize.rawValue) bytes a huge page of \(pageSize.bytes.rawValue) bytes has "
                    + "\(Format.count(geometry.vmemmapPagesPerHugePage.rawValue, "vmemmap page")); "
                    + "\(scheme.rawValue) keeps \(scheme.keptPages.rawValue)\(largerSize)"
            )
        }
        return plan
    }
}

/// Why an experiment was not run to its end.
enum ExperimentError: Error, Sendable {
    /// The host lacks what was asked for. Nothing was mapped.
    case shortage(Shortage)
    /// vm.max_map_count is too low, and could not be raised.
    case mapLimit(RaisedMapLimit.Refusal)
    /// The host cannot do it at all.
    case notSupported(String)
    /// What was to be looked at is not there.
    case notFound(String)
    /// It belongs to somebody else.
    case notPermitted(String)
    /// Another process is changing the settings of the host that this needs.
    case inUse(SettingInUse)
    /// The host refused a call.
    case host(HostError)
    /// The host let only a part of it be done, or others on it disturbed it: why.
    case refused(String)
    /// The engine could not do it.
    case vmemmap(VmemmapError)
    /// A process of an emulated node failed; the others have been ended.
    case node(NodeFailure)
    /// A signal ended it, in order.
    case signal(Int32)
    /// A setting of the host was changed and is not what it was.
    case setting(SettingNotPutBack)
    /// The kernel's own optimization loses memory: what showed it.
    case brokenKernel(KernelTrial)
    /// Anything else: a bug of this tool.
    case unexpected(String)

    /// The error for settings that may not be changed.
    init(_ refusal: SettingRefusal) {
        self =
            switch refusal {
            case .host(let error): .host(error)
            case .inUse(let settings): .inUse(settings)
            case .noLock(let error):
                switch HostRefusal(error) {
                case .permission, .support, .unreadable:
                    .notSupported("the host's settings cannot be locked: \(error)")
                default: .host(error)
                }
            case .leftChanged(let setting): .setting(setting)
            }
    }

    /// The error for the host's pools of huge pages that may not be changed: where it is this process that may not, it
    /// is not supported here.
    static func ofChangingPools(_ refusal: SettingRefusal) -> ExperimentError {
        if case .host(let cause) = refusal, HostRefusal(cause) == .permission {
            return .notSupported("the host's settings cannot be changed: \(cause)")
        }
        return ExperimentError(refusal)
    }

    /// Throws ``notSupported(_:)`` without root, and on a kernel without the optimization.
    ///
    /// - Parameter needsRoot: what is said without root.
    static func checkCanChangePools(_ needsRoot: String) throws {
        guard try HostDescription.current().isRoot else { throw ExperimentError.notSupported(needsRoot) }
        guard try HVOConfiguration.current().isOn != nil else {
            throw ExperimentError.notSupported(
                "this kernel has no vm.hugetlb_optimize_vmemmap: it was built without "
                    + "CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP, is older than Linux 5.19, or hides /proc/sys")
        }
    }

    /// A check that fails is never thrown: it is a result.
    static func wrapping<Value>(_ body: () throws -> Value) throws(ExperimentError) -> Value {
        do {
            return try body()
        } catch let error as HostError {
            throw .host(error)
        } catch let error as VmemmapError {
            throw .vmemmap(error)
        } catch let error as HugeTLBError {
            if case .vmemmap(let cause) = error.cause { throw .vmemmap(cause) }
            throw .unexpected("\(error)")
        } catch let error as ExperimentError {
            throw error
        } catch {
            throw .unexpected("\(error)")
        }
    }
}
