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
                "|   0  | -----> | A  pfn 0x1a       |",
                "|   1  | -----> | B  private        |",
                "|   2  | -----> | C  memfd + 0x2000 |",
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
                "|   0  | -----> | A  private     |",
                "|   1  | -----> | B  memfd + 0x0 |",
                "|   2  | ---------^ ^ ^",
                "|  ... |            | |",
                "| 4095 | -------------+",
                "+------+",
            ])
        #expect(
            FrameDrawing(picture([.anonymous, .anonymous], at: [0, 9])).lines == [
                "+------+",
                "|   0  | -----> | A  private |",
                "|  ... |",
                "|   9  | -----> | B  private |",
                "+------+",
            ])
    }

    @Test("Anonymous pages are different frames, however alike they look")
    func anonymousPagesAreNotShared() {
        let lines = FrameDrawing(picture([.anonymous, .anonymous, .absent, .absent])).lines
        #expect(lines.allSatisfy { !$0.contains("^") })
    }

    @Test("Where frame numbers are hidden, a letter is a frame, the same in every drawing; with numbers there is none")
    func letters() {
        let shared = FramePicture.Frame.file(offset: ByteCount(0))
        let before = picture([.anonymous, .anonymous, shared])
        let after = picture([.anonymous, shared, .absent])
        #expect(
            FrameLetters.labels([before, after]) == [
                ["A  private", "B  private", "C  memfd + 0x0"], ["D  private", "C  memfd + 0x0", "none"],
            ])
        #expect(FrameLetters.note([before, after]).count == 2 && FrameLetters.note([before]).count == 1)
        let numbers = picture([.pfn(1), shared])
        #expect(FrameLetters.labels([numbers]) == [["pfn 0x1", "memfd + 0x0"]] && FrameLetters.note([numbers]) == [])
        #expect([0, 25, 26, 52].map(FrameLetters.letter) == ["A", "Z", "A1", "A2"])
    }
}
