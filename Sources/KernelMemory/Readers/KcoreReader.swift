import HostMemory
import SystemPackage

/// Reads the kernel's memory from /proc/kcore, an ELF file that the kernel makes up as it is read.
final class KcoreReader: KernelReader {
    /// The headers, as they were when it was opened.
    let headers: CoreFile
    /// VMCOREINFO, if there is a note of it (Linux 4.19).
    let info: VMCoreInfo?
    private let file: FileDescriptor
    private let path: String

    /// Opens it.
    ///
    /// - Throws: ``KernelMemoryError/host(_:)`` where there is none or this process may not read it, and
    ///   ``KernelMemoryError/malformed(_:)``.
    init(path: FilePath = "/proc/kcore") throws(KernelMemoryError) {
        let name = path.string
        let file: FileDescriptor
        do throws(HostError) { file = try HostKernel.open(path, .readOnly) } catch { throw .host(error) }
        do throws(KernelMemoryError) {
            let start = try Self.read(file, atWord: 0, count: 8, name)
            let (first, count) = try CoreFile.programHeaders(start)
            let headers = CoreFile(programHeaders: try Self.read(file, atWord: first, count: count, name))
            info = try Self.info(file, headers.notes, name)
            self.headers = headers
        } catch {
            try? HostKernel.close(file)
            throw error
        }
        self.file = file
        self.path = name
    }

    deinit { try? HostKernel.close(file) }

    func words(at address: KernelAddress, count: Int) throws(KernelMemoryError) -> [UInt64] {
        guard Self.isInOnePage(address, count), let offset = headers.offset(of: address, length: UInt64(count * 8)),
            offset.isMultiple(of: 8)
        else { throw .unreadable(address) }
        do throws(KernelMemoryError) {
            return try Self.read(file, atWord: offset / 8, count: count, path)
        } catch {
            throw .unreadable(address)
        }
    }

    /// The largest note that is read: those of /proc/kcore are some KiB.
    private static let longestNotes: UInt64 = 1 << 20

    private static func info(
        _ file: FileDescriptor, _ notes: [(offset: UInt64, length: UInt64)], _ name: String
    ) throws(KernelMemoryError) -> VMCoreInfo? {
        for note in notes where note.length <= longestNotes {
            // They may begin at any multiple of 4, and end anywhere.
            let skipped = Int(note.offset % 8)
            let count = (skipped + Int(note.length) + 7) / 8
            let bytes = LittleEndianBytes(try read(file, atWord: note.offset / 8, count: count, name)).bytes
            let exact = bytes.dropFirst(skipped).prefix(Int(note.length))
            if let text = VMCoreInfo.text(inNotes: Array(exact)) { return VMCoreInfo(text) }
        }
        return nil
    }

    private static func read(
        _ file: FileDescriptor, atWord position: UInt64, count: Int, _ name: String
    ) throws(KernelMemoryError) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: count)
        let got: Int
        do throws(HostError) {
            got = try HostKernel.readWords(file, atWord: position, into: &words, name: name)
        } catch {
            throw .host(error)
        }
        if got < count { throw .malformed("\(name) ends early") }
        return words
    }
}
