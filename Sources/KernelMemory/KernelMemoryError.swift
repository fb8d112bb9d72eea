package import HostMemory

/// Why the kernel's memory is not read, or what was read is not to be trusted.
package enum KernelMemoryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Page tables of another form: only those of x86-64 are known.
    case otherArchitecture(String)
    /// A paravirtualized Xen guest: its page tables hold the machine's frames, not the guest's.
    case xenPV
    /// Lockdown in the mode `confidentiality` keeps the kernel's memory from everybody.
    case lockdown
    /// The kernel refuses to load the program that reads its memory.
    case notPermitted(refusal: String)
    /// Neither source is there: what BPF and what /proc/kcore said.
    case noSource(bpf: String, kcore: String)
    /// A structure of the kernel that this cannot read.
    case notSupported(String)
    /// Nothing tells it, or less than two independent ways do.
    case notFound(String, ways: [String])
    /// Two ways to find it lead to different answers.
    case disagreement(String, ways: [String])
    /// Nothing is mapped at the address, or nothing was recorded of it.
    case unreadable(KernelAddress)
    /// An entry of a page table, BTF, an ELF header or VMCOREINFO that cannot be what it should.
    case malformed(String)
    /// A recording that cannot be used: the line, from 1, and what is wrong with it.
    case recording(line: Int, String)
    /// The kernel refused something else.
    case host(HostError)

    /// Whether this host or this user cannot have it, rather than something having gone wrong.
    package var isUnavailable: Bool {
        switch self {
        case .otherArchitecture, .xenPV, .lockdown, .notPermitted, .noSource, .notSupported, .notFound, .disagreement:
            true
        case .host(let error): error.code == .notPermitted || error.code == .notSupported
        case .unreadable, .malformed, .recording: false
        }
    }

    /// What would allow it; nil if nothing would, or nothing is known to.
    package var remedy: String? {
        switch self {
        case .otherArchitecture: "run it on x86-64, or --replay a recording from there"
        case .xenPV: "run it in a hardware-virtualized (HVM or PVH) guest, or on the host"
        case .lockdown: "boot without lockdown=confidentiality (integrity does not matter)"
        case .notPermitted: "run it as root, or with CAP_BPF and CAP_PERFMON (Linux 5.8)"
        case .noSource:
            "as root: a kernel with CONFIG_BPF_SYSCALL or CONFIG_PROC_KCORE, and without lockdown=confidentiality"
        case .notFound: "a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_VMCORE_INFO, and root"
        case .host(let error) where error.code == .notPermitted: "run it as root"
        case .notSupported, .disagreement, .unreadable, .malformed, .recording, .host: nil
        }
    }

    /// One line: what is the matter. Without the remedy.
    package var description: String {
        switch self {
        case .otherArchitecture(let machine): "the page tables of \(machine) are not known here, only those of x86-64"
        case .xenPV: "this is a paravirtualized Xen guest, whose page tables hold frames of the machine, not its own"
        case .lockdown: "kernel lockdown (confidentiality) forbids reading the kernel's memory"
        case .notPermitted(let refusal): "this process may not read the kernel's memory (\(refusal))"
        case .noSource(let bpf, let kcore):
            "this kernel shows its memory neither through BPF (\(bpf)) nor in /proc/kcore (\(kcore))"
        case .notSupported(let what): "not supported: \(what)"
        case .notFound(let what, let ways):
            "\(what) could not be found in two independent ways: "
                + (ways.isEmpty ? "none" : ways.joined(separator: "; "))
        case .disagreement(let what, let ways): "ways to find \(what) disagree: \(ways.joined(separator: "; "))"
        case .unreadable(let address): "nothing can be read at \(address)"
        case .malformed(let what): "unexpected format: \(what)"
        case .recording(let line, let what): "line \(line) of the recording: \(what)"
        case .host(let error): "\(error)"
        }
    }
}
