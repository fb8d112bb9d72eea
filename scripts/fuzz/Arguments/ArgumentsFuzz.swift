import ArgumentParser
import FuzzSupport
import HostMemory
import VmemmapEmulator
@testable import VmemmapTool

// Any words as the command's arguments: they are parsed and checked, or refused. What they ask for, however much, is
// planned on this host, or refused with a figure; nothing is mapped.

@main
enum ArgumentsFuzz {
    private static let seeds =
        [
            "demo\n--pages\n64\n--page-size\n1G\n--scheme\nhead\n--backing\nmemfd\n--walkers\n2\n--pmd-mapped",
            "demo\n--race\n--race-duration\n3\n--tail-frames\nauto\n--export-json\n-",
            "savings\n--memory\n128G\n--tail-frames\n7\n--scheme\nshared-tail\n--at-boot\n--dry-run",
            "plan\n--memory\n1T",
            "bench\n--pairs\n9\n--growth-from\n10\n--pages\n512\n--peers\nbaseline,ksm",
            "stress\n--duration\n10m\n--scheme\nall\n--faults\nall\n--seed\n7", "inspect\n--pages\n8", "kernel",
            "1500ms", "2h", "hold\n--touch\n--walkers\n0", "pool\nscript.pool",
            "2m",
            "auto", "9223372036854775807", "16383P",
        ]

    static func main() { unsafe FuzzSupport.run(seeds: seeds) { unsafe test($0, $1) } }
}

/// One input. libFuzzer's archive wants it by this name, too.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let text = unsafe FuzzSupport.text(bytes, count)
    let words = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for word in words { values(word) }
    // Reflection makes this three orders of magnitude slower than anything else here.
    if words.count > 1 { command(words) }
    return 0
}

/// Words as values.
private func values(_ word: String) {
    if let size = try? MemorySize.parse(word) {
        let again = try? MemorySize.parse("\(size.bytes)")
        FuzzSupport.require(size.bytes > .zero && again?.bytes == size.bytes, word)
    }
    if let size = HugePageSize(argument: word) {
        FuzzSupport.require(HugePageSize(argument: size.defaultValueDescription) == size, word)
    }
    if let run = try? TailFrames.parse(word) {
        FuzzSupport.require((try? TailFrames.parse(run.description)) == run, word)
    }
    if let time = try? RunTime.parse(word) {
        let milliseconds = time.nanoseconds / 1_000_000
        FuzzSupport.require((try? RunTime.parse("\(milliseconds)ms"))?.nanoseconds == time.nanoseconds, word)
    }
    if let number = try? WholeNumber.parse(word) {
        FuzzSupport.require((try? WholeNumber.parse("\(number)")) == number, word)
    }
}

private func command(_ words: [String]) {
    guard let command = try? VmemmapCommand.parseAsRoot(words) else { return }
    switch command {
    case let demo as DemoCommand: plan(demo.emulation.memory)
    case let savings as SavingsCommand: if let memory = try? savings.memory { plan(memory) }
    case let forecast as PlanCommand: _ = try? forecast.experiment.run()
    default: break
    }
}

private func plan(_ memory: EmulatedMemory) {
    if let plan = try? memory.planOnThisHost() {
        FuzzSupport.require(plan.isWorthwhile && plan.hugePages == memory.pages, "\(memory)")
    }
    _ = try? memory.planIgnoringTheMappingLimit()
}
