import HostLab
import HostMemory
import KernelMemory
import VmemmapEmulator

/// What the kernel's page tables show, for people.
enum PageTablesReport {
    /// The report of `--page-tables` and what goes with it, line by line.
    static func lines(_ result: KernelResult, _ block: PageTablesBlock, _ style: Style = .plain) -> [String] {
        let title = ["vmemmap kernel: the page tables of \(block.kernel), \(source(block))", ""]
        var lines = style.wrapped(title + PageTablesReport.evidence(block)) + [""]
        lines += table(block, style) + [""]
        lines += pictures(block, style)
        if let scheme = block.scheme.value {
            lines += style.wrapped(["note  told by what was found, not by the version: the \(scheme.rawValue) scheme"])
        }
        return lines + Check.lines(result.checks, style)
    }

    /// What `vmemmap kernel` says of them under the pools.
    static func summary(_ block: PageTablesBlock, _ style: Style) -> [String] {
        if let refusal = block.refusal.value {
            let remedy = refusal.remedy.value.map { "; what allows it: \($0)" } ?? ""
            return ["", "page tables  not readable: \(refusal.reason)\(remedy)"].flatMap { style.wrapped([$0]) }
        }
        return style.wrapped(["", "page tables  \(source(block))", ""]) + table(block, style)
            + style.notes([
                "By the kernel's page tables. Optimized: the tails show one read-only frame. Split: every frame is "
                    + "there, not all by PMD.",
                "Whole: every frame, by PMD. Freed: vmemmap pages less frames, page tables not taken off.",
            ])
    }

    static func source(_ block: PageTablesBlock) -> String {
        switch block.source.value {
        case "bpf": "read by a BPF program"
        case "kcore": "read from /proc/kcore"
        case "recording": "read from a recording"
        default: "not read"
        }
    }

    static func evidence(_ block: PageTablesBlock) -> [String] {
        block.evidence.map { "\($0.what)  \($0.address): \($0.ways.joined(separator: "; "))" }
    }

    private static func table(_ block: PageTablesBlock, _ style: Style) -> [String] {
        PageTablesBlock.hugetlbTable(block, showsPools: true).lines(style)
    }

    // MARK: Pictures

    private static func pictures(_ block: PageTablesBlock, _ style: Style) -> [String] {
        let kernel = block.looks.compactMap { look in
            look.picture.value.map { picture in
                ("\(title(look.kind)): \(picture.state.rawValue)", FrameDrawing(picture), picture)
            }
        }
        guard let last = kernel.last?.2 else { return style.wrapped(["no huge page to draw", ""]) }
        var lines = style.wrapped([Self.line(last)]) + [""]
        lines += beside(kernel.map { ($0.0, $0.1) }, style) + [""]
        if let emulated = block.emulated.value, let scheme = block.scheme.value {
            lines += style.wrapped(["emulated, \(scheme.rawValue) scheme"]) + [""]
            lines +=
                beside(
                    [
                        ("before", FrameDrawing(emulated.before, protections: emulated.before.protections)),
                        ("after", FrameDrawing(emulated.after, protections: emulated.after.protections)),
                    ], style) + [""]
        }
        return lines
    }

    static func line(_ picture: KernelPicture) -> String {
        "huge page at frame 0x\(String(picture.pfn, radix: 16)), \(Format.bytes(picture.hugePageBytes)): "
            + "\(Format.count(picture.pages.rawValue, "vmemmap page")) in "
            + "\(Format.count(picture.frames.rawValue, "frame")), "
            + "\(Format.count(picture.readOnlyPages.rawValue)) read-only"
    }

    private static func title(_ kind: LookKind) -> String {
        switch kind {
        case .existing, .page: "as it is"
        case .off: "HVO off"
        case .on: "HVO on"
        }
    }

    private static func beside(_ drawings: [(String, FrameDrawing)], _ style: Style) -> [String] {
        if drawings.count == 2 {
            let lines = FrameDrawing.beside(drawings[0].1, drawings[0].0, drawings[1].1, drawings[1].0)
            if lines.allSatisfy({ $0.count + 2 <= style.width ?? .max }) { return lines.map { "  " + $0 } }
        }
        return drawings.map { [$0.0] + $0.1.lines }.joined(separator: [""]).map { "  " + $0 }
    }
}

extension FrameDrawing {
    /// Draws one of the kernel's huge pages, with its protections.
    init(_ picture: KernelPicture) {
        self.init(picture.drawn, protections: picture.vmemmapPages.map(\.isWritable))
    }
}

extension FramePicture {
    /// Whether each of its vmemmap pages is writable.
    var protections: [Bool] { vmemmapPages.map { $0.place.value?.isWritable ?? false } }
}
