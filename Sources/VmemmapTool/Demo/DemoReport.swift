import HostMemory
import VmemmapEmulator

/// A demo's result for people.
enum DemoReport {
    /// The report, line by line.
    static func lines(_ result: DemoResult, _ style: Style = .plain) -> [String] {
        let plan = result.plan
        var lines = style.wrapped(["vmemmap demo: \(PlanReport.title(plan))"]) + [""]
        lines += style.wrapped(PlanReport.lines(result.host) + PlanReport.lines(plan)) + [""]
        lines += picture(result, style) + [""]
        lines += table(result, style) + [""]
        lines += PMDMappedReport.lines(result.plan, result.steps.map { ($0.step, $0.figures) }, style)
        // With a table more, what explains the first one would take a second screen.
        if plan.mapping == .pte || style.isVerbose { lines += style.notes(whyRSSRises(result)) + [""] }
        lines += proofs(result, style)
        return lines
    }

    private static func picture(_ result: DemoResult, _ style: Style) -> [String] {
        let title = PlanReport.picture(result.after, result.plan)
        let (before, after) = (FrameDrawing(result.before), FrameDrawing(result.after))
        let beside = FrameDrawing.beside(before, "before", after, "after")
        let fits = beside.allSatisfy { $0.count + 2 <= style.width ?? .max }
        let drawing = fits ? beside : ["before"] + before.lines + ["", "after"] + after.lines
        return style.wrapped([title]) + [""] + drawing.map { "  " + $0 }
    }

    private static func table(_ result: DemoResult, _ style: Style) -> [String] {
        var table = TextTable(headings: [
            "", "RSS\nKiB", "PSS\nKiB", "distinct\nframes", "memfd\nKiB", "tables\nKiB", "mappings", "cost\nKiB",
            "time",
        ])
        for step in result.steps {
            let figures = step.figures
            table.add([
                step.step.rawValue, text(figures.rssBytes), text(figures.pssBytes),
                figures.distinctFrames.value.map { "\($0)" } ?? "-", text(figures.memfdBytes),
                ByteText.kibibytes(figures.pageTableBytes), "\(figures.mappings)",
                ByteText.kibibytes(figures.mappingCostBytes),
                step.durationNanoseconds.value.map { DurationText.short(nanoseconds: $0) } ?? "-",
            ])
        }
        let method = result.countingMethod == .pfn ? "frame numbers" : "file offsets"
        return table.lines(style)
            + style.notes([
                "RSS, PSS: smaps_rollup. Distinct frames: the region's pagemap, by \(method).",
                "memfd: st_blocks. Page tables: VmPTE. Mappings: /proc/self/maps. Dash: none.",
            ])
    }

    private static func text(_ bytes: Measured<ByteCount>) -> String {
        bytes.value.map(ByteText.kibibytes) ?? "-"
    }

    /// Why RSS is no measure, with the figures of this run.
    static func whyRSSRises(_ result: DemoResult) -> [String] {
        guard let optimized = result.figures(.optimized), let touched = result.figures(.touched),
            let rss = change(optimized.rssBytes, touched.rssBytes),
            let pss = change(optimized.pssBytes, touched.pssBytes),
            let framesBefore = optimized.distinctFrames.value, let framesAfter = touched.distinctFrames.value
        else {
            return ["This kernel has no smaps_rollup, so there is no RSS to compare (Linux 4.14 has it)."]
        }
        return [
            "Why RSS is no measure: it counts page table entries, not frames. Optimizing took",
            "the tails' entries away; a walker that read every tail brought them back, and",
            "RSS went \(rss). The frames behind the region were",
            "\(CountText.grouped(framesBefore.rawValue)) before it and \(CountText.grouped(framesAfter.rawValue)) after: "
                + "what was given back stayed given back. PSS,",
            "which shares a frame out, went \(pss): the shared frames.",
        ]
    }

    private static func change(_ before: Measured<ByteCount>, _ after: Measured<ByteCount>) -> String? {
        guard let before = before.value, let after = after.value else { return nil }
        return "from \(ByteText.short(before)) to \(ByteText.short(after))"
    }

    private static func proofs(_ result: DemoResult, _ style: Style) -> [String] {
        var lines = result.proofs.flatMap { proof -> [String] in
            let head = style.wrapped([style.mark(proof.holds.value) + sentence(proof, result)])
            return proof.holds.value == true && !style.isVerbose ? head : head + style.wrapped(figures(proof, style))
        }
        lines.append(style.verdict(result.holds, verdict(result)))
        return lines
    }

    private static func verdict(_ result: DemoResult) -> String {
        let all = result.proofs.count
        let failed = result.proofs.count { $0.holds.value == false }
        let unmeasured = result.proofs.count { $0.holds.value == nil }
        if failed > 0 { return "\(failed) of \(all) proofs do not hold" }
        return unmeasured > 0
            ? "\(all - unmeasured) of \(all) proofs hold, the rest could not be measured" : "all \(all) proofs hold"
    }

    /// A claim with its figures.
    static func sentence(_ proof: Proof, _ result: DemoResult) -> String {
        func measured(_ name: String) -> String {
            proof.figures.first { $0.name == name }?.measured.value.map { CountText.grouped($0) } ?? "?"
        }
        func expected(_ name: String) -> String {
            proof.figures.first { $0.name == name }?.expected.value.map { CountText.grouped($0) } ?? "?"
        }
        switch proof.claim {
        case .distinctFrames:
            return "distinct frames: \(expected("distinct_frames")) expected, \(measured("distinct_frames")) measured"
        case .sharedFrames:
            return "memfd bytes: \(expected("memfd_bytes")) expected, \(measured("memfd_bytes")) measured; "
                + "\(measured("anonymous_pages")) pages anonymous"
        case .tailStoreFaults:
            return
                "stores into tails: \(measured("stores")) tried, \(measured("faulting_stores")) faulted (SEGV_ACCERR)"
        case .tailStaysReadOnly:
            return
                "making tails writable: \(measured("mprotects")) tried, \(measured("refused_mprotects")) refused (EACCES)"
        case .walkersReadRight:
            return "\(CountText.of(result.configuration.walkers, "walker")): \(measured("reads")) reads during "
                + "\(measured("cycles")) optimize/restore cycles, \(measured("wrong_reads")) wrong"
        case .contentsUnchanged:
            return "contents after restore: \(measured("compared_bytes")) bytes compared, "
                + "\(measured("differing_vmemmap_pages")) vmemmap pages differ"
        case .figuresBack:
            return
                "back at the baseline: \(measured("distinct_frames")) frames, \(measured("memfd_bytes")) bytes of memfd, "
                + "\(measured("region_mappings")) mappings left"
        case .pmdMapped:
            return "PMD-mapped region: \(measured("blocks_mapped_by_pmd_populated")) mapped by PMD, "
                + "\(measured("blocks_marked_split_optimized")) split, "
                + "\(measured("blocks_mapped_by_pmd_restored")) merged again (gigantic pages only)"
        }
    }

    /// The figures that do not hold, or all of them, and how they were measured.
    private static func figures(_ proof: Proof, _ style: Style) -> [String] {
        proof.figures.filter { style.isVerbose || $0.holds != true }.map {
            "        \($0.name): expected \($0.expected.value.map { "\($0)" } ?? "more than 0"), "
                + ($0.measured.value.map { "measured \($0)" } ?? "not measured")
        } + ["        \(proof.method)"]
    }
}
