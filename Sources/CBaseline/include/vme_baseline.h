// The C baseline: optimize and restore as a bare loop of system calls, in the best order known, with nothing around
// them (no states, no budget, no put-back, no error but -errno). The engine is measured against it, on the same region
// and the same file in turn: on memory of its own either could be luckier with its frames. When a better order is
// found, both take it.
#ifndef VME_BASELINE_H
#define VME_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One mapping that replaces vmemmap pages of every huge page.
struct vme_baseline_replacement {
    size_t first;  // the first vmemmap page replaced
    size_t pages;
    size_t frame;  // counted from the huge page's own frames, or from its zone's templates
    bool is_template;
    bool is_writable;
};

// What to do, as the engine's plan has it. Pages and frames are counted, not measured in bytes.
struct vme_baseline_plan {
    size_t huge_pages;
    size_t huge_pages_in_first_zone;  // the others are in the second
    size_t vmemmap_pages;             // of one huge page, and so the end of the replaced and of the freed ones
    size_t own_first;                 // the pages that keep a frame which others show
    size_t own_pages;
    size_t replaced_first;
    size_t freed_first;
    size_t templates;    // of one zone
    size_t used_heads;   // struct pages at the start of a shown page that are no tails, in the head scheme; 0 in others
    bool is_memfd;
    size_t replacements;
};

struct vme_baseline {
    struct vme_baseline_plan plan;
    size_t page_size;
    // Addresses, as numbers for Swift's sake.
    uintptr_t replacements;  // a copy of them
    uintptr_t base;          // the region
    uintptr_t images;        // a page for each zone: what the templates hold, or one being made
    int writable;
    int read_only;
};

// Takes over a populated region at `base` and the memory file behind it, its templates filled. 0 or -errno; to be
// closed in either case.
int64_t vme_baseline_open(struct vme_baseline *_Nonnull baseline, struct vme_baseline_plan plan,
                       const struct vme_baseline_replacement *_Nonnull replacements, uintptr_t base, int writable,
                       int read_only);
void vme_baseline_close(const struct vme_baseline *_Nonnull baseline);

// All huge pages, nobody else writing. 0 or -errno.
int64_t vme_baseline_optimize(const struct vme_baseline *_Nonnull baseline);
int64_t vme_baseline_restore(const struct vme_baseline *_Nonnull baseline);

// The first again, with read-only pages mapped from dma-bufs, which name the pages of the file as often as they are
// shown (/dev/udmabuf): one mapping for all of them that lie in a row. What restores is the second one.
int64_t vme_baseline_optimize_by_udmabuf(const struct vme_baseline *_Nonnull baseline, int device);

#endif
