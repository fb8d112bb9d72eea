import ArgumentParser
import Foundation
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("Manual pages, and what shells complete")
struct ManualTests {
    private static func page(_ name: String) throws -> [String] {
        let page = try ManualPage.all().first { $0.fileName == name }
        return try #require(page).text(date: "2026-11-28")
    }

    /// The lines below a section's title.
    private static func section(_ title: String, _ lines: [String]) -> [String] {
        Array(lines.drop { $0 != ".SH \(title)" }.dropFirst().prefix { !$0.hasPrefix(".SH ") })
    }

    @Test("There is one for each subcommand of the help, for the whole, and for the language of scripts")
    func names() throws {
        let names = try ManualPage.all().map(\.fileName)
        let commands = ["demo", "hold", "inspect", "pool", "savings", "plan", "bench", "kernel", "stress", "compare"]
        #expect(Set(names) == Set(["vmemmap.1", "vmemmap-pool.5"] + commands.map { "vmemmap-\($0).1" }))
        #expect(names.count == Set(names).count)
    }

    @Test("Each option stands there once, with its values and its default")
    func options() throws {
        let page = try Self.page("vmemmap-stress.1")
        let options = Self.section("OPTIONS", page)
        #expect(options.filter { $0.hasPrefix("\\fB\\-\\-scheme\\fR") } == ["\\fB\\-\\-scheme\\fR \\fIscheme\\fR"])
        #expect(options.contains("Values: first\\-tail, head, shared\\-tail, all."))
        #expect(options.contains("Default: 60s."))
        #expect(!options.contains { $0.contains("as\\-node") })
        #expect(Self.section("EXAMPLES", page).contains { $0.hasPrefix("vmemmap stress \\-\\-duration 10m") })
        #expect(!Self.section("DESCRIPTION", page).contains { $0.contains("Example") })
        #expect(Self.section("ENVIRONMENT", page).contains("\\fBNO_COLOR\\fR"))
    }

    @Test("What each command ends with: its page, its help and the article say the same, and no more than it does")
    func exitStatus() async throws {
        let article = try Repository.text(of: "Sources/VmemmapEmulator/Documentation.docc/CommandReference.md")
        for status in ExitStatus.common { #expect(article.contains("| \(status.code) | \(status.meaning) |\n")) }
        for (command, statuses) in ExitStatus.special {
            for status in statuses {
                #expect(article.contains("| `\(command)` | \(status.code) | \(status.meaning) |\n"), "\(command)")
            }
        }
        let special = ExitStatus.special.map(\.statuses.count).reduce(0, +)
        #expect(article.split(separator: "\n").count { $0.firstMatch(of: /^\| `.+` \| \d+/) != nil } == special)
        for command in try CommandDescription.whole().shownSubcommands.map(\.commandName) {
            let page = Self.section("EXIT STATUS", try Self.page("vmemmap-\(command).1"))
            let statuses = ExitStatus.all(of: command)
            let items = statuses.flatMap {
                [".TP", ManualText.bold($0.code), ManualText.escaped("\($0.meaning.capitalizedFirst).")]
            }
            #expect(page == items, "\(command)")
            let help = try await Command.run(["\(command)", "--help"]).output.split(whereSeparator: \.isWhitespace)
            #expect(help.joined(separator: " ").contains(ExitStatus.help(command)), "\(command)")
            // What a run has ended with, it says; and a failed check, if a run can have one.
            let codes = Set(statuses.map(\.code))
            let reached = ExitCodeTests.cases.filter { $0.arguments[0] == command }.map { "\($0.code)" }
            #expect(codes.isSuperset(of: reached), "\(command)")
            #expect(codes.contains("2") == (command != "plan"))
        }
    }

    @Test("Text is no request of roff's, whatever it begins with, and prints as it is written")
    func escapes() {
        var page = ManualText(name: "a", section: 1, date: "2026-11-28", title: "T")
        page.text(".SH no section\n'br no request\n\nback\\slash, ~, ^, `, \"")
        let text = [
            "\\&.SH no section", "\\(aqbr no request", ".PP", "back\\eslash, \\(ti, \\(ha, \\(ga, \\(dq",
        ]
        #expect(Array(page.lines.dropFirst(3)) == text)
    }

    @Test("The language of scripts in words has every word that is read, and no other")
    func language() throws {
        let unknown = #expect(throws: PoolScriptError.self) { try PoolScript.parse("frobnicate") }
        let words = try #require(unknown).expected.dropFirst("one of ".count)
        #expect(Set(words.split(separator: ", ")) == Set(PoolLanguage.lines.map(\.name)))
        for word in PoolLanguage.bootWords where word.name != "memory" {
            // A value that none has: the word itself is known then.
            let error = #expect(throws: PoolScriptError.self) { try PoolScript.parse("boot memory=1G \(word.name)=?") }
            #expect(error?.found == "'?'", "\(word.form)")
        }
        for outcome in PoolLanguage.outcomes {
            #expect(try PoolScript.parse("expect \(outcome)") == .expectOutcome(outcome))
        }
        for line in PoolLanguage.example { #expect(try PoolScript.parse(line[...]) != nil) }
    }

    @Test("The first of a boot word's values is what holds without it")
    func defaults() throws {
        let plain = try PoolScript.parse("boot memory=4G")
        for word in PoolLanguage.bootWords where word.form.contains("|") && !word.name.contains("hugepagesz") {
            let value = word.form.dropFirst(word.name.count + 1).prefix { $0 != "|" }
            #expect(try PoolScript.parse("boot memory=4G \(word.name)=\(value)") == plain, "\(word.form)")
        }
    }

    @Test("The article on scripts has every line and every word of boot")
    func article() throws {
        let article = try Repository.text(of: "Sources/VmemmapEmulator/Documentation.docc/RunPoolScripts.md")
        for line in PoolLanguage.lines { #expect(article.contains("`\(line.name)"), "\(line.form)") }
        for word in PoolLanguage.bootWords { #expect(article.contains("`\(word.name)="), "\(word.form)") }
    }

    @Test("A shell completes every option that has values, and files where a file is meant")
    func completions() async throws {
        let help = try await Command.run(["--experimental-dump-help"])
        let whole = try #require(try JSONSerialization.jsonObject(with: Data(help.output.utf8)) as? [String: Any])
        let command = try #require(whole["command"] as? [String: Any])
        let subcommands = try #require(command["subcommands"] as? [[String: Any]])
        var files = 0
        for subcommand in subcommands {
            for argument in subcommand["arguments"] as? [[String: Any]] ?? [] {
                let kind = (argument["completionKind"] as? [String: Any])?.keys.first
                let name = "\(subcommand["commandName"] ?? "") \(argument["valueName"] ?? "")"
                if argument["allValues"] != nil { #expect(kind == "list", "\(name)") }
                let option = (argument["preferredName"] as? [String: Any])?["name"] as? String
                if ["page-size", "base-page"].contains(option), argument["shouldDisplay"] as? Bool == true {
                    #expect(kind == "list", "\(name)")
                    #expect((argument["abstract"] as? String)?.contains("16") == true || argument["allValues"] != nil)
                }
                guard (argument["valueName"] as? String)?.hasPrefix("FILE") == true else { continue }
                #expect(kind == "file", "\(name)")
                files += 1
            }
        }
        #expect(files > 40)
    }
}
