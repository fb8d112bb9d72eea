import HostMemory
import SystemPackage
import VmemmapEmulator

/// Looks at a process that holds a vmemmap, from outside: what /proc tells any other tool, compared with what the
/// scheme says.
struct InspectExperiment: Sendable {
    /// What is said of a region by whoever asks. What is left out is read off the region's label.
    struct Description: Hashable, Sendable {
        /// The base page.
        var basePageSize: ByteCount?
        /// The size of huge page.
        var pageSize: HugePageSize?
        /// How their vmemmap is shared.
        var scheme: Scheme?
        /// What the region consists of.
        var backing: Backing?
        /// How many frames in a row serve the tails.
        var tailFrames: PageCount?

        /// Nothing is said.
        init() {}
    }

    /// The process.
    var pid: Int32
    /// Where its region is; nil: where its guard pages say.
    var region: AddressRange? = nil
    /// What is said of it.
    var description = Description()
    /// What was asked for, as exported.
    var configuration = InspectResult.Configuration()

    private var process: ObservedProcess { .other(pid) }

    /// Looks that are taken before a process is given up that changes its region under them.
    private static let mostLooks = 10

    /// Looks, and again where the region has changed meanwhile: what is read one after the other must belong together.
    /// What is found wrong must be so twice in a row.
    ///
    /// - Throws: ``ExperimentError/notFound(_:)`` where there is no such process, or no region in it;
    ///   ``ExperimentError/notPermitted(_:)`` for another user's; ``ExperimentError/refused(_:)`` where it does not
    ///   stand still.
    func run() throws(ExperimentError) -> InspectResult {
        var suspected: InspectResult?
        for _ in 0..<Self.mostLooks {
            let region = try choose()
            let before = try mappings(of: region.range)
            let result = try look(at: region)
            guard try mappings(of: region.range) == before else {
                suspected = nil
                continue
            }
            if result.holds || suspected?.checks == result.checks { return result }
            suspected = result
        }
        throw .refused(
            "process \(pid) changed its region each of the \(Self.mostLooks) times that it was looked at; look at one "
                + "that stands still, "
                + "such as vmemmap hold")
    }

    /// What the account of a look takes: a verdict and a state each, some of them twice.
    private static let bytesPerHugePage = ByteCount(64)

    /// The mappings of the region, to see whether it stands still.
    private func mappings(of range: AddressRange) throws(ExperimentError) -> [Mapping] {
        try readable { () throws(HostError) -> [Mapping] in
            var found: [Mapping] = []
            try ProcMaps.forEach(of: process, overlapping: HostKernel.withGuardPages(range)) { found.append($0) }
            return found
        }
    }

    private func look(at region: Region) throws(ExperimentError) -> InspectResult {
        let host = try HostBlock.current()
        let (range, label, file) = region
        let plan = try plan(of: range, label)
        let layout = VmemmapLayout(geometry: plan.geometry, base: range.start, hugePages: plan.hugePages)
        if try mappings(of: range).isEmpty {
            throw .notFound(
                "process \(pid) has nothing mapped in the region \(range); give --region START+LENGTH as vmemmap hold "
                    + "prints it")
        }
        try HostRoom.checkOwnMemory(beside: Self.bytesPerHugePage.multiplied(by: plan.hugePages.rawValue))
        let view = try readable { () throws(HostError) -> RegionView in
            try RegionView.take(plan, layout, file, of: process)
        }
        let figures = try readable { () throws(HostError) -> InspectResult.Figures in
            try self.figures(range, file, view)
        }
        let guards = try readable { () throws(HostError) -> Int in try guardPages(of: range, file) }
        return InspectResult(
            host: host, configuration: configuration, pid: pid, regionStart: "\(range.start)",
            regionLengthBytes: range.length,
            plan: PlanBlock(plan, cost: host.mappingCost), countingMethod: host.countingMethod,
            picture: try readable { () throws(HostError) -> FramePicture in
                try FramePicture.take(HugePageIndex(plan.hugePages.rawValue / 2), in: layout, of: process)
            },
            pages: view.pages, figures: figures, checks: InspectChecks.all(plan, view, figures, guardPages: guards),
            firstDifference: Measured(view.firstDifference))
    }

    /// The guard pages that there are: where they must be, and of the region's memory file if it is known.
    private func guardPages(of range: AddressRange, _ file: Mapping.FileIdentity?) throws(HostError) -> Int {
        let places = HostKernel.guardPages(of: range)
        var found = 0
        try ProcMaps.forEach(of: process, overlapping: HostKernel.withGuardPages(range)) {
            (mapping) throws(HostError) in
            if places.contains(mapping.range), FoundRegion.isGuard(mapping), file == nil || mapping.file == file {
                found += 1
            }
        }
        return found
    }

