internal import HostMemory
internal import VmemmapEmulator

/// What the scheme says of a region's figures, beside what an outsider measured.
enum InspectChecks {
    static func all(
        _ plan: MappingPlan, _ pages: InspectResult.Pages, _ figures: InspectResult.Figures
    ) -> [InspectResult.Check] {
        let expected = expected(plan, pages)
        func check(_ subject: InspectResult.Check.Subject, _ expected: Int?, _ measured: Int?, atMost: Bool = false)
            -> InspectResult.Check
        {
            InspectResult.Check(
                subject: subject, expected: Measured(expected), isUpperBound: atMost, measured: Measured(measured))
        }
        return [
            check(.hugePagesOutOfScheme, 0, pages.neither.rawValue),
            check(.distinctFrames, expected?.frames.rawValue, figures.distinctFrames.rawValue),
            check(
                .regionMappings, expected?.mappings.rawValue, figures.regionMappings.rawValue,
                atMost: pages.optimized == .zero),
            check(.memfdBytes, expected?.file.rawValue, figures.memfdBytes.value?.rawValue),
        ]
    }

    /// Where all huge pages are in the same state. Of some in one and some in another, the mappings depend on the order, and the
    /// templates on which zone they are in.
    private static func expected(
        _ plan: MappingPlan, _ pages: InspectResult.Pages
    ) -> (frames: PageCount, mappings: MappingCount, file: ByteCount)? {
        func bytes(_ optimized: HugePageCount) -> ByteCount {
            plan.fileFrames(optimized: optimized).bytes(pageSize: plan.geometry.basePageSize)
        }
        if pages.optimized == plan.hugePages {
            return (plan.framesOptimized, plan.regionMappings(.optimized), bytes(plan.hugePages))
        }
        if pages.unoptimized == plan.hugePages {
            return (plan.framesPopulated, plan.regionMappings(.restored), bytes(.zero))
        }
        return nil
    }
}
