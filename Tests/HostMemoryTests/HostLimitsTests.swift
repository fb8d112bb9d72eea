@testable import HostLab
import Glibc
import SystemPackage
import Testing

@testable import HostMemory

@Suite("The host")
struct HostLimitsTests {
    @Test("The page size is a power of two that the kernel agrees with")
    func pageSize() throws {
        let size = HostLimits.pageSize.rawValue
        #expect(size >= 4096 && size & (size - 1) == 0)
        let smaps = ProcFields(try HostKernel.readText("/proc/self/smaps"))
        #expect(smaps.kibibytes("KernelPageSize") == HostLimits.pageSize)
    }

    @Test("The limit of mappings is the sysctl")
    func maxMapCount() throws {
        let text = try HostKernel.readText("/proc/sys/vm/max_map_count")
        #expect("\(try HostLimits.maxMapCount().rawValue)\n" == text)
    }

    @Test("Available memory is MemAvailable, or what a cgroup leaves of it")
    func availableMemory() throws {
        let fields = ProcFields(try HostKernel.readText("/proc/meminfo"))
        let total = try #require(fields.kibibytes("MemTotal"))
        let available = try HostLimits.availableMemory()
        #expect(available.bytes > .zero && available.bytes <= total)
        #expect(["MemAvailable", "the memory cgroup's limit"].contains(available.source))
        if available.source == "MemAvailable" {
            // The two readings are moments apart, with other tests between them.
            let now = try #require(fields.kibibytes("MemAvailable"))
            #expect(abs((now - available.bytes).rawValue) < total.rawValue / 4)
        }
    }

    @Test("Not even a limit that cannot be read is guessed", arguments: [HostOperation.open, .read, .close])
    func refused(operation: HostOperation) {
        let fault = InjectedFault(first: 1, errno: .permissionDenied, operations: [operation])
        let (limit, _) = fault.during { HostError.thrown { () throws(HostError) in _ = try HostLimits.maxMapCount() } }
        #expect(limit?.code == .notPermitted)
    }

    @Test(
        "The word in brackets is the chosen one",
        arguments: [
            ("always [madvise] never\n", "madvise"), ("[always] madvise never\n", "always"),
            ("always inherit madvise [never]", "never"), ("[]", ""), ("x] [y]", "y"),
        ])
    func chosen(text: String, word: String) {
        #expect(HostDescription.chosen(text) == word)
    }

    @Test(
        "Without brackets there is none",
        arguments: ["", "never", "[never", "never]", "]never[", "always madvise never\n"])
    func notChosen(text: String) {
        #expect(HostDescription.chosen(text) == nil)
    }

    @Test("The description says what the files say")
    func description() throws {
        let host = try HostDescription.current()
        #expect(host.kernelRelease + "\n" == (try HostKernel.readText("/proc/sys/kernel/osrelease")))
        #expect(["x86_64", "aarch64"].contains(host.machine))
        #expect(host.pageSize == HostLimits.pageSize)
        #expect(host.processors >= 1)
        #expect(host.maxMapCount == (try HostLimits.maxMapCount()))
        #expect(host.isRoot == Privilege.isRoot)
        #expect(host.showsFrameNumbers == Privilege.seesFrames)
        if let word = host.transparentHugePages { #expect(["always", "madvise", "never"].contains(word)) }
        #expect(host.mappingCost == .current())
    }

    @Test("A mapping costs its object and its share of the tree, where the slab can be read")
    func mappingCost() {
        let cost = MappingCost.current()
        #expect(cost.total(MappingCount(1000)) == cost.bytesPerMapping * 1000)
        switch try? HostKernel.readNumber("/sys/kernel/slab/vm_area_struct/slab_size") {
        case let object?:
            #expect(cost.source == .slab)
            #expect(cost.bytesPerMapping == ByteCount(object + 64))
            #expect(cost.bytesPerMapping > ByteCount(128) && cost.bytesPerMapping < .kibibytes(1))
        case nil:
            #expect(cost == .assumed)
        }
    }

    @Test("An ordinary user, who cannot read the slab, is told an assumption")
    func assumedCost() async {
        await #expect(processExitsWith: .success) {
            if Privilege.isRoot { try #require(setuid(65534) == 0) }
            #expect(MappingCost.current() == .assumed)
            #expect(MappingCost.assumed.bytesPerMapping == ByteCount(256))
        }
    }
}
