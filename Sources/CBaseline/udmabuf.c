// A peer, and no backing: such a mapping can be made writable by whoever has it, pagemap shows nothing of it, and
// frames that are punched out of the file stay as long as the dma-buf does.
#define _GNU_SOURCE
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

// What a list may have (the driver's parameter list_limit).
enum { ITEMS_MAX = 1024 };

// Pages that one dma-buf is to name, and where each is to be seen.
struct batch {
    struct udmabuf_create_list *list;
    char *places[ITEMS_MAX];
};

// Makes the dma-buf, maps each stretch of pages in a row by one call, and lets go of the descriptor: the mappings keep
// the dma-buf.
static int64_t map_batch(const struct vme_baseline *loop, struct batch *batch, int device)
{
    size_t count = batch->list->count;
    if (count == 0)
        return 0;
    int file = ioctl(device, UDMABUF_CREATE_LIST, batch->list);
    if (file < 0)
        return -errno;
    int64_t result = 0;
    for (size_t first = 0, end; result == 0 && first < count; first = end) {
        for (end = first + 1; end < count && batch->places[end] == batch->places[end - 1] + loop->page_size; end++) {
        }
        if (mmap(batch->places[first], (end - first) * loop->page_size, PROT_READ, MAP_SHARED | MAP_FIXED, file,
                 (off_t)(first * loop->page_size)) == MAP_FAILED)
            result = -errno;
    }
    close(file);
    batch->list->count = 0;
    return result;
}

// Maps what stays writable, and adds the other replaced pages of a huge page to the batch.
static int64_t add(const struct vme_baseline *loop, size_t index, struct batch *batch, int device)
{
    size_t page = loop->page_size;
    off_t own = own_offset(loop, index);
    off_t templates = template_offset(loop, zone_of(loop, index));
    const struct vme_baseline_replacement *it = (const struct vme_baseline_replacement *)loop->replacements;
    const struct vme_baseline_replacement *end = it + loop->plan.replacements;
    int64_t result = 0;
    for (; result == 0 && it < end; it++) {
        off_t offset = (it->is_template ? templates : own) + (off_t)(it->frame * page);
        char *place = vmemmap(loop, index, it->first);
        if (it->is_writable) {
            if (mmap(place, it->pages * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, loop->writable, offset) ==
                MAP_FAILED)
                result = -errno;
            continue;
        }
        for (size_t i = 0; result == 0 && i < it->pages; i++) {
            if (batch->list->count == ITEMS_MAX)
                result = map_batch(loop, batch, device);
            size_t number = batch->list->count++;
            batch->places[number] = place + i * page;
            batch->list->list[number] = (struct udmabuf_create_item){
                .memfd = (uint32_t)loop->writable, .offset = (uint64_t)offset + i * page, .size = page};
        }
    }
    return result;
}

int64_t vme_baseline_optimize_by_udmabuf(const struct vme_baseline *loop, int device)
{
    const struct vme_baseline_plan *plan = &loop->plan;
    struct batch batch = {.list = malloc(sizeof *batch.list + ITEMS_MAX * sizeof *batch.list->list)};
    if (!batch.list)
        return -ENOMEM;
    batch.list->flags = UDMABUF_FLAGS_CLOEXEC;
    batch.list->count = 0;
    size_t replaced = plan->vmemmap_pages - plan->replaced_first;
    size_t most = replaced < ITEMS_MAX ? ITEMS_MAX / replaced : 1;
    int64_t result = 0;
    for (size_t start = 0; result == 0 && start < plan->huge_pages; start += most) {
        size_t end = plan->huge_pages - start < most ? plan->huge_pages : start + most;
        // On memfd, what is to be shown is in the file already.
        if (!plan->is_memfd && plan->own_pages > 0)
            result = vme_step_write(
                loop, vmemmap(loop, start, plan->own_first), plan->vmemmap_pages * loop->page_size,
                plan->own_pages * loop->page_size, end - start, own_offset(loop, start));
        for (size_t i = start; result == 0 && i < end; i++)
            result = add(loop, i, &batch, device);
        if (result == 0)
            result = map_batch(loop, &batch, device);
        for (size_t i = start; result == 0 && plan->is_memfd && i < end; i++)
            result = vme_step_punch(
                loop, linear_offset(loop, i, plan->freed_first), plan->vmemmap_pages - plan->freed_first);
    }
    free(batch.list);
    return result;
}
