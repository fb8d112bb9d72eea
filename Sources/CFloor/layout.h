// Where the floor's things lie.
#ifndef VME_FLOOR_LAYOUT_H
#define VME_FLOOR_LAYOUT_H

#include "vme_floor.h"

#include <sys/types.h>

enum { ZONES = 2, STRUCT_PAGE = 64, PIECES_MAX = 64 };

static inline size_t zone_of(const struct vme_floor *floor, size_t index)
{
    return index < floor->plan.huge_pages_in_first_zone ? 0 : 1;
}

// A vmemmap page of a huge page, in the region.
static inline char *vmemmap(const struct vme_floor *floor, size_t index, size_t page)
{
    return (char *)floor->base + (index * floor->plan.vmemmap_pages + page) * floor->page_size;
}

static inline char *image(const struct vme_floor *floor, size_t zone)
{
    return (char *)floor->images + zone * floor->page_size;
}

// A vmemmap page of a huge page, in the file, on memfd.
static inline off_t linear_offset(const struct vme_floor *floor, size_t index, size_t page)
{
    return (off_t)((index * floor->plan.vmemmap_pages + page) * floor->page_size);
}

static inline off_t own_offset(const struct vme_floor *floor, size_t index)
{
    if (floor->plan.is_memfd)
        return linear_offset(floor, index, floor->plan.own_first);
    return (off_t)(index * floor->plan.own_pages * floor->page_size);
}

static inline off_t template_offset(const struct vme_floor *floor, size_t zone)
{
    const struct vme_floor_plan *plan = &floor->plan;
    size_t before = plan->huge_pages * (plan->is_memfd ? plan->vmemmap_pages : plan->own_pages);
    return (off_t)((before + zone * plan->templates) * floor->page_size);
}

#endif
