import HostMemory

/// Frames by letters, where their numbers are hidden: the same letter is the same frame, wherever it is drawn.
enum FrameLetters {
    /// What stands for the frame of each vmemmap page, picture by picture.
    ///
    /// A private page has a frame of its own, and so a letter of its own; whether it is one of another picture's cannot
    /// be told, and so it gets a new one there.
    static func labels(_ pictures: [FramePicture]) -> [[String]] {
        let hidesNumbers = hidesNumbers(pictures)
        var known: [FramePicture.Frame: String] = [:]
        var count = 0
        return pictures.map { picture in
            picture.vmemmapPages.map { page in
                if !hidesNumbers || page.frame == .absent { return name(page.frame) }
                if let letter = known[page.frame] { return "\(letter)  \(name(page.frame))" }
                let letter = self.letter(count)
                count += 1
                if page.frame != .anonymous { known[page.frame] = letter }
                return "\(letter)  \(name(page.frame))"
            }
        }
    }

    private static func hidesNumbers(_ pictures: [FramePicture]) -> Bool {
        pictures.contains { $0.vmemmapPages.contains { $0.frame == .anonymous } }
    }

    /// A to Z, then A1 and so on.
    static func letter(_ number: Int) -> String {
        let letter = String(UnicodeScalar(UInt8(ascii: "A") + UInt8(number % 26)))
        return number < 26 ? letter : letter + "\(number / 26)"
    }

    private static func name(_ frame: FramePicture.Frame) -> String {
        switch frame {
        case .pfn(let number): "pfn 0x" + String(number, radix: 16)
        case .file(let offset): "memfd + 0x" + String(offset.rawValue, radix: 16)
        case .anonymous: "private"
        case .absent: "none"
        }
    }

    /// What is said below a drawing with letters; empty of one with frame numbers.
    static func note(_ pictures: [FramePicture]) -> [String] {
        guard hidesNumbers(pictures) else { return [] }
        return ["A letter is a frame; root sees their numbers."]
            + (pictures.count > 1
                ? ["Whether a private frame of after is one of before, only root is told."] : [])
    }
}
