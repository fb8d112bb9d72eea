package import HostMemory

// Where the emulated base page meets this host's page: one is a run of the other.
extension Geometry {
    /// Pages of this host in a vmemmap page, which are remapped together: 1 where the base pages are as large, 4 or 16
    /// for 16 and 64 KiB on a host of 4 KiB. 0 where the base page is smaller than the host's: no region has that.
    package var hostPagesPerVmemmapPage: Int { basePageSize.rawValue / HostLimits.pageSize.rawValue }
}

extension MappingPlan {
    /// What this host counts for so many vmemmap pages, each with a frame of its own: its own pages.
    package func hostFrames(_ vmemmapPages: PageCount) -> PageCount {
        vmemmapPages * geometry.hostPagesPerVmemmapPage
    }
}
