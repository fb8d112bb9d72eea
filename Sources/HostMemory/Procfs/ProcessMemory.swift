import SystemPackage

/// What /proc/PID/smaps_rollup says of a process: its page tables' view, exact to the byte.
///
/// RSS counts page table entries, not frames: it falls when tails are remapped because the new entries are not
/// faulted in yet, and rises again when they are read, with no frame gained or lost. PSS divides each shared frame by
/// its mappings. The rollup sums before it rounds; summing `smaps` by hand rounds every shared frame to 0.
package struct SmapsRollup: Hashable, Sendable {
    /// Pages present in the page tables (Rss).
    package let rss: ByteCount
    /// The same, each frame divided by its number of mappings (Pss).
    package let pss: ByteCount
    /// The part of anonymous memory in transparent huge pages (AnonHugePages).
    package let anonHugePages: ByteCount?
    /// Shared memory that PMDs map (ShmemPmdMapped).
    package let shmemPmdMapped: ByteCount?

    /// Parses the file's text; nil if the first two are not there.
    package init?(_ text: String) {
        let fields = ProcFields(text)
        guard let rss = fields.kibibytes("Rss"), let pss = fields.kibibytes("Pss") else { return nil }
        self.rss = rss
        self.pss = pss
        anonHugePages = fields.kibibytes("AnonHugePages")
        shmemPmdMapped = fields.kibibytes("ShmemPmdMapped")
    }

    /// Reads it for this process.
    package static func current() throws(HostError) -> SmapsRollup { try of(.current) }

    /// Reads it for a process.
    package static func of(_ process: ObservedProcess) throws(HostError) -> SmapsRollup {
        let path = process.path("smaps_rollup")
        guard let rollup = SmapsRollup(try HostKernel.readText(path)) else { throw HostError(unreadable: path.string) }
        return rollup
    }
}

/// What /proc/PID/statm says, in pages. Cheap at any number of mappings, but kept per processor and so up to a few
/// pages behind.
package struct Statm: Hashable, Sendable {
    /// Address space.
    package let size: PageCount
    /// Pages present.
    package let resident: PageCount
    /// Those of them that belong to files or shared memory.
    package let shared: PageCount

    /// Parses the file's one line; nil if it is not seven numbers.
    package init?(_ text: String) {
        let words = text.split(whereSeparator: \.isWhitespace)
        let numbers = words.compactMap { Int($0) }
        guard words.count == 7, numbers.count == 7 else { return nil }
        self.size = PageCount(numbers[0])
        self.resident = PageCount(numbers[1])
        self.shared = PageCount(numbers[2])
    }

    /// Reads it for this process.
    package static func current() throws(HostError) -> Statm {
        let path: FilePath = "/proc/self/statm"
        guard let statm = Statm(try HostKernel.readText(path)) else { throw HostError(unreadable: path.string) }
        return statm
    }
}

/// What /proc/PID/status says of a process's memory.
package struct ProcessStatus: Hashable, Sendable {
    /// The last level of page tables (VmPTE).
    package let pageTables: ByteCount
    /// The most RSS there has been (VmHWM).
    package let peakRSS: ByteCount

    /// Parses the file's text; nil if a field is missing.
    package init?(_ text: String) {
        let fields = ProcFields(text)
        guard let pageTables = fields.kibibytes("VmPTE"), let peakRSS = fields.kibibytes("VmHWM") else { return nil }
        self.pageTables = pageTables
        self.peakRSS = peakRSS
    }

    /// Reads it for this process.
    package static func current() throws(HostError) -> ProcessStatus {
        let path: FilePath = "/proc/self/status"
        guard let status = ProcessStatus(try HostKernel.readText(path)) else {
            throw HostError(unreadable: path.string)
        }
        return status
    }
}
