// What is timed: the system calls and copies of optimize and restore.
#define _GNU_SOURCE
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

// Pages that are staged and huge pages that are copied at a time, and pages that are populated and filled before the
// next.
enum { BATCH_PAGES = 512, BATCH_MAX = PIECES_MAX, PAGES_AT_ONCE = 32 };

typedef ssize_t vector_call(int fd, const struct iovec *pieces, int count, off_t at);
typedef int64_t batch_step(const struct vme_baseline *loop, size_t start, size_t count);

static int64_t move_pieces(vector_call *call, int fd, char *first, size_t stride, size_t length, size_t count, off_t at)
{
    struct iovec pieces[PIECES_MAX];
    while (count > 0 && length > 0) {
        size_t some = count < PIECES_MAX ? count : PIECES_MAX;
        for (size_t i = 0; i < some; i++)
            pieces[i] = (struct iovec){first + i * stride, length};
        ssize_t moved = call(fd, pieces, (int)some, at);
        if (moved != (ssize_t)(some * length))
            return moved < 0 ? -errno : -EIO;
        first += some * stride;
        at += (off_t)moved;
        count -= some;
    }
    return 0;
}

int64_t vme_step_write(const struct vme_baseline *loop, char *first, size_t stride, size_t length, size_t count,
                       off_t at)
{
    return move_pieces(pwritev, loop->writable, first, stride, length, count, at);
}

static int64_t baseline_read(const struct vme_baseline *loop, char *first, size_t stride, size_t length, size_t count,
                          off_t at)
{
    return move_pieces(preadv, loop->writable, first, stride, length, count, at);
}

int64_t vme_step_punch(const struct vme_baseline *loop, off_t offset, size_t pages)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (pages > 0 && fallocate(loop->writable, mode, offset, (off_t)(pages * loop->page_size)) != 0)
        return -errno;
    return 0;
}

static int64_t in_batches(const struct vme_baseline *loop, batch_step *step)
{
    size_t most = BATCH_PAGES / loop->plan.vmemmap_pages;
    most = most < 1 ? 1 : most > BATCH_MAX ? BATCH_MAX : most;
    int64_t result = 0;
    for (size_t start = 0; result == 0 && start < loop->plan.huge_pages; start += most) {
        size_t rest = loop->plan.huge_pages - start;
        result = step(loop, start, rest < most ? rest : most);
    }
    return result;
}

// Optimize

static int64_t replace(const struct vme_baseline *loop, size_t index)
{
    size_t page = loop->page_size;
    off_t own = own_offset(loop, index);
    off_t templates = template_offset(loop, zone_of(loop, index));
    const struct vme_baseline_replacement *it = (const struct vme_baseline_replacement *)loop->replacements;
    const struct vme_baseline_replacement *end = it + loop->plan.replacements;
    for (; it < end; it++)
        if (mmap(vmemmap(loop, index, it->first), it->pages * page, PROT_READ | (it->is_writable ? PROT_WRITE : 0),
                 MAP_SHARED | MAP_FIXED, it->is_writable ? loop->writable : loop->read_only,
                 (it->is_template ? templates : own) + (off_t)(it->frame * page)) == MAP_FAILED)
            return -errno;
    return 0;
}

static int64_t optimize_anonymous(const struct vme_baseline *loop, size_t start, size_t count)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    int64_t result = vme_step_write(loop, vmemmap(loop, start, plan->own_first), plan->vmemmap_pages * loop->page_size,
                                 plan->own_pages * loop->page_size, count, own_offset(loop, start));
    for (size_t i = start; result == 0 && i < start + count; i++)
        result = replace(loop, i);
    return result;
}

static int64_t optimize_memfd(const struct vme_baseline *loop, size_t start, size_t count)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    int64_t result = 0;
    for (size_t i = start; result == 0 && i < start + count; i++) {
        result = replace(loop, i);
        if (result == 0)
            result = vme_step_punch(loop, linear_offset(loop, i, plan->freed_first),
                                    plan->vmemmap_pages - plan->freed_first);
    }
    return result;
}

// Restore

// A copy of a page that others show, with the struct pages in use made tails again.
static void make_tail_image(const struct vme_baseline *loop, char *target, const char *source)
{
    size_t used = loop->plan.used_heads;
    memcpy(target, source, loop->page_size);
    for (size_t i = 0; i < used; i++)
        memcpy(target + i * STRUCT_PAGE, target + used * STRUCT_PAGE, STRUCT_PAGE);
}

// Fills one staged page of a huge page, but for its own ones, which are there.
static void fill_page(const struct vme_baseline *loop, char *staged, size_t index, size_t number)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    size_t page = loop->page_size;
    char *target = staged + number * page;
    if (number >= plan->own_first && number < plan->own_first + plan->own_pages)
        return;
    if (number == 0)
        memcpy(target, vmemmap(loop, index, 0), page);
    else if (plan->templates > 0)
        memcpy(target, image(loop, zone_of(loop, index)), page);
    else if (plan->used_heads == 0)
        memcpy(target, staged + (plan->own_first + (number - plan->own_first) % plan->own_pages) * page, page);
    else if (number == 1)
        make_tail_image(loop, target, staged);
    else
        memcpy(target, staged + page, page);
}

