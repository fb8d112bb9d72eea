import ArgumentParser
import HostLab
import HostMemory
import VmemmapEmulator

// `vmemmap pool --beside-kernel` and `vmemmap pool --random`.
extension PoolCommand {
    /// A script on both sides, or sequences that are drawn.
    func runBeside(_ exports: Exports, _ host: HostBlock) throws {
        guard besideKernel else {
            let comparison = try told { try runRandom(exports, PlainPools(.head), .head, [], hasGigantic: true) }
            try finish(comparison, exports, host)
            return
        }
        guard let version = KernelVersion(release: host.kernelRelease) else {
            Output.error("not supported here: the kernel's release, \(host.kernelRelease), has no version in it")
            throw ExitCode.notSupported
        }
        let script = random == nil ? try readScript(version) : nil
        let signals = try SignalPutBack()
        let pools = try runOrExit { () throws(ExperimentError) in try HostPools() }
        defer { try? pools.putBack() }
        try signals.watch([pools.changes])
        let listed = KernelDifference.all(of: version)
        let comparison = try told {
            try signals.unlessEnding {
                try pools.tryOne()
                if let script { return try runScript(script, pools, signals, listed, exports, host) }
                let hasGigantic = try Self.share() >= RandomPool.memory
                return try runRandom(exports, pools, version.scheme, listed, hasGigantic: hasGigantic)
            }
        }
        try runOrExit { () throws(ExperimentError) in try pools.putBack() }
        try finish(comparison, exports, host)
    }

    private func finish(_ comparison: PoolComparison, _ exports: Exports, _ host: HostBlock) throws {
        try exports.finish(PoolResult(host: host, script: scriptName, lines: [], comparison: comparison))
        terminal.terminal.print(exports) { [""] + Check.lines(comparison.checks, $0) }
        if !comparison.checks.holds { throw ExitCode.violation }
    }

    /// A line that could not be carried out at all.
    private struct LineFailure: Error {
        let number: Int
        let error: PoolSessionError
    }

    /// Says why a comparison could not be made, once it is known that no signal has ended it.
    private func told(_ compare: () throws -> PoolComparison) throws -> PoolComparison {
        do {
            return try compare()
        } catch let error as ExperimentError {
            return try runOrExit { () throws(ExperimentError) in throw error }
        } catch let failure as LineFailure {
            throw failure.error.exitCode(script: scriptName, line: failure.number)
        }
    }

    /// What the script is called.
    var scriptName: String {
        if random != nil { return "random sequences" }
        return file == nil || file == "-" ? "standard input" : file ?? ""
    }

    /// Half of the host's available memory is what the pools may take.
    private static func share() throws(ExperimentError) -> ByteCount {
        do throws(HostError) {
            return ByteCount(try HostLimits.hostAvailableMemory().rawValue / 2)
        } catch {
            throw .host(error)
        }
    }

    // MARK: A script

    /// Reads all of it. Exits where a line is no statement, or cannot be done on the host.
    private func readScript(_ version: KernelVersion) throws -> BesideScript {
        let source = try ScriptSource(file)
        var texts: [String] = []
        while let line = try source.nextLine() { texts.append(line) }
        let script: BesideScript
        do throws(BesideScriptError) {
            script = try BesideScript(
                texts, scheme: version.scheme, nodes: HugeTLBPool.nodesWithMemory()?.count ?? 1)
        } catch {
            throw PoolSessionError.script(error.error).exitCode(script: scriptName, line: error.number)
        }
        for refusal in script.refusals {
            Output.error("\(scriptName):\(refusal.number): \(refusal.statement): \(refusal.reason)")
        }
        if !script.refusals.isEmpty {
            let count = Format.count(script.refusals.count, "line")
            Output.error(
                "not supported here: \(count) of \(scriptName) cannot be done on the host's own pool; leave out what "
                    + "is named above, or run the script without --beside-kernel")
            throw ExitCode.notSupported
        }
        try checkMemory(script)
        return script
    }

