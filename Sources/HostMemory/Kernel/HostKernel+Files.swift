import CSystemShims
import Glibc
package import SystemPackage

extension HostKernel {
    /// Creates an anonymous memory file. The corresponding C function is `memfd_create`.
    ///
    /// - Parameters:
    ///   - name: as others see it.
    ///   - hugePageSize: of huge pages of the host's pools, a power of two, which it is made of; nil: of base pages.
    package static func createMemoryFile(
        name: String, hugePageSize: ByteCount? = nil
    ) throws(HostError) -> FileDescriptor {
        let shift = UInt32(hugePageSize?.rawValue.trailingZeroBitCount ?? 0)
        let result = try callThroughSignals(.createFile, .file(name)) {
            // SAFETY: the name is a C string that lives for the call, and the kernel copies it.
            unsafe name.withCString { unsafe vme_memfd_create($0, shift) }
        }
        return FileDescriptor(rawValue: CInt(result))
    }

    /// Opens a file. The corresponding C function is `open`.
    package static func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions = [.closeOnExec],
        permissions: FilePermissions? = nil
    ) throws(HostError) -> FileDescriptor {
        let result = try callThroughSignals(.open, .file(path.string)) {
            shimResult {
                try FileDescriptor.open(
                    path, mode, options: options, permissions: permissions, retryOnInterrupt: false
                ).rawValue
            }
        }
        return FileDescriptor(rawValue: CInt(result))
    }

    /// Closes a descriptor. The corresponding C function is `close`.
    ///
    /// Not repeated after EINTR: on Linux the descriptor is gone by then, whatever `close` reports. So it is where a
    /// fault is injected.
    package static func close(_ file: FileDescriptor) throws(HostError) {
        let result = shimResult {
            try file.close()
            return 0
        }
        _ = try call(.close, .process) { result }
    }

    /// Sets a file's length. The corresponding C function is `ftruncate`.
    package static func setLength(_ file: FileDescriptor, _ length: ByteCount, name: String) throws(HostError) {
        _ = try callThroughSignals(.setLength, .file(name)) { result(ftruncate(file.rawValue, length.rawValue)) }
    }

    /// Fixes a memory file's length for good. The corresponding C function is `fcntl` with F_ADD_SEALS.
    package static func sealLength(_ file: FileDescriptor, name: String) throws(HostError) {
        _ = try callThroughSignals(.seal, .file(name)) {
            vme_seal_length(file.rawValue)
        }
    }

    /// Gives a range of a memory file back to the host; it reads as zeros from then on. The corresponding C function
    /// is `fallocate`.
    package static func punchHole(
        _ file: FileDescriptor, offset: ByteCount, length: ByteCount, name: String
    ) throws(HostError) {
        _ = try callThroughSignals(.punchHole, .file(name)) {
            vme_punch_hole(file.rawValue, Int64(offset.rawValue), Int64(length.rawValue))
        }
    }

    /// Where the next page with a frame lies, from `offset` on; nil if there is none. The corresponding C function is
    /// `lseek` with SEEK_DATA. Moves the file's position. Throws ``HostError/Code-swift.struct/invalid`` for an offset
    /// below 0.
    package static func nextData(
        _ file: FileDescriptor, from offset: ByteCount, name: String
    ) throws(HostError) -> ByteCount? {
        // The kernel's answer to it is that of the end of the file.
        if offset < .zero { throw HostError(.invalidArgument, .seek, .file(name)) }
        do throws(HostError) {
            let found = try callThroughSignals(.seek, .file(name)) {
                result(lseek(file.rawValue, offset.rawValue, 3))  // SEEK_DATA, which glibc shows to GNU sources only
            }
            return ByteCount(Int(found))
        } catch  where error.errno == .noSuchAddressOrDevice {
            return nil
        }
    }

    /// Moves a file's position to its end. The corresponding C function is `lseek`.
    package static func seekToEnd(_ file: FileDescriptor, name: String) throws(HostError) {
        _ = try callThroughSignals(.seek, .file(name)) { shimResult { try file.seek(offset: 0, from: .end) } }
    }

    /// What a file occupies: `st_blocks` in bytes. The corresponding C function is `fstat`.
    package static func allocatedBytes(_ file: FileDescriptor, name: String) throws(HostError) -> ByteCount {
        ByteCount(Int(try status(of: file, name: name).blocksAllocated) * 512)
    }

    /// What a file is best written in: `st_blksize`. The corresponding C function is `fstat`.
    static func blockSize(_ file: FileDescriptor, name: String) throws(HostError) -> ByteCount {
        ByteCount(Int(try status(of: file, name: name).preferredIOBlockSize))
    }

    /// Reads up to `buffer.count` bytes from the current position; 0 at the end. The corresponding C function is
    /// `read`.
    package static func read(
        _ file: FileDescriptor, into buffer: inout [UInt8], name: String
    ) throws(HostError) -> Int {
        let read = try callThroughSignals(.read, .file(name)) {
            shimResult {
                // SAFETY: the kernel writes at most the buffer's own length into it.
                try unsafe buffer.withUnsafeMutableBytes { try unsafe file.read(into: $0, retryOnInterrupt: false) }
            }
        }
        return Int(read)
    }

    /// Reads up to `buffer.count` bytes from the file's start: a file of /proc makes its text anew then. The
    /// corresponding C function is `pread`.
    package static func readFromStart(
        _ file: FileDescriptor, into buffer: inout [UInt8], name: StaticString
    ) throws(HostError) -> Int {
        let read = try callThroughSignals(.read, .file("\(name)")) {
            shimResult {
                // SAFETY: the kernel writes at most the buffer's own length into it.
                try unsafe buffer.withUnsafeMutableBytes {
                    try unsafe file.read(fromAbsoluteOffset: 0, into: $0, retryOnInterrupt: false)
                }
            }
        }
        return Int(read)
    }

    /// Reads 64-bit words at a position given in words; fewer than asked for at the end. The corresponding C function
    /// is `pread`.
    package static func readWords(
        _ file: FileDescriptor, atWord position: UInt64, into buffer: inout [UInt64], name: String
    ) throws(HostError) -> Int {
        // No file reaches further than this, and pread takes no larger offset.
        guard position < UInt64(Int64.max) / 8 - UInt64(buffer.count) else { return 0 }
        let read = try callThroughSignals(.read, .file(name)) {
            shimResult {
                // SAFETY: the kernel writes at most the buffer's own length into it.
                try unsafe buffer.withUnsafeMutableBytes {
                    try unsafe file.read(fromAbsoluteOffset: Int64(position) * 8, into: $0, retryOnInterrupt: false)
                }
            }
        }
        return Int(read) / 8
    }

    /// Writes all of `bytes` at the current position, and waits where whoever shares the file has set it not to
    /// (O_NONBLOCK). The corresponding C functions are `write` and `poll`.
    package static func write(_ bytes: [UInt8], to file: FileDescriptor, name: String) throws(HostError) {
        var written = 0
        while written < bytes.count {
            do throws(HostError) {
                let count = try callThroughSignals(.write, .file(name)) {
                    shimResult {
                        // SAFETY: the kernel reads the array's own bytes and no others.
                        try unsafe bytes.withUnsafeBytes {
                            try unsafe file.write(
                                UnsafeRawBufferPointer(rebasing: $0[written...]), retryOnInterrupt: false)
                        }
                    }
                }
                written += Int(count)
            } catch  where error.errno == .resourceTemporarilyUnavailable {
                try waitUntilWritable(file)
            }
        }
    }

    /// Waits until one of some descriptors can be read, and tells which; a negative one is left out. The
    /// corresponding C function is `poll`.
    static func waitUntilReadable(_ descriptors: [CInt]) throws(HostError) -> [Bool] {
        var waits = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        _ = try callThroughSignals(.wait, .process) {
            // SAFETY: the array is this function's own, and has so many elements.
            unsafe result(poll(&waits, nfds_t(waits.count), -1))
        }
        return waits.map { $0.revents != 0 }
    }

    private static func waitUntilWritable(_ file: FileDescriptor) throws(HostError) {
        var waiting = pollfd(fd: file.rawValue, events: Int16(POLLOUT), revents: 0)
        _ = try callThroughSignals(.wait, .process) {
            // SAFETY: the structure is this function's own.
            unsafe result(poll(&waiting, 1, -1))
        }
    }

    /// Removes a file. The corresponding C function is `unlink`.
    package static func remove(_ path: FilePath) throws(HostError) {
        _ = try call(.remove, .file(path.string)) {
            // SAFETY: the path is a C string that lives for the call.
            unsafe path.withPlatformString { unsafe result(unlink($0)) }
        }
    }

    /// The value of a call that throws `Errno`, or -errno as the shims have it.
    @inline(__always)
    package static func shimResult<Number: BinaryInteger>(_ body: () throws -> Number) -> Int64 {
        do {
            return Int64(try body())
        } catch let error as Errno {
            return Int64(-error.rawValue)
        } catch {
            return Int64(-Errno.ioError.rawValue)
        }
    }
}
