import Glibc
package import SystemPackage

/// Equal pieces of memory, each `stride` bytes after the one before: page 1 of every huge page, say.
package struct StridedPieces: Sendable {
    /// The first byte of the first piece.
    package var first: Address
    /// From the start of one piece to the start of the next.
    package var stride: ByteCount
    /// The length of each piece.
    package var length: ByteCount
    /// How many there are.
    package var count: Int

    /// `count` pieces of `length` bytes, `stride` apart. Neither a length of 0 nor a count below 0 can be written or
    /// read.
    package init(first: Address, stride: ByteCount, length: ByteCount, count: Int) {
        self.first = first
        self.stride = stride
        self.length = length
        self.count = count
    }

    /// All bytes in all pieces.
    package var total: ByteCount { length * count }

    /// The most pieces that one call moves: their `iovec`s take no more than a stack may be asked for, so that the loop
    /// allocates nothing.
    package static var mostInOneCall: Int { 64 }

    /// What is left after `pieces` whole pieces.
    private func dropping(_ pieces: Int) -> StridedPieces {
        StridedPieces(
            first: first + ByteCount(stride.rawValue &* pieces), stride: stride, length: length,
            count: count - pieces)
    }

    /// Throws unless there are pieces, or none of some length.
    fileprivate func check(_ operation: HostOperation, name: String) throws(HostError) {
        if length <= .zero || count < 0 { throw HostError(.invalidArgument, operation, .file(name)) }
    }

    /// Calls `body` with the first pieces, at most ``mostInOneCall``, as an array of `iovec` on the stack.
    @inline(__always)
    fileprivate func withVectors(_ body: (UnsafePointer<iovec>?, CInt) -> Int) -> Int64 {
        let count = min(count, Self.mostInOneCall)
        // SAFETY: the kernel checks the addresses that it is given. Each `iovec` up to `count` is initialized.
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { vectors in
            for index in 0..<count {
                let start = first + ByteCount(stride.rawValue &* index)
                let piece = unsafe iovec(iov_base: start.pointer, iov_len: length.rawValue)
                unsafe vectors.initializeElement(at: index, to: piece)
            }
            return unsafe HostKernel.result(body(UnsafePointer(vectors.baseAddress), CInt(count)))
        }
    }

    /// Repeats `move` until every piece is moved. A short count of whole pieces goes on behind them; a piece that was
    /// moved in part is moved again from its start, which writes the same bytes twice and is harmless.
    @inline(__always)
    fileprivate func forEachCall(
        from offset: ByteCount, _ move: (StridedPieces, ByteCount) throws(HostError) -> Int64
    ) throws(HostError) -> Bool {
        var rest = self
        var offset = offset
        while rest.count > 0 {
            let whole = Int(try move(rest, offset)) / length.rawValue
            if whole == 0 { return false }
            rest = rest.dropping(whole)
            offset += length * whole
        }
        return true
    }
}

extension HostKernel {
    /// Writes `pieces` one behind the other into a file. The corresponding C function is `pwritev`.
    ///
    /// Throws ``HostError/Code-swift.struct/noSpace`` when the file takes no more, and
    /// ``HostError/Code-swift.struct/invalid`` for pieces that are none.
    package static func gather(
        _ pieces: StridedPieces, into file: FileDescriptor, at offset: ByteCount, name: String
    ) throws(HostError) {
        try pieces.check(.write, name: name)
        let done = try pieces.forEachCall(from: offset) { (rest, offset) throws(HostError) in
            try callThroughSignals(.write, .file(name)) {
                // SAFETY: the kernel reads the pieces, or says that nothing is there.
                unsafe rest.withVectors { unsafe pwritev(file.rawValue, $0, $1, offset.rawValue) }
            }
        }
        if !done { throw HostError(.noSpace, .write, .file(name)) }
    }

    /// Reads `pieces` from a file, where they lie one behind the other. The corresponding C function is `preadv`.
    ///
    /// Throws ``HostError/Code-swift.struct/unreadable`` when the file ends before the last piece, and
    /// ``HostError/Code-swift.struct/invalid`` for pieces that are none.
    package static func scatter(
        _ pieces: StridedPieces, from file: FileDescriptor, at offset: ByteCount, name: String
    ) throws(HostError) {
        try pieces.check(.read, name: name)
        let done = try pieces.forEachCall(from: offset) { (rest, offset) throws(HostError) in
            try callThroughSignals(.read, .file(name)) {
                // SAFETY: the caller owns the pieces, which the kernel writes, or says that nothing is there.
                unsafe rest.withVectors { unsafe preadv(file.rawValue, $0, $1, offset.rawValue) }
            }
        }
        if !done { throw HostError(unreadable: name) }
    }
}