    /// Neither side may run out of memory: that would be no difference between the two.
    private func checkMemory(_ script: BesideScript) throws {
        let share = try runOrExit { () throws(ExperimentError) in try Self.share() }
        let needed = script.mostBytes()
        let asked = needed.map { Format.bytes($0) } ?? "more memory than can be counted"
        guard let needed, needed <= share else {
            Output.error(
                "\(scriptName) asks for pools of \(asked), but the comparison takes at most half of the host's "
                    + "available memory, \(Format.bytes(share)); ask for fewer huge pages, or free memory")
            throw ExitCode.shortage
        }
        guard let memory = script.memory, needed > memory else { return }
        Output.error(
            "\(scriptName) asks for pools of \(asked), but the machine that it boots has \(Format.bytes(memory)), and "
                + "the host has more; say memory=\(needed.argument) or more")
        throw ExitCode.shortage
    }

    private func runScript(
        _ script: BesideScript, _ pools: HostPools, _ signals: SignalPutBack, _ listed: [KernelDifference],
        _ exports: Exports, _ host: HostBlock
    ) throws -> PoolComparison {
        terminal.terminal.print(exports) { BesideReport.heading(script, listed, host.kernelRelease, $0) }
        let run = BesideRun(pools, listed: listed)
        var lines: [BesideOutcome] = []
        for line in script.lines {
            // What a signal has done away with is no difference.
            let outcome = try signals.unlessEnding { () throws(LineFailure) in
                try at(line.number) { () throws(PoolSessionError) in try run.run(line) }
            }
            terminal.terminal.print(exports) { BesideReport.lines(outcome, said: run.said, $0) }
            for difference in outcome.differences { Output.error("\(scriptName):\(line.number): \(difference)") }
            lines.append(outcome)
        }
        try at(script.lines.last?.number ?? 0) { () throws(PoolSessionError) in try run.finish() }
        return PoolComparison(peer: "kernel", lines: lines, random: .notMeasured)
    }

    private func at<Value>(_ number: Int, _ body: () throws(PoolSessionError) -> Value) throws(LineFailure) -> Value {
        do throws(PoolSessionError) { return try body() } catch { throw LineFailure(number: number, error: error) }
    }

    // MARK: Sequences

    private func runRandom(
        _ exports: Exports, _ peer: any PoolPeer, _ scheme: Scheme, _ listed: [KernelDifference], hasGigantic: Bool
    ) throws -> PoolComparison {
        let asked = random ?? 0
        let seed = self.seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let pool = RandomPool(BesideRun(peer, listed: listed), scheme: scheme, hasGigantic: hasGigantic)
        let progress = terminal.terminal.progress()
        defer { progress.clear() }
        var found: Set<String> = []
        var (run, skipped) = (0, 0)
        var difference: (sequence: RandomPool.Sequence, shrunk: RandomPool.Sequence?)?
        let start = HostKernel.monotonicNanoseconds()
        var nanoseconds = 0
        while run < asked, difference == nil {
            progress.show(.count("random", run, of: asked, unit: "sequences"))
            let steps = pool.draw(seed, run)
            let outcome = try at(run + 1) { () throws(PoolSessionError) in try pool.runIfPossible(steps) }
            run += 1
            guard let sequence = outcome else {
                skipped += 1
                continue
            }
            nanoseconds = HostKernel.monotonicNanoseconds() - start
            found.formUnion(sequence.listed)
            if sequence.differences.isEmpty { continue }
            difference = (sequence, try at(run) { () throws(PoolSessionError) in try pool.shrink(steps) })
        }
        let outcome = RandomOutcome(
            seed: seed, sequencesAsked: asked, sequencesRun: run, sequencesSkipped: skipped, linesRun: pool.linesRun,
            durationNanoseconds: nanoseconds, hasGiganticPages: hasGigantic, listed: found.sorted(),
            difference: Measured(
                difference.map { sequence, shrunk in
                    RandomOutcome.Difference(
                        script: (shrunk ?? sequence).script, linesDrawn: sequence.script.count - 1,
                        isRepeated: shrunk != nil, differences: (shrunk ?? sequence).differences)
                }))
        progress.clear()
        terminal.terminal.print(exports) { BesideReport.lines(outcome, beside: peer.name, $0) }
        return PoolComparison(
            peer: besideKernel ? "kernel" : "plain-pools", lines: [], random: .value(outcome))
    }
}
