import HostMemory
import VmemmapEmulator

/// The first question's answer, in a few sentences: what one would get, whether it is on, and how to turn it on.
enum PlanAnswer {
    /// The sentences, a line each.
    static func lines(_ result: PlanResult) -> [String] {
        if result.isOfDevices { return [forecast(result), deviceDax(result)] }
        guard let architecture = result.configuration.architecture.value.flatMap(Architecture.init(rawValue:)) else {
            return [forecast(result), pools(result), state(result.kernel), missingSizes(result)].compactMap(\.self)
        }
        return [forecast(result), architecture.mainline]
    }

    /// What would be freed of the memory asked for.
    private static func forecast(_ result: PlanResult) -> String {
        let forecast = result.forecast
        let scheme = result.isOfDevices ? Scheme.deviceDax : result.kernelScheme
        let version = KernelVersion(release: result.host.kernelRelease).map { "Linux \($0)" } ?? "Linux"
        let who =
            result.isOfDevices
            ? "A kernel with this memory as device DAX"
            : result.isElsewhere || missingSizes(result) != nil
                ? "A kernel with the \(scheme.rawValue) scheme"
                : "This host's kernel (\(version), \(scheme.rawValue) scheme)"
        let rows = forecast.rows.filter { $0.scheme == scheme }
        guard !rows.isEmpty else { return "This kernel's own scheme, \(scheme.rawValue), was not asked for." }
        let whole = Format.bytes(forecast.structPageBytes)
        guard !result.configuration.pools.isEmpty else {
            let amounts = rows.map {
                "\(Format.bytes($0.kernelNetBytes)) in huge pages of \(Format.bytes($0.hugePageBytes))"
            }
            let memory = (result.isHostMemory ? "all of " : "") + Format.bytes(forecast.memoryBytes)
            return "\(who) would free, of \(whole) of struct pages, with \(memory) in huge pages: "
                + amounts.joined(separator: ", or ") + ", page tables deducted."
        }
        let net = forecast.kernelNetBytes(scheme)
        let share = result.configuration.ofBytes.value.map { all in
            let percent = 100 * Double(net.rawValue) / Double(all.rawValue)
            return " That is \(Format.decimal(percent, 2)) % of \(Format.bytes(all))."
        }
        return "\(who) would free \(Format.bytes(net)) of \(whole) of struct pages of these "
            + "\(Format.bytes(forecast.memoryBytes)), page tables deducted.\(share ?? "")"
    }

    /// Linux's conditions (`vmemmap_can_optimize()`).
    private static func deviceDax(_ result: PlanResult) -> String {
        let first = Scheme.deviceDax.firstLinux
        let versions =
            "Linux has that since \(first.major).\(first.minor) on x86-64, later on riscv and on powerpc with radix "
            + "page tables"
        let size = result.configuration.structPageSizeBytes
        guard size.isPowerOfTwo else {
            return
                "\(versions), but not where a struct page has \(size.rawValue) bytes, which is no power of two: all of "
                + "them are built then (vmemmap_can_optimize())."
        }
        return
            "\(versions); nothing turns it on or off. The struct pages are built so where a device is aligned to its "
            + "huge pages (ndctl create-namespace --mode devdax --align) and they lie in main memory (--map mem), not "
            + "on the device."
    }

    /// Which of the sizes of huge page this host's kernel does not have; nil where it has all, or does not tell.
    private static func missingSizes(_ result: PlanResult) -> String? {
        guard let pools = result.kernel.pools.value, !result.isElsewhere else { return nil }
        let planned = Set(result.forecast.rows.map(\.hugePageBytes))
        let missing = planned.subtracting(pools.map(\.hugePageBytes)).sorted()
        if missing.isEmpty { return nil }
        return "This host's kernel has no huge pages of \(missing.map { Format.bytes($0) }.joined(separator: " or ")); "
            + "--arch plans for one that has."
    }

    /// What it would free of the host's pools as they are.
    private static func pools(_ result: PlanResult) -> String {
        guard let pools = result.kernel.pools.value else {
            return "Its pools cannot be read: /sys/kernel/mm/hugepages is hidden."
        }
        if pools.isEmpty { return "It has no pool of huge pages: a kernel without HugeTLB." }
        let known = pools.compactMap { pool in pool.asItIs.value.map { (pool.hugePageBytes, $0) } }
        let filled = known.filter { $0.1.pages > .zero }
        guard known.count == pools.count else { return "What its pools have cannot be read." }
        guard !filled.isEmpty else { return "Its pools are empty now: with them it frees nothing." }
        let parts = filled.map { size, saving in
            "\(Format.count(saving.pages.rawValue)) of \(Format.bytes(size)), \(Format.bytes(saving.netBytes))"
        }
        return "Of the pools as they are: " + parts.joined(separator: "; ") + "."
    }

    /// Whether it is on, and how to turn it on.
    private static func state(_ kernel: KernelOverview) -> String {
        switch (kernel.isConfigured.value, kernel.isOptimizing.value) {
        case (true, true?): "It is on: huge pages made now are optimized."
        case (true, false?):
            "It is off. For huge pages made from then on: sudo sysctl vm.hugetlb_optimize_vmemmap=1; at boot: "
                + "hugetlb_free_vmemmap=on."
        case (true, nil): "Whether it is on cannot be read; at boot, hugetlb_free_vmemmap=on turns it on."
        case (false, _): "It was built without it: CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP is not set."
        case (nil, _): "Nothing says whether it was built with it (vmemmap kernel tells what was looked at)."
        }
    }
}
