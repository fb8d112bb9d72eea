import HostMemory
import VmemmapEmulator

/// The first question's answer, in a few sentences: what one would get, whether it is on, and how to turn it on.
enum PlanAnswer {
    /// The sentences, a line each.
    static func lines(_ result: PlanResult) -> [String] {
        let scheme = result.configuration.schemes.first ?? .head
        if !result.architectures.isEmpty {
            return (result.isOfDevices ? [deviceVersions + "."] : []) + Architecture.notInMainline(scheme)
        }
        // A host's kernel tells of its HugeTLB itself.
        let architecture = result.architecture ?? (result.isOfDevices ? .ofHost : nil)
        if let architecture, !architecture.isInMainline(scheme) {
            return [forecast(result), architecture.mainline(scheme)]
        }
        if result.isOfFutureKernels { return [forecast(result)] }
        if result.isOfDevices { return [forecast(result), deviceDax(result), missingSizes(result)].compactMap(\.self) }
        if let architecture { return [forecast(result), architecture.mainline(scheme)] }
        // Whether it is on says nothing of huge pages that this kernel does not have.
        if let missing = missingSizes(result) { return [forecast(result), missing] }
        return [forecast(result), pools(result), state(result.kernel)]
    }

    /// What would be freed of the memory asked for.
    private static func forecast(_ result: PlanResult) -> String {
        let forecast = result.forecast
        // Elsewhere, this kernel's scheme is no more than a default.
        let asked = result.configuration.schemes
        let isAsked = asked.contains(result.kernelScheme)
        let scheme = !isAsked && result.isElsewhere || result.isOfDevices ? asked[0] : result.kernelScheme
        let version = KernelVersion(release: result.host.kernelRelease).map { "Linux \($0)" } ?? "Linux"
        let who =
            result.isOfDevices
            ? "A kernel with this memory as device DAX"
            : result.isElsewhere || result.isOfFutureKernels || missingSizes(result) != nil
                ? "A kernel with the \(scheme.rawValue) scheme"
                : "This host's kernel (\(version), \(scheme.rawValue) scheme)"
        let rows = forecast.rows.filter { $0.scheme == scheme }
        guard !rows.isEmpty else { return "This kernel's own scheme, \(scheme.rawValue), was not asked for." }
        let whole = Format.bytes(forecast.structPageBytes)
        let tables = forecast.deductsPageTables ? ", page tables deducted." : "; that takes no page tables."
        guard !result.configuration.pools.isEmpty else {
            let amounts = rows.map {
                "\(Format.bytes($0.kernelNetBytes)) in huge pages of \(Format.bytes($0.hugePageBytes))"
            }
            let memory = (result.isHostMemory ? "all of " : "") + Format.bytes(forecast.memoryBytes)
            return "\(who) would free, of \(whole) of struct pages, with \(memory) in huge pages: "
                + amounts.joined(separator: ", or ") + tables
        }
        let net = forecast.kernelNetBytes(scheme)
        let share = result.configuration.ofBytes.value.map { all in
            let share = Double(net.rawValue) / Double(all.rawValue)
            return " That is \(Format.percent(share)) of \(Format.bytes(all))."
        }
        return "\(who) would free \(Format.bytes(net)) of \(whole) of struct pages of these "
            + "\(Format.bytes(forecast.memoryBytes))\(tables)\(share ?? "")"
    }

    /// Since when Linux shares the vmemmap of devices, and where.
    private static var deviceVersions: String {
        let first = Scheme.deviceDax.firstLinux
        return "Linux has that since \(first.major).\(first.minor) on x86-64, later on riscv and on powerpc with radix "
            + "page tables"
    }

    /// Linux's conditions (`vmemmap_can_optimize()`).
    private static func deviceDax(_ result: PlanResult) -> String {
        let size = result.configuration.structPageSizeBytes
        guard size.isPowerOfTwo else {
            return
                "\(deviceVersions), but not where a struct page has \(size.rawValue) bytes, which is no power of two: "
                + "all of them are built then (vmemmap_can_optimize())."
        }
        return
            "\(deviceVersions); nothing turns it on or off. The struct pages are built so where a device is aligned to "
            + "its huge pages (ndctl create-namespace --mode devdax --align) and they lie in main memory (--map mem), "
            + "not on the device."
    }

    /// Which of the sizes of huge page this host's kernel does not have; nil where it has all, or it is not known.
    private static func missingSizes(_ result: PlanResult) -> String? {
        if result.isElsewhere { return nil }
        let schemes = result.configuration.schemes
        let ofHugeTLB = result.isOfDevices ? nil : result.kernel.pools.value?.map(\.hugePageBytes)
        guard let known = ofHugeTLB ?? Architecture.ofHost?.hugePageSizes(of: schemes).map(\.bytes) else { return nil }
        let missing = Set(result.forecast.rows.map(\.hugePageBytes)).subtracting(known).sorted()
        if missing.isEmpty { return nil }
        let others = Set(Architecture.allCases.flatMap { $0.hugePageSizes(of: schemes) }.map(\.bytes))
        return "This host's kernel has no huge pages of \(missing.map { Format.bytes($0) }.joined(separator: " or "))"
            + (result.isOfDevices ? " for device DAX" : "")
            + (others.isSuperset(of: missing) ? "; --arch plans for one that has." : ".")
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
