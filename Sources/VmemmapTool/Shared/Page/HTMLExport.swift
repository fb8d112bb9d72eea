import FoundationEssentials
import HostMemory

/// A result as one page for a browser or a printer: its own figures first, then every table. It loads nothing, runs
/// nothing, and is well-formed XML too.
enum HTMLExport {
    /// The text, with a newline at its end. The page is dated by this host's clock.
    static func text(_ result: some ExportableResult) -> String {
        text(result, date: Date.now.formatted(.iso8601.dateSeparator(.dash).timeSeparator(.colon)))
    }

    static func text(_ result: some ExportableResult, date: String) -> String {
        let command = "\(Tool.name) \(type(of: result).command)"
        let content = result.html
        let page = Markup.element(
            "html", ["lang": "en", "xmlns": "http://www.w3.org/1999/xhtml"],
            [
                head("\(command): \(content.subject)"),
                .element(
                    "body", [:],
                    [
                        .element("header", [:], header(result, content, command)),
                        .element(
                            "main", [:],
                            (content.sections + (content.sources.isEmpty ? [idea, host(result.host)] : [])
                                + [tables(content.tables ?? result.allTables)]).map(\.markup)),
                        footer(command, date),
                    ]),
            ])
        return "<!DOCTYPE html>\n\(page.source)\n"
    }

    private static func head(_ title: String) -> Markup {
        .element(
            "head", [:],
            [
                .element("meta", ["charset": "utf-8"]),
                .element("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
                .element("meta", ["name": "color-scheme", "content": "light dark"]),
                // The browser enforces that it loads nothing.
                .element(
                    "meta",
                    [
                        "http-equiv": "Content-Security-Policy",
                        "content": "default-src 'none'; style-src 'unsafe-inline'",
                    ]),
                .element("title", [:], [Markup(title)]),
                .style(HTMLStyle.sheet),
            ])
    }

    private static func header(
        _ result: some ExportableResult, _ content: HTMLContent, _ command: String
    ) -> [Markup] {
        var parts: [Markup] = [
            .element("p", ["class": "command"], [Markup(command)]),
            .element("h1", [:], [Markup(content.subject)]),
        ]
        if !content.setting.isEmpty { parts.append(.element("p", ["class": "setting"], [Markup(content.setting)])) }
        parts += content.sources.isEmpty ? thisRun(on: result.host) : content.sources
        if let holds = result.verdict, let closing = result.closing {
            let mark = (holds ? "\u{2713} " : "\u{2717} ") + closing.capitalizedFirst + "."
            parts.append(
                .element(
                    "p", ["class": holds ? "verdict" : "verdict failed"],
                    [.element("strong", [:], [Markup(mark)]), " ", Markup(content.summary)]))
        } else if !content.summary.isEmpty {
            parts.append(.element("p", ["class": "verdict"], [Markup(content.summary)]))
        }
        parts += result.notes.map {
            .element(
                "p", ["class": result.verdict == false ? "note failed" : "note"], [Markup("\($0.capitalizedFirst).")])
        }
        if !content.highlights.isEmpty {
            parts.append(
                .element(
                    "dl", ["class": "highlights"],
                    content.highlights.map {
                        .element(
                            "div", [:],
                            [
                                .element("dt", [:], [Markup($0.label)]), .element("dd", [:], [Markup($0.value)]),
                            ])
                    }))
        }
        return parts
    }

    /// What every page is about, for those it is passed on to: after what was found.
    private static let idea = HTMLSection(
        id: "idea", title: "What HugeTLB vmemmap optimization is",
        body: [
            .paragraph(
                Markup(
                    "Linux keeps 64 bytes of struct page for each 4 KiB of memory. For a huge page nearly "
                        + "all of them say the same: \u{201c}my head is over there\u{201d}. HugeTLB vmemmap "
                        + "optimization maps the redundant ones to a shared frame, read-only, and gives the rest "
                        + "back. vmemmap does so in user space, on real memory, and measures it on the "
                        + "host\u{2019}s own page tables."))
        ])

    private static func thisRun(on host: HostBlock) -> [Markup] {
        let run = RunDescription.current
        return [
            .element("p", ["class": "host"], [Markup(PlanReport.host(host))]),
            .element(
                "p", ["class": "host"],
                [Markup("\(run.hostName), \(run.startedAt): "), .element("code", [:], [Markup(run.commandLine)])]),
        ]
    }

    private static func host(_ host: HostBlock) -> HTMLSection {
        let hidden = "not told by /proc"
        let facts = [
            ("kernel", "Linux \(host.kernelRelease), \(host.machine)"),
            ("base page", Format.bytes(host.pageSizeBytes)),
            ("processors", "\(host.processors)"),
            ("memory available before the run", host.memoryAvailableBytes.value.map { Format.bytes($0) } ?? hidden),
            (
                "vm.max_map_count",
                host.maxMapCount.value.map { Format.count($0.rawValue) } ?? PlanReport.mappingLimit(host)
            ),
            ("transparent huge pages", host.transparentHugePages.value ?? "not told by /sys"),
            ("run by", host.isRoot ? "root" : "an ordinary user"),
            (
                "frame numbers",
                host.countingMethod == .pfn ? "visible" : "hidden: frames are told apart by file and offset"
            ),
            ("a mapping costs", "\(host.mappingCostBytes.rawValue) bytes (\(host.mappingCostSource.rawValue))"),
        ]
        return HTMLSection(
            id: "host", title: "The host",
            body: [
                .element(
                    "dl", ["class": "facts"],
                    facts.map {
                        .element("div", [:], [.element("dt", [:], [Markup($0)]), .element("dd", [:], [Markup($1)])])
                    })
            ])
    }

    private static func tables(_ tables: [ExportTable]) -> HTMLSection {
        HTMLSection(
            id: "tables", title: "Every figure",
            body: [
                .paragraph(
                    "The tables of the other exports, in units for people. A dash: nothing was there to measure.")
            ] + tables.filter { !$0.rows.isEmpty }.map { HTMLTable($0).markup })
    }

    private static func footer(_ command: String, _ date: String) -> Markup {
        .element(
            "footer", [:],
            [
                .paragraph("Made by \(command) \(Tool.version), \(date). One file: it loads nothing and runs nothing.")
            ])
    }
}
