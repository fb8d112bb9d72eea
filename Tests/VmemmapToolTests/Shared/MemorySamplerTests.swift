import HostMemory
import Testing
import VmemmapEmulator

@testable import VmemmapTool

@Suite("Sampling memory")
struct MemorySamplerTests {
    @Test("Samples are in order, at least the first and the last have a PSS, and their number is bounded")
    func bounded() throws {
        let sampler = try MemorySampler(interval: 20_000, capacity: 16)
        HostKernel.sleep(nanoseconds: 20_000_000)
        let log = sampler.stop()
        #expect((2...16).contains(log.samples.count))
        #expect(log.statmCost.reads >= log.samples.count)
        #expect(zip(log.samples, log.samples.dropFirst()).allSatisfy { $0.nanoseconds < $1.nanoseconds })
        #expect(log.samples.allSatisfy { $0.rssBytes > .mebibytes(1) })
        #expect(log.samples.first?.pssBytes.value != nil && log.samples.last?.pssBytes.value != nil)
    }

    @Test("Full storage keeps every second sample, those with a PSS first, and doubles the interval")
    func thinning() {
        var log = SampleLog(interval: 10, capacity: 4)
        for number in 0..<6 {
            log.add(
                MemoryTimeline.Sample(
                    nanoseconds: number, rssBytes: ByteCount(number),
                    pssBytes: number == 1 ? .value(ByteCount(1)) : .notMeasured))
        }
        #expect(log.samples.map(\.nanoseconds) == [1, 2, 4, 5])
        #expect(log.interval == 20)
    }

    @Test("A run has no timeline unless it is asked for; then each step has its time and its frames")
    func timeline() throws {
        var demo = DemoExperiment(
            EmulatedMemory(pages: .init(4), pageSize: .twoMebibytes, scheme: .firstTail), walkers: 1,
            raceNanoseconds: 1_000_000)
        #expect(try demo.run().timeline.value == nil)
        demo.samplesMemory = true
        let result = try demo.run()
        let timeline = try #require(result.timeline.value)
        #expect(timeline.steps.map(\.step) == [.populated, .optimized, .touched, .restored])
        #expect(timeline.steps.allSatisfy { $0.startNanoseconds <= $0.endNanoseconds })
        for span in timeline.steps {
            let frames = result.figures(span.step)?.distinctFrames.value?.bytes(pageSize: HostLimits.pageSize)
            #expect(span.distinctFrameBytes.value == frames)
        }
    }

    @Test("A picture knows where its pages lie: the tails of an optimized huge page in read-only mappings of the file")
    func places() throws {
        let result = try DemoExperiment(
            EmulatedMemory(pages: .init(2), pageSize: .twoMebibytes, scheme: .firstTail), walkers: 1,
            raceNanoseconds: 1_000_000
        ).run()
        let before = result.before.vmemmapPages.map(\.place.value)
        let after = result.after.vmemmapPages.map(\.place.value)
        #expect(before.map { $0?.address } == after.map { $0?.address })
        #expect(
            before.allSatisfy { $0?.isWritable == true && $0?.isShared == false && $0?.fileOffsetBytes.value == nil })
        #expect(after.map { $0?.isWritable } == [true, true] + Array(repeating: false, count: 6))
        #expect(Set(after.dropFirst(2).map { $0?.fileOffsetBytes.value }).count == 1)
    }
}
