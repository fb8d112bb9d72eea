import FoundationEssentials

/// What the fuzz targets share.
public enum FuzzSupport {
    /// What libFuzzer calls with each input: its bytes and how many there are. Returns 0.
    public typealias Test = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

    /// Hands the process over to libFuzzer, with the arguments of its command line. `LLVMFuzzerRunDriver()`.
    ///
    /// SwiftPM gives every executable a main function of Swift's, so libFuzzer's own cannot be it.
    public static func run(seeds: [String], _ test: Test) {
        writeSeeds(seeds)
        var count = CommandLine.argc
        var arguments = unsafe CommandLine.unsafeArgv
        // SAFETY: both are this process's own, and stay.
        _ = unsafe driver(&count, &arguments, test)
    }

    /// The input as text: damaged bytes need not be UTF-8, and a text of /proc is decoded the same way.
    public static func text(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> String {
        // SAFETY: libFuzzer hands over `count` bytes that stay for the call; they are copied at once.
        unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// Ends the process, so that libFuzzer keeps the input, unless `condition` holds.
    public static func require(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { fatalError(message()) }
    }

    /// Writes inputs to begin with into the folder that VMEMMAP_FUZZ_SEEDS names.
    private static func writeSeeds(_ texts: [String]) {
        guard let folder = ProcessInfo.processInfo.environment["VMEMMAP_FUZZ_SEEDS"] else { return }
        for (number, text) in texts.enumerated() {
            do {
                try Data(text.utf8).write(to: URL(filePath: "\(folder)/seed-\(number)"))
            } catch {
                fatalError("\(folder): \(error)")
            }
        }
    }
}

@_silgen_name("LLVMFuzzerRunDriver")
private func driver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>, _ test: FuzzSupport.Test
) -> CInt
