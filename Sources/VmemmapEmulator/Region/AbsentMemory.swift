import HostMemory

// Parts of a region that are there for a while: the vmemmap of memory that is plugged in and unplugged.
extension RegionMemory {
    /// Takes the frames of a part away and makes it unreadable: whoever reads it faults (`vmemmap_free()`).
    ///
    /// - Parameter part: whole pages, which nobody but readers touches.
    /// - Throws: `HostError` when the host refuses. It is mapped as before then, and what it held may be gone.
    func takeAway(_ part: AddressRange) throws(HostError) {
        try blocks?.mend(around: part)
        if let file { return try takeAway(part, file) }
        do throws(HostError) {
            try HostKernel.protect(part, .none)
            try HostKernel.advise(part, .dontNeed)
        } catch {
            // A refusal can come late.
            try HostKernel.protect(part, .readWrite)
            throw error
        }
    }

    /// A part of the memory file is not mapped any more: what is mapped counts as there.
    private func takeAway(_ part: AddressRange, _ file: MemoryFile) throws(HostError) {
        let offset = part.start - range.start
        do throws(HostError) {
            try HostKernel.mapNothing(at: part)
            try file.release(offset: offset, length: part.length, wantsHugePages: blocks != nil)
        } catch {
            try file.map(at: part, offset: offset)
            throw error
        }
    }

    /// Gives a part that was taken away frames again, all zero (`vmemmap_populate()`).
    ///
    /// - Throws: `HostError` when the host refuses: it is as before then.
    func bringBack(_ part: AddressRange) throws(HostError) {
        do throws(HostError) {
            if let file {
                let offset = part.start - range.start
                if blocks == nil { try file.populateWithSmallPages(offset: offset, length: part.length) }
                try file.map(at: part, offset: offset)
            } else {
                try HostKernel.protect(part, .readWrite)
            }
            try HostKernel.populate(part)
            // As when the region was built: what is refused stays mapped by PTEs.
            blocks?.gather(part)
        } catch {
            try takeAway(part)
            throw error
        }
    }
}
