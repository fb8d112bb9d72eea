/// Bits of /proc/kpageflags (linux/kernel-page-flags.h): the ones a huge page has.
package enum KernelPageFlag: Int, Hashable, Sendable {
    /// KPF_COMPOUND_HEAD.
    case compoundHead = 15
    /// KPF_COMPOUND_TAIL.
    case compoundTail = 16
    /// KPF_HUGE: part of a HugeTLB page.
    case huge = 17
    /// KPF_HWPOISON: has a memory error. On a huge page, all of its pages say so.
    case hwPoison = 19
    /// KPF_NOPAGE: there is no struct page for the frame.
    case noPage = 20

    /// The bit, set.
    package var mask: UInt64 { 1 << UInt64(rawValue) }
}

/// What the kernel's own test of the optimization asks of a huge page's flags (`check_page_flags()` in
/// tools/testing/selftests/mm/hugetlb_vmemmap.c): the first page is a head and huge, all others are tails and huge, and
/// none of them is a head too, however much its struct page looks like one.
package enum HugePageFlagsRule {
    /// A page that breaks the rule.
    package struct Violation: Hashable, Sendable, CustomStringConvertible {
        /// Which base page of the huge page, from 0.
        package let page: Int
        /// Its flags.
        package let flags: UInt64

        /// Whether this is what a fake head shows that was taken for what it looks like: a tail whose struct page is
        /// the first of a vmemmap page that shows the head's (`snapshot_page()` of Linux 6.17 to 7.0 does not see
        /// through them).
        ///
        /// - Parameter structPagesPerVmemmapPage: 64 with base pages of 4 KiB.
        package func isFakeHead(structPagesPerVmemmapPage: Int) -> Bool {
            let head = KernelPageFlag.compoundHead.mask | KernelPageFlag.huge.mask
            return page > 0 && page.isMultiple(of: structPagesPerVmemmapPage) && flags & head == head
        }

        /// One line: the page, its flags, what they should be.
        package var description: String {
            let wanted = page == 0 ? "head (bit 15) and huge (17)" : "tail (bit 16) and huge (17) and not head (15)"
            return "page \(page) has flags 0x\(String(flags, radix: 16)), not \(wanted)"
        }
    }

    /// The pages that break the rule.
    ///
    /// - Parameter flags: one word for each base page of one huge page, in order: of /proc/kpageflags, or of an
    ///   emulated memory.
    package static func violations(_ flags: some Sequence<UInt64>) -> [Violation] {
        let head = KernelPageFlag.compoundHead.mask | KernelPageFlag.huge.mask
        let tail = KernelPageFlag.compoundTail.mask | KernelPageFlag.huge.mask
        return flags.enumerated().compactMap { page, word in
            let isRight = page == 0 ? word & head == head : word & tail == tail && word & head != head
            return isRight ? nil : Violation(page: page, flags: word)
        }
    }
}
