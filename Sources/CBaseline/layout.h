// Where the C baseline's things lie.
#ifndef VME_BASELINE_LAYOUT_H
#define VME_BASELINE_LAYOUT_H

#include "vme_baseline.h"

#include <sys/types.h>

enum { ZONES = 2, STRUCT_PAGE = 64, PIECES_MAX = 64 };

static inline size_t zone_of(const struct vme_baseline *baseline, size_t index)
{
    return index < baseline->plan.huge_pages_in_first_zone ? 0 : 1;
}

// A vmemmap page of a huge page, in the region.
static inline char *vmemmap(const struct vme_baseline *baseline, size_t index, size_t page)
{
    return (char *)baseline->base + (index * baseline->plan.vmemmap_pages + page) * baseline->page_size;
}

static inline char *image(const struct vme_baseline *baseline, size_t zone)
{
    return (char *)baseline->images + zone * baseline->page_size;
}

// A vmemmap page of a huge page, in the file, on memfd.
static inline off_t linear_offset(const struct vme_baseline *baseline, size_t index, size_t page)
{
    return (off_t)((index * baseline->plan.vmemmap_pages + page) * baseline->page_size);
}

static inline off_t own_offset(const struct vme_baseline *baseline, size_t index)
{
    if (baseline->plan.is_memfd)
        return linear_offset(baseline, index, baseline->plan.own_first);
    return (off_t)(index * baseline->plan.own_pages * baseline->page_size);
}

static inline off_t template_offset(const struct vme_baseline *baseline, size_t zone)
{
    const struct vme_baseline_plan *plan = &baseline->plan;
    size_t before = plan->huge_pages * (plan->is_memfd ? plan->vmemmap_pages : plan->own_pages);
    return (off_t)((before + zone * plan->templates) * baseline->page_size);
}

// Steps of both ways to optimize: 0 or -errno.

// Writes `count` pieces of memory one behind the other to the file.
int64_t vme_step_write(
    const struct vme_baseline *baseline, char *first, size_t stride, size_t length, size_t count,
    off_t at);
// Gives the frames of some pages of the file back.
int64_t vme_step_punch(const struct vme_baseline *baseline, off_t offset, size_t pages);

#endif
