import HostMemory
import VmemmapEmulator

/// Draws a huge page as the cover letter does: vmemmap pages on the left, the frames they show on the right.
///
/// A page with a frame of its own points at it. A page that shows the frame drawn last above it points up to that
/// frame.
struct FrameDrawing: Sendable {
    /// The lines of the drawing.
    let lines: [String]

    /// One line of the drawing: a vmemmap page, or the gap that stands for those left out.
    private typealias Row = FramePicture.VmemmapPage?

    /// Draws `picture`.
    ///
    /// - Parameters:
    ///   - protections: for each vmemmap page of the picture whether it is writable, beside its number; nil draws none.
    ///   - labels: for each of them what stands for its frame; nil: what ``FrameLetters`` has for this picture alone.
    init(_ picture: FramePicture, protections: [Bool]? = nil, labels names: [String]? = nil) {
        let rows = Self.rows(picture.vmemmapPages)
        let isWritable = Dictionary(
            uniqueKeysWithValues: zip(picture.vmemmapPages.map(\.index), protections ?? []))
        let inside = protections == nil ? 6 : 9
        func name(_ page: FramePicture.VmemmapPage) -> String {
            "\(page.index.rawValue)" + (isWritable[page.index].map { $0 ? " rw" : " ro" } ?? "")
        }
        let edge = "+" + String(repeating: "-", count: inside) + "+"
        let labelOf = Dictionary(
            uniqueKeysWithValues: zip(
                picture.vmemmapPages.map(\.index), names ?? FrameLetters.labels([picture]).first ?? []))
        let labels = rows.map { $0.flatMap { labelOf[$0.index] } ?? "" }
        let width = labels.map(\.count).max() ?? 0
        let fan = Self.fan(rows)
        var lines = [edge]
        for (position, row) in rows.enumerated() {
            let box = "|" + Self.center(row.map(name) ?? "...", inside) + "|"
            if fan.contains(position) {
                lines.append(box + Self.fanRow(fan, position, isGap: row == nil))
            } else if row == nil {
                lines.append(box)
            } else {
                let label = labels[position]
                lines.append(box + " -----> | " + label + String(repeating: " ", count: width - label.count) + " |")
            }
        }
        lines.append(edge)
        self.lines = lines
    }

    private static func rows(_ pages: [FramePicture.VmemmapPage]) -> [Row] {
        var rows: [Row] = []
        for page in pages {
            if let last = rows.last??.index, page.index > last.advanced(by: 1) { rows.append(nil) }
            rows.append(page)
        }
        return rows
    }

    /// The last rows, as far as all of them show the frame of the row before them.
    private static func fan(_ rows: [Row]) -> Range<Int> {
        guard let frame = rows.last??.frame, frame != .anonymous, frame != .absent else {
            return rows.count..<rows.count
        }
        let first = rows.lastIndex { $0.map { $0.frame != frame } ?? false }.map { $0 + 1 } ?? 0
        // The first row that shows the frame points at it; the others point at that row.
        return min(first + 1, rows.count)..<rows.count
    }

    /// `--------^ ^ ^`, `----------+ | |`, `------------+ |`: one arrow a row, all to the frame above.
    private static func fanRow(_ fan: Range<Int>, _ position: Int, isGap: Bool) -> String {
        let depth = position - fan.lowerBound
        let rest = String(repeating: depth == 0 ? " ^" : " |", count: fan.upperBound - position - 1)
        if isGap { return String(repeating: " ", count: 10 + 2 * depth) + "|" + rest }
        return " " + String(repeating: "-", count: 9 + 2 * depth) + (depth == 0 ? "^" : "+") + rest
    }

    private static func center(_ text: String, _ width: Int) -> String {
        let space = max(0, width - text.count)
        return String(repeating: " ", count: (space + 1) / 2) + text + String(repeating: " ", count: space / 2)
    }

    /// Two drawings side by side, each under its title.
    static func beside(_ left: FrameDrawing, _ leftTitle: String, _ right: FrameDrawing, _ rightTitle: String)
        -> [String]
    {
        let width = max(leftTitle.count, left.lines.map(\.count).max() ?? 0) + 5
        let rows = zip([leftTitle] + left.lines, [rightTitle] + right.lines)
        return rows.map { $0 + String(repeating: " ", count: width - $0.count) + $1 }
    }
}
