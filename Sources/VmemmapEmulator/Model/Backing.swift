/// What the region consists of.
public enum Backing: String, Hashable, Sendable, Codable, CaseIterable {
    /// Private anonymous memory. Shared frames lie in a memory file of their own; a copy is mapped over what it
    /// replaces.
    case anonymous
    /// One memory file, mapped from end to end. Tails are mapped to the offset of a page that stays, and the frames
    /// under them are punched out of the file; restored, the mappings merge back into one.
    case memfd
}
