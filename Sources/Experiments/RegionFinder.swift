public import HostMemory
public import VmemmapEmulator

/// A vmemmap in another process, as /proc/PID/maps shows it.
public struct FoundRegion: Hashable, Sendable {
    /// Where it is.
    public let range: AddressRange
    /// What its memory file's name says it is.
    public let label: RegionLabel
    /// The memory file behind it.
    public let file: Mapping.FileIdentity

    /// Looks for regions between the inaccessible mappings of the same memory file that lie on both sides of each.
    static func all(in process: ObservedProcess) throws(HostError) -> [FoundRegion] {
        var found: [FoundRegion] = []
        var guardBefore: Mapping?
        try ProcMaps.forEachNamed(RegionLabel.fileName, of: process) { (mapping, name) throws(HostError) in
            guard !mapping.isReadable, let label = RegionLabel(mappingName: name), let file = mapping.file else {
                return
            }
            guard let start = guardBefore, start.file == file else {
                guardBefore = mapping
                return
            }
            let range = AddressRange(start: start.range.end, length: mapping.range.start - start.range.end)
            found.append(FoundRegion(range: range, label: label, file: file))
            guardBefore = nil
        }
        return found
    }
}
