import HostLab
import HostMemory
import Testing

@Suite("What the kernel says of its own health")
struct KernelHealthTests {
    @Test(
        "Bit 5 of the taint tells of a bad page",
        arguments: [("0\n", false), ("4\n", false), ("36\n", true), ("32\n", true), ("18446744073709551615\n", true)])
    func taint(_ text: String, _ hasBadPage: Bool) throws {
        #expect(try #require(KernelTaint(text)).hasBadPage == hasBadPage)
    }

    @Test("What is no number is no taint", arguments: ["", "\n", "-1\n", "x\n", "1 2\n", "18446744073709551616\n"])
    func noTaint(_ text: String) { #expect(KernelTaint(text) == nil) }

    /// As Linux 6.12.117 logged them.
    private static let records = [
        "1,1930,5974576,-;BUG: Bad page state in process init  pfn:043c3\n",
        "4,1931,5974651,-;page: refcount:0 mapcount:0 mapping:0000000000000000 index:0x1c3 pfn:0x43c3\n",
        "4,1932,5974825,-;page dumped because: corrupted mapping in tail page\n SUBSYSTEM=mm\n DEVICE=+x:y\n",
        "4,1933,5974836,-;Modules linked in:\n",
        "1,1934,5974900,-;BUG: Bad page state in process init  pfn:043c4\n",
        "4,1935,5974901,-;page dumped because: nonzero mapcount\n",
    ]

    @Test("A record's text is what follows the first semicolon, up to the end of its line")
    func records() {
        let messages = Self.records.compactMap(KernelLog.message)
        #expect(messages.count == Self.records.count)
        #expect(messages[2] == "page dumped because: corrupted mapping in tail page")
        #expect(KernelLog.message("6,1,2,-;a;b\n") == "a;b" && KernelLog.message("6,1,2,-;\n") == "")
        for text in ["", "\n", "no record", "6,1;short", ";x"] { #expect(KernelLog.message(text) == nil, "\(text)") }
    }

    @Test("Reports of bad pages are counted, and the first one is quoted")
    func words() {
        let messages = Self.records.compactMap(KernelLog.message)
        #expect(KernelLog.badPageReports(messages) == 2)
        let first = [messages[0], messages[2]]
        #expect(KernelLog.wordsOfBadPage(messages) == first)
        // The log has lost how it begins, or something else is between.
        #expect(KernelLog.wordsOfBadPage(Array(messages[1...])) == Array(messages[4...]))
        #expect(KernelLog.wordsOfBadPage(["hub: USB"] + messages) == first)
        #expect(KernelLog.badPageReports(["BUG: Bad page map in process x  pte:1"]) == 0)
        #expect(KernelLog.badPageReports(["usb: BUG: Bad page state"]) == 0 && KernelLog.wordsOfBadPage([]).isEmpty)
    }

    private static let meminfo = """
        MemTotal: 1000 kB
        MemFree: 400 kB
        Active: 100 kB
        Inactive: 50 kB
        Unevictable: 10 kB
        Slab: 30 kB
        KernelStack: 5 kB
        PageTables: 5 kB
        """
    private static let zoneinfo = """
        Node 0, zone DMA32
          pagesets
            cpu: 0
                      count: 10
                      high:  1772
            cpu: 1
                      count:    5
        """

    @Test("What nothing accounts for: all of memory less what is free, put aside, or counted as used")
    func unaccounted() throws {
        func left(_ meminfo: String, _ zoneinfo: String = Self.zoneinfo) -> ByteCount? {
            UnaccountedMemory(meminfo: meminfo, zoneinfo: zoneinfo, pageSize: .kibibytes(4))?.bytes
        }
        #expect(left(Self.meminfo) == .kibibytes(340))
        #expect(left(Self.meminfo + "\nHugetlb: 100 kB\nPercpu: 40 kB\n") == .kibibytes(200))
        // What goes from one account to another is not lost.
        let used = Self.meminfo.replacing("MemFree: 400", with: "MemFree: 300").replacing("Slab: 30", with: "Slab: 130")
        #expect(left(used) == .kibibytes(340))
        let aside = Self.zoneinfo.replacing("count: 10", with: "count: 35")
        #expect(left(Self.meminfo.replacing("MemFree: 400", with: "MemFree: 300"), aside) == .kibibytes(340))
        #expect(left(Self.meminfo.replacing("Slab:", with: "Slob:")) == nil)
        #expect(left(Self.meminfo, "") == nil && left(Self.meminfo, "count: x\n") == nil)
    }

    @Test("This host says it all")
    func here() throws {
        #expect(try KernelTaint.current() != nil)
        // /proc/zoneinfo is root's alone on some.
        if Privilege.isRoot { #expect(try UnaccountedMemory.current() != nil) }
    }
}
