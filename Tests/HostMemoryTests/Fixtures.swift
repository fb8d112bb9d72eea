/// Texts of /proc as several kernel versions write them.
enum Fixtures {
    /// 4.14 to 5.3: no parts of Pss.
    static let rollup4_19 = """
        55d0c4c5d000-7ffd5a5f3000 ---p 00000000 00:00 0                          [rollup]
        Rss:                 884 kB
        Pss:                 385 kB
        Shared_Clean:        696 kB
        Shared_Dirty:          4 kB
        Private_Clean:        80 kB
        Private_Dirty:       104 kB
        Referenced:          884 kB
        Anonymous:           104 kB
        LazyFree:              0 kB
        AnonHugePages:         0 kB
        ShmemPmdMapped:        0 kB
        Shared_Hugetlb:        0 kB
        Private_Hugetlb:       0 kB
        Swap:                  0 kB
        SwapPss:               0 kB
        Locked:              385 kB

        """

    /// 5.4 to 5.19: Pss in parts, FilePmdMapped.
    static let rollup5_15 = """
        00400000-7ffec8fe2000 ---p 00000000 00:00 0                      [rollup]
        Rss:               20884 kB
        Pss:                9385 kB
        Pss_Anon:           6104 kB
        Pss_File:           1181 kB
        Pss_Shmem:          2100 kB
        Shared_Clean:       2696 kB
        Shared_Dirty:      10000 kB
        Private_Clean:        84 kB
        Private_Dirty:      8104 kB
        Referenced:        20884 kB
        Anonymous:          6104 kB
        LazyFree:              0 kB
        AnonHugePages:      2048 kB
        ShmemPmdMapped:        0 kB
        FilePmdMapped:         0 kB
        Shared_Hugetlb:        0 kB
        Private_Hugetlb:       0 kB
        Swap:                  0 kB
        SwapPss:               0 kB
        Locked:                0 kB

        """

    /// 6.6 and later: Pss_Dirty before the parts, KSM.
    static let rollup6_18 = """
        56050e2da000-7fff58183000 ---p 00000000 00:00 0                          [rollup]
        Rss:                1744 kB
        Pss:                 657 kB
        Pss_Dirty:           112 kB
        Pss_Anon:            112 kB
        Pss_File:            545 kB
        Pss_Shmem:             0 kB
        Shared_Clean:       1492 kB
        Shared_Dirty:          0 kB
        Private_Clean:       140 kB
        Private_Dirty:       112 kB
        Referenced:         1744 kB
        Anonymous:           112 kB
        KSM:                   0 kB
        LazyFree:              0 kB
        AnonHugePages:         0 kB
        ShmemPmdMapped:        0 kB
        FilePmdMapped:         0 kB
        Shared_Hugetlb:        0 kB
        Private_Hugetlb:       0 kB
        Swap:                  0 kB
        SwapPss:               0 kB
        Locked:                0 kB

        """

    /// 4.9: VmPMD still there. 4.15 dropped it.
    static let status4_9 = """
        Name:\tcat
        Umask:\t0022
        State:\tR (running)
        Tgid:\t4202
        VmPeak:\t    7784 kB
        VmSize:\t    7784 kB
        VmHWM:\t     664 kB
        VmRSS:\t     664 kB
        RssAnon:\t      64 kB
        VmPTE:\t      32 kB
        VmPMD:\t      12 kB
        VmSwap:\t       0 kB
        HugetlbPages:\t       0 kB
        Threads:\t1
        SigQ:\t0/15073

        """

    static let status5_15 = """
        Name:\tVmPTE: 1 kB
        Umask:\t0022
        State:\tR (running)
        NSpid:\t4202\t17
        VmPeak:\t 1068060 kB
        VmHWM:\t  524744 kB
        VmRSS:\t    1744 kB
        VmPTE:\t    1044 kB
        CoreDumping:\t0
        THP_enabled:\t1
        Threads:\t9
        CapEff:\t000001ffffffffff

        """

    /// 6.8 and later: Kthread, untag_mask, x86_Thread_features.
    static let status6_18 = """
        Name:\tcat
        Umask:\t0022
        State:\tR (running)
        Groups:\t 
        Kthread:\t0
        VmPeak:\t    3060 kB
        VmLck:\t       0 kB
        VmHWM:\t    1744 kB
        VmPTE:\t      44 kB
        CoreDumping:\t0
        untag_mask:\t0xffffffffffffffff
        Threads:\t1
        x86_Thread_features:\t

        """

    static let anonymousLine = "7f427aade000-7f427aae0000 rw-p 00000000 00:00 0 "
    static let memoryFileLine =
        "7f427a000000-7f427a007000 r--s 00003000 00:01 2055                       /memfd:tail pages (deleted)"
    static let libraryLine =
        "7f427aae1000-7f427ab07000 r-xp 00001000 103:0a 332717                    /usr/lib/ld-linux-x86-64.so.2"
    static let vsyscallLine =
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]"
    static let lines = [anonymousLine, memoryFileLine, libraryLine, vsyscallLine]
}
