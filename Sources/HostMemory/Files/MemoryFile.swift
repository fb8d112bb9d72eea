package import SystemPackage

/// An anonymous file in memory (memfd): frames that several mappings can share.
///
/// Its length is fixed at creation and sealed, so that no mapped page can vanish under a reader (SIGBUS). It occupies
/// nothing until it is written, and a range can be given back with ``release(offset:length:)``.
package final class MemoryFile: Sendable {
    /// The name shown in /proc/PID/maps as `/memfd:name`.
    package let name: String
    /// The length in bytes.
    package let length: ByteCount
    /// The descriptor that writes. Mappings through it can be made writable at any time.
    package let writable: FileDescriptor
    /// The read-only twin: the same file, opened without the right to write. A mapping through it can never be made
    /// writable (mprotect: EACCES), while PROT_READ through ``writable`` is no lock at all.
    package let readOnly: FileDescriptor

    /// Whether the host gives memory files transparent huge pages of its own accord: a write of one page takes a whole
    /// one then, and a hole punched in it gives nothing back unless the host splits it. The file's block size tells
    /// (`st_blksize`), also where /sys, with the setting shmem_enabled, is hidden.
    package let mayHaveHugePages: Bool

    private let shield: ForkShield
    /// Mappings of the file that are there for no longer than it takes to give holes small pages, unless unmapping is
    /// refused.
    private let windows = Orphans()

    /// Creates a file of `length` bytes, all hole, and opens its twin through /proc/self/fd. Children forked later do
    /// not get it.
    ///
    /// The corresponding C functions are `memfd_create` (or `open` with O_TMPFILE), `ftruncate`, `fcntl` and `open`.
    ///
    /// - Parameters:
    ///   - name: as it is shown.
    ///   - length: whole pages.
    ///   - store: where its frames come from. The length of a file in a file system cannot be sealed; nobody else has
    ///     it.
    package init(name: String, length: ByteCount, in store: FrameStore = .memory) throws(HostError) {
        let writable =
            if let createFile = store.createFile { try createFile(name) } else {
                try HostKernel.createMemoryFile(name: name)
            }
        do throws(HostError) {
            try HostKernel.setLength(writable, length, name: name)
            if store.createFile == nil { try HostKernel.sealLength(writable, name: name) }
            mayHaveHugePages = try HostKernel.blockSize(writable, name: name) > HostLimits.pageSize
            let readOnly = try HostKernel.open(FilePath("/proc/self/fd/\(writable.rawValue)"), .readOnly)
            do throws(HostError) {
                shield = try ForkShield(writable, readOnly)
            } catch {
                try? HostKernel.close(readOnly)
                throw error
            }
            self.readOnly = readOnly
        } catch {
            try? HostKernel.close(writable)
            throw error
        }
        self.name = name
        self.length = length
        self.writable = writable
    }

    deinit {
        // Before the numbers can belong to other files.
        shield.remove()
        // A close that fails has closed (Linux); there is nobody to tell.
        try? HostKernel.close(readOnly)
        try? HostKernel.close(writable)
    }

    /// What the file occupies in frames, in bytes (`st_blocks`).
    package func allocatedBytes() throws(HostError) -> ByteCount {
        try HostKernel.allocatedBytes(writable, name: name)
    }

    /// Gives the holes in a range pages, as small as they come, where the host would make huge ones of a write.
    ///
    /// Through a mapping that is there for no longer, since it is mappings that can be told to have no huge pages.
    package func populateWithSmallPages(offset: ByteCount, length: ByteCount) throws(HostError) {
        guard mayHaveHugePages, length > .zero else { return }
        try? windows.unmapAll()
        let window = try HostKernel.mapAnonymous(length: length)
        do throws(HostError) {
            try map(at: window, offset: offset)
            if try !HostKernel.populate(window) { try Self.touch(window) }
        } catch {
            windows.unmap(window)
            throw error
        }
        windows.unmap(window)
    }

    /// Maps a part of the file at `range`, writable, and has the host put no huge pages together there.
    ///
    /// Throws `HostError` when the host refuses: what was mapped there is as before then, or a gap.
    package func map(at range: AddressRange, offset: ByteCount) throws(HostError) {
        try HostKernel.mapFile(writable, at: range, offset: offset, .readWrite)
        keepOffKhugepaged(range)
    }

    /// Keeps khugepaged from putting huge pages together where the file is mapped: it looks at what a mapping of two
    /// mebibytes shows, works on the file for a while after that, and fills the holes that are punched meanwhile.
    ///
    /// Only where the host gives memory files huge pages of its own accord. Mappings merge if all have this advice, or
    /// none. Who refuses it leaves khugepaged its moments.
    package func keepOffKhugepaged(_ range: AddressRange) {
        if mayHaveHugePages { try? HostKernel.forbidHugePages(range) }
    }

    /// Has the host give every page of a window a frame, as it does for a load. Where it has none, that faults.
    private static func touch(_ window: AddressRange) throws(HostError) {
        var address = window.start
        while address < window.end {
            // SAFETY: the window is the caller's, and its start a page's; a fault is caught.
            guard unsafe MemoryAccess.tryLoad(address) != nil else {
                throw HostError(.noMemory, .advise, .addresses(window))
            }
            address = address + HostLimits.pageSize
        }
    }

    /// Writes `pieces` of memory one behind the other from `offset` on. In holes, small pages are written.
    package func gather(_ pieces: StridedPieces, at offset: ByteCount) throws(HostError) {
        try populateWithSmallPages(offset: offset, length: pieces.total)
        try HostKernel.gather(pieces, into: writable, at: offset, name: name)
    }

    /// Reads into `pieces` of memory what lies one behind the other from `offset` on.
    package func scatter(_ pieces: StridedPieces, at offset: ByteCount) throws(HostError) {
        try HostKernel.scatter(pieces, from: writable, at: offset, name: name)
    }

    /// Gives the frames of a range back to the host, and where they may be parts of huge pages, makes sure that it took
    /// them.
    ///
    /// - Parameters:
    ///   - offset: whole pages, as `length`.
    ///   - length: of the range.
    ///   - wantsHugePages: whether the file is mapped so that it has huge pages; it may have them in any case.
    package func release(offset: ByteCount, length: ByteCount, wantsHugePages: Bool) throws(HostError) {
        if wantsHugePages || mayHaveHugePages {
            try releaseFromHugePages(offset: offset, length: length)
        } else {
            try release(offset: offset, length: length)
        }
    }

    /// Gives the frames of a range back to the host, and makes sure that it took them.
    ///
    /// A part of a transparent huge page is only filled with zeros where the host cannot split the page, because
    /// somebody has a reference to it; it does not say so. A moment later the same call succeeds.
    package func releaseFromHugePages(offset: ByteCount, length: ByteCount) throws(HostError) {
        for _ in 0..<Self.attempts {
            try release(offset: offset, length: length)
            let data = try HostKernel.nextData(writable, from: offset, name: name)
            guard let data, data < offset + length else { return }
            HostKernel.yield()
        }
        throw HostError(.resourceBusy, .punchHole, .file(name))
    }

    private static let attempts = 100

    /// Gives the frames of a range back to the host.
    package func release(offset: ByteCount, length: ByteCount) throws(HostError) {
        try HostKernel.punchHole(writable, offset: offset, length: length, name: name)
    }
}
