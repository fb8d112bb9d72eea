import CSystemShims
package import HostMemory
package import SystemPackage

/// A tmpfs of a size of its own, mounted nowhere: beyond it there is ENOSPC, for real. It goes away with the last
/// descriptor, so that nothing of it outlives the process, however that ends.
package final class SmallFileSystem: Sendable {
    private let root: FileDescriptor

    /// Makes one of `size` bytes. The corresponding C functions are `fsopen`, `fsconfig` and `fsmount` (Linux 5.2).
    ///
    /// - Parameters:
    ///   - size: of all files in it together.
    ///   - hasHugePages: whether a write of one page to a file in it takes a transparent huge page, as in a memory file
    ///     where shmem_enabled is `always`.
    ///
    /// Throws ``HostError/Code-swift.struct/notPermitted`` without CAP_SYS_ADMIN, and
    /// ``HostError/Code-swift.struct/invalid`` for a size that is not above 0: to the kernel, 0 is no limit at all.
    package init(size: ByteCount, hasHugePages: Bool = false) throws(HostError) {
        guard size > .zero else { throw HostError(.invalidArgument, .mount, .process) }
        root = FileDescriptor(
            rawValue: CInt(
                try HostKernel.call(.mount, .process) { vme_small_filesystem_open(size.rawValue, hasHugePages) }))
    }

    deinit { try? HostKernel.close(root) }

    /// A file without a name in it. The corresponding C function is `open` with O_TMPFILE.
    func createFile(name: String) throws(HostError) -> FileDescriptor {
        FileDescriptor(
            rawValue: CInt(
                try HostKernel.callThroughSignals(.createFile, .file(name)) {
                    vme_unnamed_file_open(root.rawValue, 0o600)
                }))
    }

    /// What is taken of a file system, until nobody holds it any more.
    package final class Filler: Sendable {
        fileprivate let file: FileDescriptor

        fileprivate init(_ file: FileDescriptor) { self.file = file }

        deinit { try? HostKernel.close(file) }
    }

    /// Takes what is free in it, but for `left` bytes (below 0: all).
    package func fill(leaving left: ByteCount) throws(HostError) -> Filler {
        let filler = Filler(try createFile(name: "filler"))
        let piece = HostLimits.pageSize
        var taken = ByteCount.zero
        while (try? HostKernel.allocate(filler.file, offset: taken, length: piece)) != nil { taken += piece }
        let kept = max(.zero, taken - max(.zero, left))
        try HostKernel.setLength(filler.file, kept, name: "filler")
        return filler
    }
}

extension FrameStore {
    /// A file system of limited size.
    package static func fileSystem(_ fileSystem: SmallFileSystem) -> FrameStore {
        FrameStore { (name) throws(HostError) in try fileSystem.createFile(name: name) }
    }
}

extension HostKernel {
    /// Gives a range of a file frames. The corresponding C function is `fallocate`.
    package static func allocate(
        _ file: FileDescriptor, offset: ByteCount, length: ByteCount
    ) throws(HostError) {
        _ = try callThroughSignals(.allocate, .file("filler")) {
            vme_allocate(file.rawValue, Int64(offset.rawValue), Int64(length.rawValue))
        }
    }
}