// Populates and fills the staged pages of a few huge pages.
static int64_t fill_staging(const struct vme_baseline *loop, char *staged, size_t start, size_t count)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    size_t page = loop->page_size;
    size_t part = plan->vmemmap_pages;
    size_t total = part * count;
    size_t own_end = plan->own_first + plan->own_pages;
    for (size_t filled = 0; filled < total;) {
        size_t some = filled == 0 && own_end > PAGES_AT_ONCE ? own_end : PAGES_AT_ONCE;
        size_t end = filled + some < total ? filled + some : total;
        madvise(staged + filled * page, (end - filled) * page, MADV_POPULATE_WRITE);
        if (filled == 0) {
            int64_t result = baseline_read(loop, staged + plan->own_first * page, part * page,
                                           plan->own_pages * page, count, own_offset(loop, start));
            if (result < 0)
                return result;
        }
        for (; filled < end; filled++)
            fill_page(loop, staged + filled / part * part * page, start + filled / part, filled % part);
    }
    return 0;
}

// Heads too, so that one call moves them all in: one flush of the TLB, and one mapping.
static int64_t restore_anonymous(const struct vme_baseline *loop, size_t start, size_t count)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    size_t part = plan->vmemmap_pages * loop->page_size;
    size_t at_once = PAGES_AT_ONCE / plan->vmemmap_pages;
    at_once = at_once < 1 ? 1 : at_once;
    char *staging = mmap(NULL, count * part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (staging == MAP_FAILED)
        return -errno;
    madvise(staging, count * part, MADV_NOHUGEPAGE);
    int64_t result = 0;
    for (size_t i = 0; result == 0 && i < count; i += at_once)
        result = fill_staging(loop, staging + i * part, start + i, count - i < at_once ? count - i : at_once);
    if (result == 0 && mremap(staging, count * part, count * part, MREMAP_MAYMOVE | MREMAP_FIXED,
                              vmemmap(loop, start, 0)) == MAP_FAILED)
        result = -errno;
    return result < 0 ? result : vme_step_punch(loop, own_offset(loop, start), count * plan->own_pages);
}

// Writes what the tails show into the holes of the file, by the same page or run of pages over and over.
static int64_t write_holes(const struct vme_baseline *loop, size_t index)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    size_t page = loop->page_size;
    size_t freed = plan->vmemmap_pages - plan->freed_first;
    off_t at = linear_offset(loop, index, plan->freed_first);
    char *source = vmemmap(loop, index, plan->own_first);
    size_t run = plan->own_pages;
    if (plan->templates > 0) {
        source = image(loop, zone_of(loop, index));
        run = 1;
    } else if (plan->used_heads > 0) {
        make_tail_image(loop, image(loop, 0), source);
        source = image(loop, 0);
    }
    size_t rest = freed % run;
    int64_t result = vme_step_write(loop, source, 0, run * page, freed / run, at);
    if (result == 0 && rest > 0)
        result = vme_step_write(loop, source, 0, rest * page, 1, at + (off_t)((freed - rest) * page));
    return result;
}

static int64_t relink(const struct vme_baseline *loop, size_t start, size_t count)
{
    size_t first = loop->plan.replaced_first;
    size_t length = (count * loop->plan.vmemmap_pages - first) * loop->page_size;
    if (mmap(vmemmap(loop, start, first), length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, loop->writable,
             linear_offset(loop, start, first)) == MAP_FAILED)
        return -errno;
    return 0;
}

// Mapped all together, which takes page 0 of the later ones out of the page table too, and flushes the TLB once.
static int64_t restore_memfd(const struct vme_baseline *loop, size_t start, size_t count)
{
    int64_t result = 0;
    for (size_t i = start; result == 0 && i < start + count; i++)
        result = write_holes(loop, i);
    return result < 0 ? result : relink(loop, start, count);
}

int64_t vme_baseline_optimize(const struct vme_baseline *loop)
{
    return in_batches(loop, loop->plan.is_memfd ? optimize_memfd : optimize_anonymous);
}

int64_t vme_baseline_restore(const struct vme_baseline *loop)
{
    return in_batches(loop, loop->plan.is_memfd ? restore_memfd : restore_anonymous);
}

// Setup: not timed

int64_t vme_baseline_open(struct vme_baseline *loop, struct vme_baseline_plan plan,
                       const struct vme_baseline_replacement *replacements, uintptr_t base, int writable, int read_only)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t length = plan.replacements * sizeof *replacements;
    *loop = (struct vme_baseline){
        .plan = plan, .page_size = page, .base = base, .writable = writable, .read_only = read_only};
    loop->replacements = (uintptr_t)malloc(length);
    loop->images = (uintptr_t)aligned_alloc(page, ZONES * page);
    if (!loop->replacements || !loop->images)
        return -ENOMEM;
    memcpy((void *)loop->replacements, replacements, length);
    const size_t first[ZONES] = {0, plan.huge_pages_in_first_zone};
    for (size_t zone = 0; zone < ZONES && first[zone] < plan.huge_pages; zone++)
        memcpy(image(loop, zone), vmemmap(loop, first[zone], 1), page);
    return 0;
}

void vme_baseline_close(const struct vme_baseline *loop)
{
    free((void *)loop->replacements);
    free((void *)loop->images);
}
