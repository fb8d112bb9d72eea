import HostMemory

/// Memory over time: RSS and PSS of the process as sampled, distinct frames of the region as counted after each step, the steps
/// marked.
enum TimelineFigure {
    /// The figure; nil where nothing was sampled.
    static func figure(_ timeline: MemoryTimeline) -> Figure? {
        guard timeline.samples.count > 1 else { return nil }
        let steps = timeline.steps.map { span in
            "\(span.step.rawValue) \(DurationText.short(nanoseconds: span.endNanoseconds - span.startNanoseconds))"
        }
        return Figure(
            id: "memory", title: "Memory over time",
            description: "RSS and PSS of the process and distinct frames of the region over "
                + "\(DurationText.short(nanoseconds: timeline.durationNanoseconds)). Steps: \(steps.joined(separator: ", ")).",
            caption: caption(timeline), draw: { draw(timeline, $0) })
    }

    private static func caption(_ timeline: MemoryTimeline) -> String {
        let statm = timeline.statmCost.meanNanoseconds.map { DurationText.short(nanoseconds: $0) } ?? "?"
        var text =
            "RSS (dashed): /proc/self/statm, every \(DurationText.short(nanoseconds: timeline.intervalNanoseconds)), "
            + "\(statm) a reading. "
        if let rollup = timeline.rollupCost.meanNanoseconds {
            text +=
                "PSS (solid): /proc/self/smaps_rollup, \(CountText.of(timeline.rollupCost.reads, "reading")) of "
                + "\(DurationText.short(nanoseconds: rollup)) each, at most a hundredth of the time, and one after each step. "
        }
        return text
            + "Both are of the whole process. Frames (dots): different frames behind the region, from pagemap after each "
            + "step; between the dots they were not counted. Shaded: the steps; between them, figures are read. A thread of its "
            + "own takes the samples, only when a page is asked for; what it costs the steps is in their times."
    }

    private static func draw(_ timeline: MemoryTimeline, _ layout: Figure.Layout) -> Drawing {
        let plot = Plot(timeline, layout)
        var drawing = Drawing(height: 316)
        plot.drawBands(&drawing)
        plot.drawAxes(&drawing)
        plot.drawSeries(&drawing)
        return drawing
    }
}

/// The chart's places.
private struct Plot {
    let timeline: MemoryTimeline
    let left: Double
    let right: Double
    let width: Double
    let top = 48.0
    let bottom = 272.0
    let memory: Axis
    let time: Axis

    init(_ timeline: MemoryTimeline, _ layout: Figure.Layout) {
        self.timeline = timeline
        width = layout.width
        left = layout == .wide ? 52 : 44
        right = layout.width - 58
        let bytes =
            timeline.samples.flatMap { [$0.rssBytes, $0.pssBytes.value ?? .zero] }
            + timeline.steps.compactMap(\.distinctFrameBytes.value)
        memory = .bytes(upTo: bytes.map(\.rawValue).max() ?? 1, count: 5)
        time = .nanoseconds(upTo: timeline.durationNanoseconds, count: layout == .wide ? 8 : 4)
    }

    func x(_ nanoseconds: Int) -> Double {
        left + (right - left) * min(1, max(0, Double(nanoseconds) / time.end))
    }

    func y(_ bytes: ByteCount) -> Double { bottom - (bottom - top) * Double(bytes.rawValue) / memory.end }

    /// The steps, shaded, under their names.
    func drawBands(_ drawing: inout Drawing) {
        let centers = timeline.steps.map { (x($0.startNanoseconds) + x($0.endNanoseconds)) / 2 }
        let places = LabelPlacement.spread(
            zip(centers, timeline.steps).map { ($0, Drawing.width(of: $1.step.rawValue) + 4) }, in: left...width)
        for (index, span) in timeline.steps.enumerated() {
            let start = x(span.startNanoseconds)
            let duration = DurationText.short(nanoseconds: span.endNanoseconds - span.startNanoseconds)
            drawing.rect(
                "band", start, top, max(1, x(span.endNanoseconds) - start), bottom - top,
                title: "\(span.step.rawValue): \(duration)")
            drawing.polyline("lead", [(places[index], 24), (centers[index], top - 8), (centers[index], top)])
            drawing.text("mid", places[index], 18, span.step.rawValue)
        }
    }

    func drawAxes(_ drawing: inout Drawing) {
        for tick in memory.ticks {
            let place = y(ByteCount(Int(tick.value)))
            drawing.line(tick.value == 0 ? "axis" : "grid", left, place, right, place)
            drawing.text("soft end", left - 8, place + 4.5, tick.label)
        }
        drawing.text("soft", 0, 18, memory.unit)
        for tick in time.ticks {
            let place = x(Int(tick.value))
            drawing.line("axis", place, bottom, place, bottom + 5)
            drawing.text("soft mid", place, bottom + 20, tick.label)
        }
        drawing.text("soft mid", (left + right) / 2, bottom + 40, "time, \(time.unit)")
    }

    func drawSeries(_ drawing: inout Drawing) {
        let rss = timeline.samples.map { ($0.nanoseconds, $0.rssBytes) }
        let pss =
            (timeline.samples.compactMap { sample in sample.pssBytes.value.map { (sample.nanoseconds, $0) } }
            + timeline.steps.compactMap { span in span.pssBytes.value.map { (span.endNanoseconds, $0) } })
            .sorted { $0.0 < $1.0 }
        let frames = timeline.steps.compactMap { span in
            span.distinctFrameBytes.value.map { (span.endNanoseconds, $0) }
        }
        drawing.curve("line rss", points(rss))
        drawing.curve("line pss", points(pss))
        drawing.curve("line frames", points(frames))
        for (span, place) in zip(timeline.steps, frames) {
            drawing.dot(
                "dot", x(place.0), y(place.1), radius: 3.5,
                title: "\(span.step.rawValue): \(ByteText.short(place.1)) of frames")
        }
        let names = [("RSS", "rss", rss), ("PSS", "pss", pss), ("frames", "frames", frames)]
            .compactMap { name, key, series in series.last.map { (name, key, y($0.1)) } }
            .sorted { $0.2 < $1.2 }
        let places = LabelPlacement.spread(names.map { ($0.2, 17) }, in: top...bottom + 8)
        for (name, place) in zip(names, places) { drawing.text(name.1, right + 8, place + 4.5, name.0) }
    }

    private func points(_ series: [(Int, ByteCount)]) -> [(x: Double, y: Double)] {
        series.map { (x($0.0), y($0.1)) }
    }
}
