import FoundationEssentials
import FuzzSupport
import HostMemory
import VmemmapEmulator
@testable import VmemmapTool

// Any text as a pool script: what is read, printed and read again is the same statement, and a script on a small
// machine runs, on real memory, to its end or to an error.

@main
enum PoolScriptsFuzz {
    private static let seeds =
        [
            "boot memory=8M hugepages=2 hugetlb_free_vmemmap=on release=deferred restore_failure=surplus "
                + "policy=pool-only\nnr_overcommit_hugepages 2M 3\nreserve 2M 1\nalloc 2M 2\nwalkers 1\n"
                + "poison #1+5\npage #2+7\nfree all\nflush\n"
                + "dissolve 0x200\nbudget 3\nnr_hugepages 2M 0\nexpect ENOMEM\nbudget off\n"
                + "unreserve 2M 1\nmeminfo\nvmstat\n",
            "boot memory=9M hugepagesz=2M hugepages=2 reserved=3M-4M hugetlb_free_vmemmap=on\n"
                + "reserve 2M 1 shared\ntouch 2M 4\nexpect SIGBUS\nfree all\nbudget 9223372036854775807 shared\n"
                + "nr_hugepages 2M 9223372036854775807\nnr_hugepages 2M 0\n"
                + "nr_overcommit_hugepages 2M 4611686018427387904\n"
                + "alloc 2M 3\npoison #1+511\nunreserve 2M 9223372036854775807\ndemote 1G 1 node=0\nbudget 1 shared\n"
                + "nr_hugepages 2M 4611686018427387904\ntouch 2M 9223372036854775807\nfree all\n",
            "boot memory=16M scheme=shared-tail backing=memfd tail_frames=auto keep_pages=off pmd_mapped=off "
                + "struct_page_size=64\nsysctl vm.hugetlb_optimize_vmemmap=1\nnr_hugepages 2M 4\n"
                + "nr_hugepages 1G 1\ndemote 0\nexpect free_pages 2048\n",
            "boot arch=s390 memory=8M hugepages=2 hugetlb_free_vmemmap=on\nnr_hugepages 1M 3\npoison 255\n"
                + "boot arch=arm64-64k memory=512M hotplug=512M\nalloc 512M\nhotplug 512M\ndemote 16G 1\noffline\n",
        ]

    static func main() { unsafe FuzzSupport.run(seeds: seeds) { unsafe test($0, $1) } }
}

/// One input. libFuzzer's archive wants it by this name, too.
@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let lines = unsafe FuzzSupport.text(bytes, count).split(separator: "\n")
    var isSmall = lines.count <= 32
    var sizes = MachineSizes.x86
    for line in lines {
        guard let statement = try? PoolScript.parse(line, sizes) else { continue }
        let printed = ScriptText.line(statement)
        FuzzSupport.require((try? PoolScript.parse(printed[...], sizes)) == statement, "\(statement): \(printed)")
        if case .boot(let boot) = statement {
            let configuration = boot.configuration
            sizes = configuration.sizes
            // A larger one takes longer, and nothing else. Waiting for memory that does not come takes half a second.
            isSmall =
                isSmall && configuration.memory.rawValue / configuration.sizes.basePage.rawValue <= 1 << 14
                && configuration.restoreFailure != .wait
        }
    }
    if isSmall { run(lines) }
    return 0
}

private func run(_ lines: [Substring]) {
    let session = PoolSession()
    for line in lines {
        do throws(PoolSessionError) {
            _ = try session.run(line)
        } catch {
            // A line that is none ends a script; what the host refuses does too.
            return
        }
    }
}
