import HostMemory
import SystemPackage

/// What this host says of itself in /proc and /sys, for the search for its page tables.
enum HostHints {
    /// Throws where the kernel's memory cannot be read, or may not be: architecture, Xen, lockdown, memory that is not
    /// accepted.
    static func checkSupport() throws(KernelMemoryError) {
        #if !arch(x86_64)
            let machine = try? HostKernel.readText("/proc/sys/kernel/arch").split(whereSeparator: \.isWhitespace).first
            throw .otherArchitecture(machine.map(String.init) ?? "another architecture")
        #endif
        try checkSupport(
            hypervisor: try? HostKernel.readText("/sys/hypervisor/type"),
            guestType: try? HostKernel.readText("/sys/hypervisor/guest_type"),
            lockdown: try? HostKernel.readText("/sys/kernel/security/lockdown"),
            meminfo: try? HostKernel.readText("/proc/meminfo"))
    }

    /// The same of texts; nil where there is no such file. Pure.
    static func checkSupport(
        hypervisor: String?, guestType: String?, lockdown: String?, meminfo: String?
    ) throws(KernelMemoryError) {
        func word(_ text: String?) -> Substring? { text?.split(whereSeparator: \.isWhitespace).first }
        if word(hypervisor) == "xen", word(guestType) == "PV" { throw .xenPV }
        if lockdown?.contains("[confidentiality]") == true { throw .lockdown }
        // A confidential guest (TDX, SEV-SNP) may be ended for touching what it has not accepted.
        let unaccepted = meminfo?.split(separator: "\n").first { $0.hasPrefix("Unaccepted:") }
        if let unaccepted, word("\(unaccepted.dropFirst("Unaccepted:".count))") != "0" {
            throw .notSupported("memory that this guest has not accepted yet (/proc/meminfo)")
        }
    }

    /// Where memory ends now, in frames.
    static func endFrame() throws(KernelMemoryError) -> UInt64 {
        var hints = LayoutHints()
        do throws(HostError) { hints.take(zoneinfo: try HostKernel.readText("/proc/zoneinfo")) } catch {
            throw .host(error)
        }
        return hints.endFrame
    }

    /// What is known before anything is read of the kernel's memory.
    static func current() throws(KernelMemoryError) -> LayoutHints {
        var hints = LayoutHints()
        do throws(HostError) {
            hints.take(cpuinfo: try HostKernel.readText("/proc/cpuinfo"))
            hints.take(zoneinfo: try HostKernel.readText("/proc/zoneinfo"))
        } catch {
            throw .host(error)
        }
        hints.notePlace = (try? HostKernel.readText("/sys/kernel/vmcoreinfo")).flatMap { .init($0) }
        if let bytes = try? HostKernel.readBytes("/sys/kernel/btf/vmlinux") { hints.take(btf: bytes) }
        return hints
    }
}

/// A page of this process's own with random bytes, for as long as it is needed.
struct OwnMemory: ~Copyable {
    let page: LayoutHints.OwnPage
    private let range: AddressRange

    init() throws(KernelMemoryError) {
        do throws(HostError) {
            let length = ByteCount(BasePage.bytes)
            let range = try HostKernel.mapRegion(length: length, alignment: length)
            do throws(HostError) {
                page = try Self.fill(range)
            } catch {
                try? HostKernel.unmapRegion(range)
                throw error
            }
            self.range = range
        } catch {
            throw .host(error)
        }
    }

    deinit { try? HostKernel.unmapRegion(range) }

    private static func fill(_ range: AddressRange) throws(HostError) -> LayoutHints.OwnPage {
        try HostKernel.forbidHugePages(range)
        var generator = SystemRandomNumberGenerator()
        let words = (0..<BasePage.words).map { _ in generator.next() }
        for (index, word) in words.enumerated() {
            // SAFETY: the region is this function's own, writable, and holds as many words as a page.
            unsafe MemoryAccess.store(word, at: range.start + ByteCount(index * 8))
        }
        var frame: UInt64 = 0
        try PageMap.forEachPage(in: range) { (page) throws(HostError) in frame = page.entry.pfn }
        return LayoutHints.OwnPage(
            address: UInt64(range.start.rawValue), words: words, frame: frame == 0 ? nil : frame)
    }
}
