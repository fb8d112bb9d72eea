/// Recordings of kernels, as `vmemmap kernel --record` writes them.
enum Recordings {
    /// What both recordings of this kernel begin with.
    private static let headOf6_18 = """
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

        """

    /// Two huge pages of 2 MiB, made with the optimization off and then with it on. Linux 6.18, recorded as it is.
    static let linux6_18 =
        headOf6_18 + """
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
            end

            """

    /// One huge page of 1 GiB. Linux 6.18, recorded as it is.
    static let linux6_18Gigantic =
        headOf6_18 + """
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
            end

            """

    /// 5 levels, KASLR, no page type, VMCOREINFO without vmemmap. Linux 6.1 in a virtual machine, recorded as it is.
    static let linux6_1 = """
        vmemmap-kernel-recording 1
        kernel Linux 6.1.0-50-cloud-amd64 x86_64
        levels 5
        root ff1c5640426e4000
        direct-map ff1c564040000000
        address-mask 000000fffffff000
        vmemmap ffd5657d80000000
        struct-page 64 8
        optimized-flag 40 4
        found page table root: 0xff1c5640426e4000: current->mm->pgd (BTF); swapper_pg_dir (VMCOREINFO)
        found direct map: 0xff1c564040000000: a page of ours (pagemap); a page of ours (page tables)
        found vmemmap: 0xffd5657d80000000: mem_section (VMCOREINFO); the pages of the kernel's own stack (BTF)
        look off
        pool 2097152 4
        page 4600 2097152
        ff1c5640426e4ea8 7f3b5067
        ff1c5640bf3b3000 800000007d2001e3
        ff1c5640bf3b4fb0 7f3b3067
        ff1c5640bf3b5650 7f3b4067
        ffd5657d80118028 8
        page 4800 2097152
        ff1c5640426e4ea8 7f3b5067
        ff1c5640bf3b3000 800000007d2001e3
        ff1c5640bf3b4fb0 7f3b3067
        ff1c5640bf3b5650 7f3b4067
        ffd5657d80120028 8
        look on
        pool 2097152 4
        page 4600 2097152
        ff1c5640426e4ea8 7f3b5067
        ff1c5640aabb08c0 800000007d318163 800000007d318161*7
        ff1c5640bf3b3000 6abb0067
        ff1c5640bf3b4fb0 7f3b3067
        ff1c5640bf3b5650 7f3b4067
        ffd5657d80118028 18
        page 4800 2097152
        ff1c5640426e4ea8 7f3b5067
        ff1c5640aabb0900 800000007d320163 800000007d320161*7
        ff1c5640bf3b3000 6abb0067
        ff1c5640bf3b4fb0 7f3b3067
        ff1c5640bf3b5650 7f3b4067
        ffd5657d80120028 18
        end

        """

    /// 5 levels, KASLR, huge pages that share a tail frame. Linux 7.3 in a virtual machine, recorded as it is.
    static let linux7_3 = """
        vmemmap-kernel-recording 1
        kernel Linux 7.3.4+deb13-cloud-amd64 x86_64
        levels 5
        root ff3e39b042775000
        direct-map ff3e39b040000000
        address-mask 000000fffffff000
        vmemmap ff98961600000000
        struct-page 64 8
        page-type 48 244
        optimized-flag 40 4
        found page table root: 0xff3e39b042775000: current->mm->pgd (BTF); swapper_pg_dir (VMCOREINFO)
        found direct map: 0xff3e39b040000000: a page of ours (pagemap); a page of ours (page tables)
        found vmemmap: 0xff98961600000000: vmemmap (VMCOREINFO); mem_section (VMCOREINFO)
        look off
        pool 2097152 4
        page 5000 2097152
        ff3e39b042775cc0 7f3b5067
        ff3e39b0bf3b3000 800000007f0001e3
        ff3e39b0bf3b42c0 7f3b3067
        ff3e39b0bf3b5960 7f3b4067
        ff98961600140028 8
        page 5200 2097152
        ff3e39b042775cc0 7f3b5067
        ff3e39b0bf3b3000 800000007f0001e3
        ff3e39b0bf3b42c0 7f3b3067
        ff3e39b0bf3b5960 7f3b4067
        ff98961600148028 8
        look on
        pool 2097152 4
        page 5000 2097152
        ff3e39b042775cc0 7f3b5067
        ff3e39b0427c5a00 80000000027c7163 80000000027c6121*7
        ff3e39b0bf3b3000 27c5067
        ff3e39b0bf3b42c0 7f3b3067
        ff3e39b0bf3b5960 7f3b4067
        ff98961600140028 18
        page 5200 2097152
        ff3e39b042775cc0 7f3b5067
        ff3e39b0427c5a40 80000000027c8163 80000000027c6121*7
        ff3e39b0bf3b3000 27c5067
        ff3e39b0bf3b42c0 7f3b3067
        ff3e39b0bf3b5960 7f3b4067
        ff98961600148028 18
        end

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
        ffff888002002138 80000002000001e3
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
        end

        """

    /// All of them.
    static let all = [linux6_18, linux6_18Gigantic, linux6_1, linux7_3, linux5_14]
}
