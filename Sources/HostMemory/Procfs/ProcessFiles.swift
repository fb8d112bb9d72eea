import CSystemShims
import Glibc
package import SystemPackage

/// The memory files that a process has open: /proc/PID/fd.
package enum ProcessFiles {
    /// What a memory file occupies (`st_blocks`), found among the open files of a process by its inode; nil if the
    /// process has it open no more.
    ///
    /// - Parameters:
    ///   - process: whose file it is.
    ///   - name: what its name starts with. Files of other names are not opened.
    ///   - inode: which one, as its mappings tell.
    package static func allocatedBytes(
        of process: ObservedProcess, memoryFile name: String, inode: UInt64
    ) throws(HostError) -> ByteCount? {
        let folder = process.path("fd")
        for entry in try HostKernel.names(in: folder) where entry.allSatisfy(\.isNumber) {
            let path = folder.appending(entry)
            // A descriptor that was closed meanwhile is none of those sought.
            guard let target = try? HostKernel.readLink(path), target.hasPrefix("/memfd:" + name) else { continue }
            let file = try HostKernel.open(path, .readOnly)
            defer { try? HostKernel.close(file) }
            if try HostKernel.inode(file, name: path.string) == inode {
                return try HostKernel.allocatedBytes(file, name: path.string)
            }
        }
        return nil
    }
}

extension HostKernel {
    /// The names in a folder. The corresponding C functions are `opendir` and `readdir`.
    package static func names(in folder: FilePath) throws(HostError) -> [String] {
        var names: [String] = []
        _ = try callThroughSignals(.open, .file(folder.string)) {
            // SAFETY: the stream and its entries are used before it is closed, and an entry's name ends with a NUL.
            unsafe folder.withPlatformString { path in
                guard let stream = unsafe opendir(path) else { return -Int64(errno) }
                while let entry = unsafe readdir(stream) {
                    unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) {
                            unsafe names.append(String(cString: $0))
                        }
                    }
                }
                unsafe closedir(stream)
                return 0
            }
        }
        return names
    }

    /// What a symbolic link points at. The corresponding C function is `readlink`.
    package static func readLink(_ path: FilePath) throws(HostError) -> String {
        var target = [UInt8](repeating: 0, count: 4096)
        let length = try callThroughSignals(.read, .file(path.string)) {
            // SAFETY: the path lives for the call, and the kernel writes at most the buffer's own length.
            unsafe path.withPlatformString { path in
                unsafe target.withUnsafeMutableBytes { buffer in
                    guard let bytes = unsafe buffer.bindMemory(to: CChar.self).baseAddress else { return 0 }
                    let length = unsafe readlink(path, bytes, buffer.count)
                    return length < 0 ? -Int64(errno) : Int64(length)
                }
            }
        }
        return String(decoding: target[..<Int(length)], as: UTF8.self)
    }

    /// A file's inode number. The corresponding C function is `fstat`.
    static func inode(_ file: FileDescriptor, name: String) throws(HostError) -> UInt64 {
        UInt64(try status(of: file, name: name).inode.rawValue)
    }
}
