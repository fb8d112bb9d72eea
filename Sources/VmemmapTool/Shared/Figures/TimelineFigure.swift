import HostMemory

/// Memory over time: RSS and PSS of the process as sampled, distinct frames of the region as counted after each step,
/// the steps marked.
enum TimelineFigure {
    /// The figure; nil where nothing was sampled.
    static func figure(_ timeline: MemoryTimeline) -> Figure? {
        guard timeline.samples.count > 1 else { return nil }
        let figure = LineFigure(
            panels: [panel(timeline)], bands: timeline.steps.map(band),
            axis: .nanoseconds(upTo: timeline.durationNanoseconds, count: 8), axisName: "time",
            range: 0...Double(max(1, timeline.durationNanoseconds)))
        let steps = timeline.steps.map { span in
            "\(span.step.rawValue) \(Format.duration(nanoseconds: span.endNanoseconds - span.startNanoseconds))"
        }
        return Figure(
            id: "memory", title: "Memory over time",
            description: "RSS and PSS of the process and distinct frames of the region over "
                + "\(Format.duration(nanoseconds: timeline.durationNanoseconds)). Steps: "
                + "\(steps.joined(separator: ", ")).",
            caption: caption(timeline), draw: figure.draw)
    }

    private static func caption(_ timeline: MemoryTimeline) -> String {
        let statm = timeline.statmCost.meanNanoseconds.map { Format.duration(nanoseconds: $0) } ?? "?"
        var text =
            "RSS (dashed): /proc/self/statm, every \(Format.duration(nanoseconds: timeline.intervalNanoseconds)), "
            + "\(statm) a reading. "
        if let rollup = timeline.rollupCost.meanNanoseconds {
            text +=
                "PSS (solid): /proc/self/smaps_rollup, \(Format.count(timeline.rollupCost.reads, "reading")) of "
                + "\(Format.duration(nanoseconds: rollup)) each, at most a hundredth of the time, and one after each "
                + "step. "
        }
        return text
            + "Both are of the whole process. Frames (dots): different frames behind the region, from pagemap after "
            + "each step. Each line is drawn as it was until its next reading. Shaded: the steps; between them, "
            + "figures are read. A thread of its own takes the samples, only when a page is asked for; what it costs "
            + "the steps is in their times."
    }

    private static func band(_ span: MemoryTimeline.StepSpan) -> LineFigure.Band {
        let duration = Format.duration(nanoseconds: span.endNanoseconds - span.startNanoseconds)
        return LineFigure.Band(
            from: Double(span.startNanoseconds), to: Double(span.endNanoseconds), name: span.step.rawValue,
            title: "\(span.step.rawValue): \(duration)")
    }

    private static func panel(_ timeline: MemoryTimeline) -> LineFigure.Panel {
        func points(_ series: [(Int, ByteCount)]) -> [(x: Double, y: Double)] {
            series.map { (Double($0.0), Double($0.1.rawValue)) }
        }
        let rss = timeline.samples.map { ($0.nanoseconds, $0.rssBytes) }
        let pss =
            (timeline.samples.compactMap { sample in sample.pssBytes.value.map { (sample.nanoseconds, $0) } }
            + timeline.steps.compactMap { span in span.pssBytes.value.map { (span.endNanoseconds, $0) } })
            .sorted { $0.0 < $1.0 }
        let frames = timeline.steps.compactMap { span in
            span.distinctFrameBytes.value.map { (name: span.step.rawValue, end: span.endNanoseconds, bytes: $0) }
        }
        let most = (rss.map(\.1) + pss.map(\.1) + frames.map(\.bytes)).map(\.rawValue).max() ?? 1
        return LineFigure.Panel(
            name: "memory", axis: .bytes(upTo: most, count: 5),
            series: [
                LineFigure.Series(style: "rss", name: "RSS", points: points(rss)),
                LineFigure.Series(style: "pss", name: "PSS", points: points(pss)),
                LineFigure.Series(
                    style: "frames", name: "frames", points: points(frames.map { ($0.end, $0.bytes) }),
                    titles: frames.map { "\($0.name): \(Format.bytes($0.bytes)) of frames" }),
            ])
    }
}