    private func figures(
        _ range: AddressRange, _ file: Mapping.FileIdentity?, _ view: RegionView
    ) throws(HostError) -> InspectResult.Figures {
        let frames = try FrameCount.count(of: process, in: range)
        let smaps = try SmapsSum.of(process, in: range)
        let rollup = try? SmapsRollup.of(process)
        let memfd = try file.flatMap { (file) throws(HostError) in
            try ProcessFiles.allocatedBytes(of: process, memoryFile: RegionLabel.fileName, inode: file.inode)
        }
        let pss = view.frames.isEmpty ? nil : try KernelPages.proportionalShare(of: view.frames)
        return InspectResult.Figures(
            distinctFrames: frames.distinct, swappedPages: frames.swapped, presentPages: frames.present,
            smapsRssBytes: smaps.rss, smapsPssBytes: smaps.pss, regionPssBytes: Measured(pss),
            processRssBytes: Measured(rollup?.rss),
            processPssBytes: Measured(rollup?.pss),
            regionMappings: try ProcMaps.count(of: process, overlapping: range), memfdBytes: Measured(memfd))
    }

    // MARK: Which region, and what it is

    private typealias Region = (range: AddressRange, label: RegionLabel?, file: Mapping.FileIdentity?)

    private func choose() throws(ExperimentError) -> Region {
        if let region {
            let named = try readable { () throws(HostError) -> (label: RegionLabel, file: Mapping.FileIdentity)? in
                try FoundRegion.label(of: region, in: process)
            }
            return (region, named?.label, named?.file)
        }
        let found = try readable { () throws(HostError) -> [FoundRegion] in try FoundRegion.all(in: process) }
        if found.count == 1 { return (found[0].range, found[0].label, found[0].file) }
        if found.isEmpty {
            throw .notFound(
                "process \(pid) has 0 regions of a vmemmap, 1 is needed: no guard page named \(RegionLabel.fileName) "
                    + "in "
                    + "/proc/\(pid)/maps; give the PID that vmemmap hold prints, or --region START+LENGTH")
        }
        let places = found.map { "\($0.range.start)+\($0.range.length.rawValue)" }.joined(separator: ", ")
        throw .notFound("process \(pid) has \(found.count) regions, 1 is looked at: choose with --region, of \(places)")
    }

    private func plan(of range: AddressRange, _ label: RegionLabel?) throws(ExperimentError) -> MappingPlan {
        guard let pageSize = description.pageSize ?? label?.pageSize, let scheme = description.scheme ?? label?.scheme,
            let backing = description.backing ?? label?.backing,
            let tailFrames = description.tailFrames ?? label?.tailFrames
        else {
            throw .notFound(
                "the region \(range) of process \(pid) has no label that says what it is: give --page-size, --scheme, "
                    + "--backing and "
                    + "--tail-frames")
        }
        let basePage = description.basePageSize ?? label?.basePageSize ?? HostLimits.pageSize
        guard let geometry = Geometry(basePageSize: basePage, hugePageSize: pageSize), basePage >= HostLimits.pageSize,
            geometry.vmemmapPagesPerHugePage > .zero
        else {
            throw .notSupported(
                "no vmemmap of huge pages of \(pageSize.bytes.rawValue) bytes has base pages of \(basePage.rawValue) "
                    + "bytes here"
            )
        }
        let bytes = geometry.vmemmapBytesPerHugePage.rawValue
        guard range.start.rawValue.isMultiple(of: UInt(geometry.basePageSize.rawValue)) else {
            throw .notFound(
                "the region \(range) does not start at a page, of \(geometry.basePageSize.rawValue) bytes each; give "
                    + "--region "
                    + "START+LENGTH as "
                    + "vmemmap hold prints it")
        }
        guard range.length >= geometry.vmemmapBytesPerHugePage, range.length.rawValue.isMultiple(of: bytes) else {
            throw .notFound(
                "the region \(range) has \(range.length.rawValue) bytes, which is no whole number of huge pages: each "
                    + "has "
                    + "\(bytes) bytes of "
                    + "struct pages; give --region START+LENGTH as vmemmap hold prints it")
        }
        let plan = try ExperimentError.wrapping {
            try MappingPlan(
                geometry: geometry, scheme: scheme, backing: backing, mapping: label?.mapping ?? .pte,
                hugePages: HugePageCount(range.length.rawValue / bytes), tailFrames: .frames(tailFrames))
        }
        // What is asked for is not cut short.
        if let asked = description.tailFrames, asked > plan.tailFrames {
            throw .notFound(
                "the \(scheme.rawValue) scheme has at most \(plan.tailFrames.rawValue) tail frames here: give "
                    + "--tail-frames "
                    + "\(plan.tailFrames.rawValue) at most"
            )
        }
        return plan
    }

    // MARK: Refusals

    /// Reads from the process; a refusal is told as what it means.
    private func readable<Value>(_ read: () throws(HostError) -> Value) throws(ExperimentError) -> Value {
        do throws(HostError) {
            return try read()
        } catch {
            switch error.errno {
            case .permissionDenied, .notPermitted:
                let owner = try? ProcessOwner.of(process)
                let whose = owner.map { "user \($0)" } ?? "another user"
                let wayOut =
                    owner == ProcessOwner.current
                    ? "the kernel lets it be read by more privileged processes only (ptrace(2), PTRACE_MODE_READ): "
                        + "inspect a hold of "
                        + "your own" : "run inspect as that user or as root"
                throw .notPermitted(
                    "process \(pid) belongs to \(whose), and this is user \(ProcessOwner.current): \(error); \(wayOut)")
            case .noSuchFileOrDirectory, .noSuchProcess:
                throw .notFound(
                    "there is no process \(pid), or it has ended: \(error); give the PID of a running vmemmap hold")
            default: throw .host(error)
            }
        }
    }
}
