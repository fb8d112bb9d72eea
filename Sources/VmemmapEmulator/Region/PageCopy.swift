import CSystemShims
import HostMemory

/// Copying whole vmemmap pages.
enum PageCopy {
    /// Copies `length` bytes from `source` to `target`.
    ///
    /// - Safety: `source` is mapped readable, `target` read-write and known to nobody else; they do not overlap.
    @unsafe static func copy(_ source: Address, to target: Address, _ length: ByteCount) {
        // SAFETY: the caller answers for both.
        guard let source = unsafe source.pointer(as: UInt8.self), let target = unsafe target.pointer(as: UInt8.self)
        else { return }
        unsafe UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: length.rawValue)
    }

    /// Makes a copy of page 0 a vmemmap page of tails: the struct pages in use become like the first one that is not.
    /// `reset_struct_pages()` in the kernel, which restores the head scheme.
    ///
    /// - Safety: `page` is a whole vmemmap page, mapped read-write and known to nobody else.
    @unsafe static func resetUsedStructPages(_ page: Address, structPageSize: ByteCount) {
        let used = StructPage.usedSubpages
        for index in 0..<used {
            unsafe copy(
                page + structPageSize * used, to: page + structPageSize * index, structPageSize)
        }
    }
}
