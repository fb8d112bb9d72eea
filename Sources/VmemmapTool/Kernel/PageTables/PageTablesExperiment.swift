import HostLab
import HostMemory
import KernelMemory
import VmemmapEmulator

/// Reads the kernel's own page tables for the vmemmap of HugeTLB pages, and sets an emulated huge page beside one.
/// Never writes to them.
struct PageTablesExperiment: Sendable {
    /// What is looked at.
    enum Subject: Hashable, Sendable {
        /// The huge pages that are in the host's pools already. Nothing of the host is changed.
        case existing
        /// The one that a frame is part of.
        case page(pfn: UInt64)
        /// Those of a recording. Nothing of this host's kernel is read.
        case recording(KernelRecording)
    }

    /// What was found, and what was read for it, if it was read now.
    typealias Outcome = (block: PageTablesBlock, recording: KernelRecording?)

    /// How the kernel's memory is read; nil for what there is.
    var source: KernelVmemmap.Source?

    /// Finds out whether the kernel's memory can be read here. Nothing is changed.
    ///
    /// - Throws: ``ExperimentError/notSupported(_:)`` where it cannot, with what would allow it.
    func checkSupport() throws(ExperimentError) { try Self.converting { _ = try KernelVmemmap(source) } }

    /// What the host's pools have, or why that cannot be read here.
    func lookIfAllowed() -> PageTablesBlock {
        do {
            return try read(.existing, emulating: false).block
        } catch let error as KernelMemoryError {
            return PageTablesBlock(kernel: Self.kernel, error)
        } catch {
            return PageTablesBlock(kernel: Self.kernel, .notSupported("\(error)"))
        }
    }

    /// Looks at huge pages that are there, or were, and sets an emulated one beside an optimized one.
    ///
    /// - Throws: ``ExperimentError/notSupported(_:)`` where the kernel's memory cannot be read, with what would allow
    ///   it.
    func look(at subject: Subject) throws(ExperimentError) -> Outcome {
        try Self.converting { try read(subject, emulating: true) }
    }

    private func read(_ subject: Subject, emulating: Bool) throws -> Outcome {
        if case .recording(let recording) = subject { return (try Self.replay(recording), nil) }
        let kernel = try KernelVmemmap(source)
        let pools = try Self.pools()
        let pages: [(pfn: UInt64, size: ByteCount)]
        var kind = LookKind.existing
        if case .page(let pfn) = subject {
            kind = .page
            guard let page = try kernel.hugePage(containing: pfn) else {
                throw ExperimentError.notFound("frame 0x\(String(pfn, radix: 16)) is part of no HugeTLB page")
            }
            pages = [page]
        } else {
            pages = try kernel.hugePages()
        }
        let look = try kernel.look(at: pages, kind, pools: Self.pools())
        var missed: [LookKind: HostHugePageCount] = [:]
        if kind == .existing { missed[kind] = look.missed(since: pools).map { HostHugePageCount($0) } }
        var block = PageTablesBlock(
            kernel: Self.kernel, source: kernel.source.rawValue, layout: kernel.layout, looks: [(kind, look)],
            missed: missed)
        if emulating {
            block.differingContentPages = Measured(try Self.differingContents(look, kernel))
            block.emulated = Measured(try Self.emulated(block.scheme.value, look))
        }
        return (block, kernel.recording(kernel: Self.kernel))
    }

    private static func replay(_ recording: KernelRecording) throws -> PageTablesBlock {
        var looks: [(LookKind, VmemmapLook)] = []
        for kind in recording.kinds {
            if let look = try recording.look(kind) { looks.append((kind, look)) }
        }
        var block = PageTablesBlock(
            kernel: recording.kernel, source: "recording", layout: recording.layout, looks: looks)
        block.emulated = Measured(try emulated(block.scheme.value, looks.last?.1))
        return block
    }

    // MARK: Huge pages of its own

    /// Adds huge pages to the host's pool with the optimization off, looks at them and takes them out, does the same
    /// with it on, and puts the settings back whatever happens.
    ///
    /// - Parameters:
    ///   - measurement: how many and of which size.
    ///   - settings: as its `guardSettings()` made them.
    func look(
        adding measurement: KernelMeasurement, _ settings: ChangedSettings, progress: ProgressSink = { _ in }
    ) throws(ExperimentError) -> Outcome {
        let outcome: Result<Outcome, ExperimentError>
        do throws(ExperimentError) {
            outcome = .success(try Self.converting { try add(measurement, settings, progress) })
        } catch {
            outcome = .failure(error)
        }
        do throws(SettingNotPutBack) { try settings.putBack() } catch { throw .setting(error) }
        return try outcome.get()
    }

