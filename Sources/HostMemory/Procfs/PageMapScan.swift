import CSystemShims
import SystemPackage

extension PageMap {
    /// What PAGEMAP_SCAN finds pages by: the bit of linux/fs.h.
    enum Category: UInt64 {
        /// PAGE_IS_PFNZERO: the kernel's page of zeroes, small or huge.
        case zeroPage = 0x20
        /// PAGE_IS_HUGE: mapped by a PMD.
        case pmdMapped = 0x40
    }

    /// The parts of `range` where a process shows the kernel's page of zeroes, in order of address: read, and never
    /// written since they were mapped or given back. Without privileges. Nil before Linux 6.7, which does not tell.
    package static func zeroPages(
        of process: ObservedProcess, in range: AddressRange
    ) throws(HostError) -> [AddressRange]? {
        do throws(HostError) {
            return try scan(process, for: .zeroPage, in: range)
        } catch  where error.errno == .inappropriateIOCTLForDevice {
            return nil
        }
    }

    static func scan(
        _ process: ObservedProcess, for category: Category, in range: AddressRange
    ) throws(HostError) -> [AddressRange] {
        let pagemap = try HostKernel.open(process.path("pagemap"), .readOnly)
        defer { try? HostKernel.close(pagemap) }
        return try collect(range) { (rest, triples, scanned) throws(HostError) in
            try HostKernel.scanPageMap(pagemap, for: category, rest, &triples, &scanned)
        }
    }

    /// What a scan finds in `range`, call by call. Pure.
    ///
    /// - Parameter scan: one call over what is left: fills triples (start, end, categories), says up to where it
    ///   looked, and how many triples there are.
    static func collect(
        _ range: AddressRange, scan: (AddressRange, inout [UInt64], inout UInt64) throws(HostError) -> Int
    ) throws(HostError) -> [AddressRange] {
        var found: [AddressRange] = []
        var triples = [UInt64](repeating: 0, count: 3 * 512)
        var start = range.start
        while start < range.end {
            var scanned: UInt64 = 0
            let rest = AddressRange(start: start, length: range.end - start)
            let count = try scan(rest, &triples, &scanned)
            for index in 0..<count {
                let (first, end) = (triples[3 * index], triples[3 * index + 1])
                found.append(AddressRange(start: Address(UInt(first)), length: ByteCount(Int(end - first))))
            }
            // The buffer may be full; no walk stands still.
            guard UInt(scanned) > start.rawValue else {
                throw HostError(unreadable: "/proc/self/pagemap", .scanPageMap)
            }
            start = Address(UInt(scanned))
        }
        return found
    }
}

extension HostKernel {
    /// One call of PAGEMAP_SCAN: fills `triples` (start, end, categories) and says how many there are.
    fileprivate static func scanPageMap(
        _ pagemap: FileDescriptor, for category: PageMap.Category, _ range: AddressRange, _ triples: inout [UInt64],
        _ scanned: inout UInt64
    ) throws(HostError) -> Int {
        let count = try call(.scanPageMap, .addresses(range)) {
            // SAFETY: the kernel writes at most as many triples as the buffer holds, and the word it is given.
            unsafe triples.withUnsafeMutableBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe vme_scan_page_map(
                    pagemap.rawValue, category.rawValue, range.start.rawValue, range.end.rawValue, start,
                    buffer.count / 3, &scanned)
            }
        }
        return Int(count)
    }
}
