package import HostMemory
import SystemPackage

/// What has gone wrong with the kernel since it was booted: the bits of /proc/sys/kernel/tainted.
package struct KernelTaint: Hashable, Sendable {
    /// One bit for each kind (Documentation/admin-guide/tainted-kernels.rst).
    package let bits: UInt64

    /// Parses the file's text; nil for anything but one number.
    package init?(_ text: String) {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 1, let bits = UInt64(words[0]) else { return nil }
        self.bits = bits
    }

    /// Whether the kernel has found a struct page in a state that must not be (bit 5, TAINT_BAD_PAGE).
    package var hasBadPage: Bool { bits >> 5 & 1 == 1 }

    /// Asks this host; nil where the file is hidden.
    package static func current() throws(HostError) -> KernelTaint? {
        try HostKernel.unlessHidden { () throws(HostError) in
            KernelTaint(try HostKernel.readText("/proc/sys/kernel/tainted"))
        }
    }
}