    private func add(
        _ measurement: KernelMeasurement, _ settings: ChangedSettings, _ progress: ProgressSink
    ) throws -> Outcome {
        let kernel = try KernelVmemmap(source)
        let pool = try HugeTLBPool.size(ofPagesOf: measurement.pageSize.bytes)
        _ = try KernelTrialRun(settings, pool: pool, pageSize: measurement.pageSize, kernel: kernel).run()
        let host = AddedPages(kernel: kernel, measurement: measurement, settings: settings)
        progress(.count("kernel", 0, of: 2, unit: "looks"))
        let off = try host.look(.off)
        progress(.count("kernel", 1, of: 2, unit: "looks"))
        var differing: PageCount?
        let on = try host.look(.on) { differing = try Self.differingContents($0, kernel) }
        var block = PageTablesBlock(
            kernel: Self.kernel, source: kernel.source.rawValue, layout: kernel.layout,
            looks: [(.off, off.look), (.on, on.look)], falls: [.off: off.fall, .on: on.fall].compactMapValues { $0 },
            missed: [.off: off.missed, .on: on.missed].compactMapValues { $0 })
        block.differingContentPages = Measured(differing)
        block.emulated = Measured(try Self.emulated(block.scheme.value, on.look))
        return (block, kernel.recording(kernel: Self.kernel))
    }

    /// Huge pages put into the host's pool and taken out again.
    private struct AddedPages {
        let kernel: KernelVmemmap
        let measurement: KernelMeasurement
        let settings: ChangedSettings

        /// - Parameter while: what to do while they are there.
        func look(
            _ kind: LookKind, while body: (VmemmapLook) throws -> Void = { _ in }
        ) throws -> (look: VmemmapLook, fall: PageCount?, missed: HostHugePageCount?) {
            let size = measurement.pageSize.bytes
            let pool = try HugeTLBPool.size(ofPagesOf: size)
            guard let before = settings.original(pool) else {
                throw ExperimentError.unexpected("\(pool) is not among the settings guarded")
            }
            try settings.set(.optimizeVmemmap, to: kind == .on ? 1 : 0)
            let had = try pools()
            let there = Set(try kernel.hugePages().map(\.pfn))
            let isSteady = try pools() == had
            let counted = try MemmapCounts.current()
            try settings.set(pool, to: before + measurement.pages.rawValue)
            let now = try MemmapCounts.current()
            let have = try pools()
            // A page that was there before lies where it lay.
            let pages = try kernel.hugePages().filter { $0.size == size && !there.contains($0.pfn) }
            if pages.isEmpty { throw try ExperimentError.noneGiven(measurement.pages, of: measurement.pageSize) }
            let look = try kernel.look(at: pages, kind, pools: pools())
            try body(look)
            try settings.set(pool, to: before)
            let fall = counted.flatMap { counted in now.map { counted.total - $0.total } }
            let missed = isSteady ? look.missed(ofPagesOf: size, added: had, to: have) : nil
            return (look, fall, missed.map { HostHugePageCount($0) })
        }
    }

    // MARK: Parts

    /// Compares a huge page's vmemmap by address and by frame; nil if there is none that could be compared.
    private static func differingContents(_ look: VmemmapLook, _ kernel: KernelVmemmap) throws -> PageCount? {
        guard let view = look.sample else { return nil }
        let (compared, differing) = try kernel.compareContents(of: view)
        return compared > 0 ? PageCount(differing) : nil
    }

    /// An emulated huge page of the same size under the same scheme; nil where there is no optimized one to set it
    /// beside.
    private static func emulated(_ scheme: Scheme?, _ look: VmemmapLook?) throws -> PageTablesBlock.Emulated? {
        guard let scheme, let view = look?.sample, case .optimized = view.state,
            let size = HugePageSize(bytes: view.size)
        else { return nil }
        let plan = try EmulatedMemory(pages: HugePageCount(1), pageSize: size, scheme: scheme).planOnThisHost()
        let region = try VmemmapRegion(plan)
        let page = HugePageIndex(0)
        let before = try FramePicture.take(page, in: region.layout)
        try region.optimize(region.layout.allHugePages)
        _ = region.visitEveryStructPage()
        return PageTablesBlock.Emulated(
            before: before, after: try FramePicture.take(page, in: region.layout),
            differingPages: PageCount(try VmemmapShape(page, of: region).differences(from: VmemmapShape(view))))
    }

    private static func pools() throws(HostError) -> [VmemmapLook.Pool] {
        (try HugeTLBPool.all() ?? []).compactMap { pool in
            pool.pages.map { .init(size: pool.pageSize, pages: $0.rawValue) }
        }
    }

    private static var kernel: String {
        guard let host = try? HostDescription.current() else { return "Linux" }
        return "Linux \(host.kernelRelease) \(host.machine)"
    }

    private static func converting<Value>(_ body: () throws -> Value) throws(ExperimentError) -> Value {
        try ExperimentError.wrapping {
            do {
                return try body()
            } catch let error as KernelMemoryError {
                throw ExperimentError(error)
            }
        }
    }
}

extension ExperimentError {
    /// The error for a kernel whose memory is not read.
    init(_ error: KernelMemoryError) {
        if case .notSupported(let what) = error {
            self = .notSupported(what)
        } else if error.isUnavailable {
            self = .notSupported("\(error)" + (error.remedy.map { ": \($0)" } ?? ""))
        } else if case .host(let cause) = error {
            self = .host(cause)
        } else {
            self = .refused("\(error)")
        }
    }
}
