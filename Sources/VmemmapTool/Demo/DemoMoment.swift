import HostMemory
import VmemmapEmulator

/// What a step of the demo has changed, for those who look at one after the other.
struct DemoMoment {
    /// The step that has just been taken.
    let step: Step
    /// What was planned.
    let plan: PlanBlock
    /// The figures before it.
    let before: MemoryFigures
    /// The figures after it.
    let after: MemoryFigures
    /// The huge page in the middle, as it is now.
    let picture: FramePicture

    /// The steps that are told of, in order.
    static let steps: [Step] = [.populated, .optimized, .touched, .restored]

    /// Its place among ``steps``, from 1.
    var number: Int { (Self.steps.firstIndex(of: step) ?? 0) + 1 }

    /// The step in two sentences, the drawing, and the figures that are no longer what they were.
    func lines(_ style: Style) -> [String] {
        let title = "step \(number) of \(Self.steps.count): \(step.rawValue)"
        let drawing = FrameDrawing(picture).lines.map { "  " + $0 } + style.notes(FrameLetters.note([picture]))
        return [""] + style.wrapped([title, "", explanation, ""]) + drawing + [""] + changes(style)
    }

    private var explanation: String {
        switch step {
        case .baseline: ""
        case .populated:
            "Every huge page has its vmemmap: \(plan.vmemmapPagesPerHugePage.rawValue) pages of struct pages, each in "
                + "a frame "
                + "of its own. So it is in the kernel without the optimization."
        case .optimized:
            "All tails of a huge page say the same, \u{22}my head is over there\u{22}, so that "
                + "\(plan.freedPagesPerHugePage.rawValue) of its vmemmap pages can show a shared frame, read-only. "
                + "The frames "
                + "that they had went back to the host."
        case .touched:
            "A walker has read every struct page, through the shared frames too, and found every head. RSS counts the "
                + "page table entries that this brought back; the frames, which are the memory, stayed as few."
        case .restored:
            "Every vmemmap page got a frame of its own again, filled before it was put in place, so that no reader saw "
                + "it half done. So the kernel does before it gives a huge page back."
        }
    }

    private func changes(_ style: Style) -> [String] {
        func bytes(_ value: Measured<ByteCount>) -> String? { value.value.map { Format.bytes($0) } }
        func count(_ value: Int?) -> String? { value.map { Format.count($0) } }
        let figures: [(name: String, of: (MemoryFigures) -> String?)] = [
            ("frames behind the region", { count($0.distinctFrames.value?.rawValue) }),
            ("the file of shared frames", { bytes($0.memfdBytes) }),
            ("mappings of the region", { count($0.regionMappings.value?.rawValue) }),
            ("page table entries", { count($0.regionPresentPages.value?.rawValue) }),
            ("RSS of the process", { bytes($0.rssBytes) }), ("PSS of the process", { bytes($0.pssBytes) }),
        ]
        var table = TextTable(headings: ["what changed", "before", "now"])
        for figure in figures {
            let (old, new) = (figure.of(before), figure.of(after))
            if old != new { table.add([figure.name, old ?? "-", new ?? "-"]) }
        }
        return table.lines(style)
    }
}

/// Called after each step of the demo.
typealias DemoMomentSink = (DemoMoment) throws(ExperimentError) -> Void
