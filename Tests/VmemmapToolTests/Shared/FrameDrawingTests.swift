import HostMemory
import Testing
import VmemmapEmulator
@testable import VmemmapTool

@Suite("Drawing a huge page")
struct FrameDrawingTests {
    private func picture(_ frames: [FramePicture.Frame], at indexes: [Int]? = nil) -> FramePicture {
        let indexes = indexes ?? Array(frames.indices)
        return FramePicture(
            hugePage: HugePageIndex(0),
            vmemmapPages: zip(indexes, frames).map { .init(index: VmemmapPageIndex($0), frame: $1) })
    }

    @Test("Every page with a frame of its own points at it")
    func before() {
        let drawing = FrameDrawing(picture([.pfn(0x1a), .anonymous, .file(offset: ByteCount(0x2000))]))
        #expect(
            drawing.lines == [
                "+------+",
                "|   0  | -----> | pfn 0x1a       |",
                "|   1  | -----> | anonymous      |",
                "|   2  | -----> | memfd + 0x2000 |",
                "+------+",
            ])
    }

    @Test("Pages that show one frame point up to it, as in the cover letter")
    func after() {
        let shared = FramePicture.Frame.pfn(7)
        #expect(
            FrameDrawing(picture([.pfn(5), shared, shared, shared, shared])).lines == [
                "+------+",
                "|   0  | -----> | pfn 0x5 |",
                "|   1  | -----> | pfn 0x7 |",
                "|   2  | ---------^ ^ ^",
                "|   3  | -----------+ |",
                "|   4  | -------------+",
                "+------+",
            ])
    }

    @Test("Pages left out are a gap, inside the arrows or beside them")
    func gap() {
        let shared = FramePicture.Frame.file(offset: ByteCount(0))
        #expect(
            FrameDrawing(picture([.anonymous, shared, shared, shared], at: [0, 1, 2, 4095])).lines == [
                "+------+",
                "|   0  | -----> | anonymous   |",
                "|   1  | -----> | memfd + 0x0 |",
                "|   2  | ---------^ ^ ^",
                "|  ... |            | |",
                "| 4095 | -------------+",
                "+------+",
            ])
        #expect(
            FrameDrawing(picture([.anonymous, .anonymous], at: [0, 9])).lines == [
                "+------+",
                "|   0  | -----> | anonymous |",
                "|  ... |",
                "|   9  | -----> | anonymous |",
                "+------+",
            ])
    }

    @Test("Anonymous pages are different frames, however alike they look")
    func anonymousPagesAreNotShared() {
        let lines = FrameDrawing(picture([.anonymous, .anonymous, .absent, .absent])).lines
        #expect(lines.allSatisfy { !$0.contains("^") })
    }
}
