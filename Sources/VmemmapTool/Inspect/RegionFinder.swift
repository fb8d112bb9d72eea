import HostMemory
import VmemmapEmulator

/// A vmemmap in another process, as /proc/PID/maps shows it.
struct FoundRegion: Hashable, Sendable {
    /// Where it is.
    let range: AddressRange
    /// What its memory file's name says it is.
    let label: RegionLabel
    /// The memory file behind it.
    let file: Mapping.FileIdentity

    /// Every region is aligned to this at least.
    private static let alignment = UInt(ByteCount.mebibytes(32).rawValue)

    /// Looks for regions by their guard pages: inaccessible pages of the memory file, as far apart as the file's name
    /// says the region is long. One of the two is enough; a page inside the region that somebody has made inaccessible
    /// is none.
    static func all(in process: ObservedProcess) throws(HostError) -> [FoundRegion] {
        var found: [(label: RegionLabel, file: Mapping.FileIdentity, guards: [AddressRange])] = []
        try ProcMaps.forEachNamed(RegionLabel.fileName, of: process) { (mapping, name) throws(HostError) in
            guard let label = RegionLabel(mappingName: name), let file = mapping.file else { return }
            let place = found.firstIndex { $0.file == file } ?? found.count
            if place == found.count { found.append((label, file, [])) }
            if isGuard(mapping) { found[place].guards.append(mapping.range) }
        }
        return found.compactMap { label, file, guards in
            range(guards, label).map { FoundRegion(range: $0, label: label, file: file) }
        }
    }

    /// The memory file of the region at a place that is known, and its label: by whatever of it is mapped there or as a
    /// guard page.
    static func label(
        of region: AddressRange, in process: ObservedProcess
    ) throws(HostError) -> (label: RegionLabel, file: Mapping.FileIdentity)? {
        let place = HostKernel.withGuardPages(region)
        var found: (label: RegionLabel, file: Mapping.FileIdentity)?
        try ProcMaps.forEachNamed(RegionLabel.fileName, of: process) { (mapping, name) throws(HostError) in
            guard found == nil, mapping.range.overlaps(place), let label = RegionLabel(mappingName: name),
                let file = mapping.file
            else { return }
            found = (label, file)
        }
        return found
    }

    /// Whether a mapping is what a guard page is: one page that nobody can touch, at the start of its file.
    static func isGuard(_ mapping: Mapping) -> Bool {
        !mapping.isReadable && !mapping.isWritable && !mapping.isExecutable
            && mapping.range.length == HostLimits.pageSize && mapping.offset == .zero
    }

    private static func range(_ guards: [AddressRange], _ label: RegionLabel) -> AddressRange? {
        guard let length = label.regionLength else { return nil }
        let ranges = guards.flatMap { page in
            [
                AddressRange(start: page.end, length: length),
                AddressRange(start: page.start - length, length: length),
            ]
        }.filter { $0.start.rawValue.isMultiple(of: alignment) }
        // Both guards say the same.
        return ranges.first { range in ranges.count { $0 == range } == 2 } ?? ranges.first
    }
}
