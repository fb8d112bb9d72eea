/// How far an experiment is, as it tells between two operations that are measured.
enum Progress: Hashable, Sendable, Codable {
    /// So many of so many things are through.
    case count(_ work: String, _ done: Int, of: Int, unit: String)
    /// Something is done for a time, so many nanoseconds of so many; and how fast it goes, where that is known.
    case time(_ work: String, nanoseconds: Int, of: Int, rate: String? = nil)
}

/// Who is told.
typealias ProgressSink = (Progress) -> Void
