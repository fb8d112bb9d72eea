import HostMemory

/// The clocks of a moment.
struct Instant {
    let wallNanoseconds: Int
    let processor: ProcessorTime

    static func now() throws(HostError) -> Instant {
        let processor = try ProcessorTime.current()
        return Instant(wallNanoseconds: HostKernel.monotonicNanoseconds(), processor: processor)
    }

    func since(_ earlier: Instant) -> PoolTiming.Cost {
        let spent = processor - earlier.processor
        return PoolTiming.Cost(
            wallNanoseconds: wallNanoseconds - earlier.wallNanoseconds, userNanoseconds: spent.userNanoseconds,
            systemNanoseconds: spent.systemNanoseconds)
    }
}
