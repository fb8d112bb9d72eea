/// Recordings of kernels, as `vmemmap kernel --record` writes them.
enum Recordings {
    /// Two huge pages of 2 MiB, made with the optimization off and then with it on. Linux 6.18, recorded as it is.
    static let linux6_18 = """
        vmemmap-kernel-recording 1
        kernel Linux 6.18.44 x86_64
        levels 4
        root ffff88811b256000
        direct-map ffff888000000000
        address-mask 0000fffffffff000
        vmemmap ffffea0000000000
        struct-page 64 8
        page-type 48 244
        optimized-flag 40 4
        found page table root: 0xffff88811b256000: current->mm->pgd (BTF); swapper_pg_dir (VMCOREINFO)
        found direct map: 0xffff888000000000: a page of ours (pagemap); a page of ours (page tables)
        found vmemmap: 0xffffea0000000000: vmemmap (VMCOREINFO); mem_section (VMCOREINFO)
        look off
        pool 2097152 2
        pool 1073741824 0
        page 4a3a00 2097152
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 80000006396001e3
        ffff88863ffcb000 63ffca067
        ffffea00128e8028 8
        page 4a4a00 2097152
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 80000006396001e3
        ffff88863ffcb000 63ffca067
        ffffea0012928028 8
        look on
        pool 2097152 2
        pool 1073741824 0
        page 4a3a00 2097152
        ffff888102b1e740 800000019593b163 800000019593b121*7
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 102b1e067
        ffff88863ffcb000 63ffca067
        ffffea00128e8028 18
        page 4a4a00 2097152
        ffff888102b1e940 80000002a90cd163 80000002a90cd121*7
        ffff88811b256ea0 63ffcb067
        ffff88863ffca4a0 102b1e067
        ffff88863ffcb000 63ffca067
        ffffea0012928028 18

        """

    /// One huge page of 1 GiB. Linux 6.18, recorded as it is.
    static let linux6_18Gigantic = """
        vmemmap-kernel-recording 1
        kernel Linux 6.18.44 x86_64
        levels 4
        root ffff88811b256000
        direct-map ffff888000000000
        address-mask 0000fffffffff000
        vmemmap ffffea0000000000
        struct-page 64 8
        page-type 48 244
        optimized-flag 40 4
        found page table root: 0xffff88811b256000: current->mm->pgd (BTF); swapper_pg_dir (VMCOREINFO)
        found direct map: 0xffff888000000000: a page of ours (pagemap); a page of ours (page tables)
        found vmemmap: 0xffffea0000000000: vmemmap (VMCOREINFO); mem_section (VMCOREINFO)
        look on
        pool 2097152 0
        pool 1073741824 1
        page 2c0000 1073741824
        ffff888102f16000 800000011c8b7121*512
        ffff888103aab000 800000011c8b7121*512
        ffff888108b51000 800000011c8b7121*512
        ffff888109546000 800000011c8b7163 800000011c8b7121*511
        ffff88810a995000 800000011c8b7121*512
        ffff88811b256ea0 63ffcb067
        ffff888134c01000 800000011c8b7121*512
        ffff888134cb1000 800000011c8b7121*512
        ffff8882a8478000 800000011c8b7121*512
        ffff88863ffca2c0 109546067 108b51067 134c01067 134cb1067 103aab067 10a995067 2a8478067 102f16067
        ffff88863ffcb000 63ffca067
        ffffea000b000028 18

        """

    /// 5 levels, no page type. The entries that map the vmemmap are those that Linux 6.1 showed in a virtual machine; the tables above
    /// them are made up.
    static let linux6_1 = """
        vmemmap-kernel-recording 1
        kernel Linux 6.1.192 x86_64
        levels 5
        root ff316579c2634000
        direct-map ff316579c0000000
        address-mask 000000fffffff000
        vmemmap ffd47ec8c0000000
        struct-page 64 8
        optimized-flag 40 4
        found page table root: 0xff316579c2634000: current->mm->pgd (BTF); it leads to a page of ours
        look off
        pool 2097152 1
        page 3600 2097152
        ff316579c20007e8 2001063
        ff316579c2001918 2002063
        ff316579c2002000 800000007dc000e3
        ff316579c2634ea0 2000063
        ffd47ec8c00d8028 8
        look on
        pool 2097152 1
        page 3400 2097152
        ff316579c20007e8 2001063
        ff316579c2001918 2002063
        ff316579c2002000 2003063
        ff316579c2003680 800000007dcd0063 800000007dcd0061*7
        ff316579c2634ea0 2000063
        ffd47ec8c00d0028 18

        """

    /// 5 levels, two huge pages that share a tail frame. Entries of Linux 7.3, tables above them made up.
    static let linux7_3 = """
        vmemmap-kernel-recording 1
        kernel Linux 7.3.4 x86_64
        levels 5
        root ff11cffcc2cad000
        direct-map ff11cffcc0000000
        address-mask 000000fffffff000
        vmemmap ffd418e880000000
        struct-page 64 8
        page-type 48 244
        optimized-flag 40 4
        found page table root: 0xff11cffcc2cad000: current->mm->pgd (BTF); swapper_pg_dir (VMCOREINFO)
        look off
        pool 2097152 1
        page 3000 2097152
        ff11cffcc2000188 2001063
        ff11cffcc2001d10 2002063
        ff11cffcc2002000 800000007fa001e3
        ff11cffcc2cadea0 2000063
        ffd418e8800c0028 8
        look on
        pool 2097152 2
        page 3000 2097152
        ff11cffcc2000188 2001063
        ff11cffcc2001d10 2002063
        ff11cffcc2002000 2003063
        ff11cffcc2003600 8000000002caa163 8000000002cb2121*7
        ff11cffcc2cadea0 2000063
        ffd418e8800c0028 18
        page 3400 2097152
        ff11cffcc2000188 2001063
        ff11cffcc2001d10 2002063
        ff11cffcc2002000 2003063
        ff11cffcc2003680 8000000002cd0163 8000000002cb2121*7
        ff11cffcc2cadea0 2000063
        ffd418e8800d0028 18

        """

    /// The scheme of the v5 series and of Linux 5.14 to 5.17. Made up: there was no such kernel to record.
    static let linux5_14 = """
        vmemmap-kernel-recording 1
        kernel Linux 5.14 x86_64
        levels 4
        root ffff888102f70000
        direct-map ffff888000000000
        address-mask 0000fffffffff000
        vmemmap ffffea0000000000
        struct-page 64 8
        optimized-flag 40 4
        look off
        pool 2097152 1
        page 13a000 2097152
        ffff888002001000 2002063
        ffff888002002138 2003063
        ffff888002003400 800000053c8a9163 800000011b084163 800000011b085163 800000011b086163 80000001371a0163 800000011b2b9163 800000011b2ba163 800000011b2bb163
        ffff888102f70ea0 2001063
        ffffea0004e80028 8
        look on
        pool 2097152 1
        page 13a200 2097152
        ffff888002001000 2002063
        ffff888002002138 2003063
        ffff888002003440 800000007ded0163 800000007ded1163 800000007ded1161*6
        ffff888102f70ea0 2001063
        ffffea0004e88028 18

        """

    /// All of them.
    static let all = [linux6_18, linux6_18Gigantic, linux6_1, linux7_3, linux5_14]
}
