import HostMemory
import VmemmapEmulator

/// What the scheme says of a region's figures, beside what an outsider measured.
enum InspectChecks {
    static func all(
        _ plan: MappingPlan, _ view: RegionView, _ figures: InspectResult.Figures, guardPages: Int
    ) -> [InspectResult.Check] {
        func check(_ subject: InspectResult.Check.Subject, _ expected: Int?, _ measured: Int?, atMost: Bool = false)
            -> InspectResult.Check
        {
            InspectResult.Check(
                subject: subject, expected: Measured(expected), isUpperBound: atMost, measured: Measured(measured))
        }
        let isJudged = view.pages.neither == .zero
        let frames = isJudged ? frames(plan, view) : nil
        let file = plan.fileFrames(optimized: view.pages.optimized).bytes(pageSize: plan.geometry.basePageSize)
        return [
            check(.hugePagesOutOfScheme, 0, view.pages.neither.rawValue),
            check(.pagesMappedOtherwise, 0, view.mappedOtherwise.rawValue),
            check(.guardPages, 2, guardPages),
            check(.zeroPages, 0, view.zeroPages?.rawValue),
            check(.distinctFrames, frames?.rawValue, figures.distinctFrames.rawValue),
            // Private memory that was restored has more mappings than such as never was optimized.
            check(
                .regionMappings, isJudged ? view.mappings.rawValue : nil, figures.regionMappings.rawValue,
                atMost: plan.backing == .anonymous && view.pages.unoptimized > .zero),
            check(.memfdBytes, isJudged ? file.rawValue : nil, figures.memfdBytes.value?.rawValue),
        ]
    }

    /// The frames behind the region: each optimized huge page has given some, and each zone with one shows its templates.
    private static func frames(_ plan: MappingPlan, _ view: RegionView) -> PageCount {
        let zones = view.optimizedInZone.count { $0 > 0 }
        return plan.framesPopulated - PageCount(plan.freedPages.count) * view.pages.optimized.rawValue
            + plan.templatesPerZone * zones
    }
}
