package import HostMemory
import SystemPackage

/// KSM, the kernel's thread that merges pages with equal contents (`/sys/kernel/mm/ksm`): its tunables and its
/// counters.
package enum SamePageMerging {
    private static let folder: FilePath = "/sys/kernel/mm/ksm"

    /// 0: ksmd rests; 1: it runs; 2: everything merged is taken apart again.
    package static let run = setting("run")
    /// Pages that ksmd looks at before it sleeps.
    package static let pagesToScan = setting("pages_to_scan")
    /// How long it sleeps.
    package static let sleepMilliseconds = setting("sleep_millisecs")
    /// The most pages that show one frame. The kernel lets it be changed only while nothing is merged.
    package static let maxPageSharing = setting("max_page_sharing")

    /// What a comparison changes, in the order in which it is to be put back.
    package static let tunables = [maxPageSharing, pagesToScan, sleepMilliseconds, run]

    /// What has to be written before ``tunables`` can be put back: it takes merged pages apart.
    package static let clearing = (setting: run, value: 2)

    /// Frames saved: pages that show a frame which another page shows too, beyond the first (pages_sharing). All
    /// processes together.
    package static func pagesSaved() throws(HostError) -> PageCount { PageCount(try number("pages_sharing")) }

    /// Whether somebody uses it: ksmd runs, its advisor sets the tunables, or there are merged pages.
    package static func isInUse() throws(HostError) -> Bool {
        if try run.value() != 0 { return true }
        if try number("pages_shared") != 0 { return true }
        // Linux 6.8; before, nobody but root sets them.
        let advisor = (try? HostKernel.readText(folder.appending("advisor_mode"))).flatMap(HostDescription.chosen)
        return advisor ?? "none" != "none"
    }

    private static func setting(_ name: String) -> HostSetting {
        HostSetting(name: "ksm/\(name)", path: folder.appending(name), lock: SettingLock.file("ksm"))
    }

    private static func number(_ name: String) throws(HostError) -> Int {
        try HostKernel.readNumber(folder.appending(name))
    }
}
