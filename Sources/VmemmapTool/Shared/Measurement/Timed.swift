import HostMemory
import VmemmapEmulator

/// Does some work and tells how long it took.
func timed<Value, Failure>(_ work: () throws(Failure) -> Value) throws(Failure) -> (value: Value, nanoseconds: Int) {
    let start = HostKernel.monotonicNanoseconds()
    let value = try work()
    return (value, HostKernel.monotonicNanoseconds() - start)
}

/// Does something to huge pages, `length` at a time, and tells before each slice how far it is: what is done to a range
/// is everything or nothing, and says nothing meanwhile.
func inSlices(
    _ pages: Range<HugePageIndex>, of length: Int, _ step: Step, _ progress: ProgressSink,
    _ work: (Range<HugePageIndex>) throws -> Void
) rethrows {
    for start in stride(from: 0, to: pages.count, by: length) {
        progress(.count(step.rawValue, start, of: pages.count, unit: "huge pages"))
        try work(pages.dropFirst(start).prefix(length))
    }
}

/// The most huge pages of a slice: a fraction of a second's work.
let longestSlice = 4096
