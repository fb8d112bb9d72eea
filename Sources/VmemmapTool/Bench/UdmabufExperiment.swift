import HostMemory
import SystemPackage
import VmemmapEmulator

/// The engine beside dma-bufs, by alternating pairs in one run, on the same region in turn.
struct UdmabufExperiment {
    let plan: MappingPlan
    /// Counted pairs. One more, first, warms up and is looked at.
    let pairs: Int

    private static let path: FilePath = "/dev/udmabuf"

    /// One optimize, one first read of every page and one restore, in nanoseconds.
    private typealias Cycle = (optimize: Int, touch: Int, restore: Int)

    /// - Parameter isThrough: called after every pair, the warm-up too; false ends it with those there are.
    func run(isThrough: () -> Bool) throws -> UdmabufResult {
        let device = try HostKernel.open(Self.path, .readWrite)
        defer { try? HostKernel.close(device) }
        let region = try VmemmapRegion(plan)
        let baseline = try BaselineLoop(region)
        let all = region.layout.allHugePages
        let engine = Side(
            region: region, optimize: { try region.optimize(all, writers: .excluded) },
            restore: { try region.restore(all, writers: .excluded) })
        let peer = Side(
            region: region, optimize: { try baseline.optimize(byDMABufsOf: device) },
            restore: { try baseline.restore() })
        let mappings = (engine: try engine.check(), peer: try peer.check())
        _ = isThrough()
        let cycles = try PairedRuns.alternate(pairs, engine.cycle, peer.cycle, isThrough: isThrough)
        func runs(_ time: KeyPath<Cycle, Int>) -> PairedRuns {
            PairedRuns(
                cycles.map { .init($0.first[keyPath: time], $0.second[keyPath: time]) }, pages: plan.hugePages.rawValue)
        }
        return UdmabufResult(
            optimize: runs(\.optimize), firstTouch: runs(\.touch), restore: runs(\.restore),
            engineMappings: mappings.engine, udmabufMappings: mappings.peer)
    }

    /// Why there can be no such peer on this host; nil if there can.
    static func refusal() -> String? {
        do throws(HostError) {
            try HostKernel.close(HostKernel.open(path, .readWrite))
            return nil
        } catch {
            return reason(error)
        }
    }

    /// Why the device cannot be opened. Pure.
    static func reason(_ error: HostError) -> String {
        switch error.code {
        case .notSupported: "there is no \(path): the kernel has it with CONFIG_UDMABUF"
        case .notPermitted: "not permitted: only root may use \(path)"
        default: ErrorText.line(.host(error))
        }
    }

    /// One of the two.
    private struct Side {
        let region: VmemmapRegion
        let optimize: () throws -> Void
        let restore: () throws -> Void

        func cycle() throws -> Cycle {
            (try timed(optimize).nanoseconds, timed(touch).nanoseconds, try timed(restore).nanoseconds)
        }

        private func touch() {
            let range = region.range
            for offset in stride(from: 0, to: range.length.rawValue, by: HostLimits.pageSize.rawValue) {
                // SAFETY: the region is mapped readable from end to end as long as the object lives.
                _ = unsafe MemoryAccess.load(range.start + ByteCount(offset))
            }
        }

        /// Optimizes and restores once, and throws unless readers find every head, the file has the frames that the
        /// plan says, and all is back after it. Pagemap shows nothing of a dma-buf's frames, so they are not counted.
        func check() throws -> MappingCount {
            let plan = region.plan
            try optimize()
            let wrong = region.visitEveryStructPage().wrong
            let mappings = try ProcMaps.count(overlapping: region.range)
            try expectFile(plan.fileFrames(optimized: plan.hugePages), "optimized")
            try restore()
            try expectFile(plan.fileFrames(optimized: .zero), "restored")
            let difference = region.differencesFromPrepared().first
            guard wrong == 0, difference == nil else {
                throw ExperimentError.unexpected(
                    "beside dma-bufs: \(wrong) wrong heads, "
                        + (difference.map { "\($0) is not as it was built" } ?? "and all is back"))
            }
            return mappings
        }

        private func expectFile(_ frames: PageCount, _ state: String) throws {
            let (bytes, expected) = (try region.sharedFrameBytes(), frames.bytes(pageSize: HostLimits.pageSize))
            guard bytes == expected else {
                throw ExperimentError.unexpected(
                    "beside dma-bufs, \(state): a file of \(bytes.rawValue) bytes, not \(expected.rawValue)")
            }
        }
    }
}
