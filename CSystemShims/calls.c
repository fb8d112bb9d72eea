#define _GNU_SOURCE
#include "vme_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int64_t result_of(int64_t result)
{
    return result < 0 ? -(int64_t)errno : result;
}

static int64_t address_of(void *address)
{
    return address == MAP_FAILED ? -(int64_t)errno : (int64_t)(intptr_t)address;
}

static size_t guard_length(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int64_t vme_region_map(size_t length, size_t alignment, bool is_reserved)
{
    size_t guard = guard_length();
    size_t reserved;
    if (__builtin_add_overflow(length, alignment + 2 * guard, &reserved))
        return -ENOMEM;
    void *start = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return -(int64_t)errno;

    // What is ours is [low, high) at every step: what was trimmed may be another thread's mapping a moment later.
    uintptr_t low = (uintptr_t)start;
    uintptr_t high = low + reserved;
    uintptr_t base = (low + guard + alignment - 1) & ~(uintptr_t)(alignment - 1);
    uintptr_t end = base + length + guard;
    if (base - guard > low) {
        if (munmap((void *)low, base - guard - low) != 0)
            goto refused;
        low = base - guard;
    }
    if (high > end) {
        if (munmap((void *)end, high - end) != 0)
            goto refused;
        high = end;
    }
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (is_reserved ? 0 : MAP_NORESERVE);
    if (mmap((void *)base, length, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
        goto refused;
    return (int64_t)base;

refused:;
    int64_t failure = -(int64_t)errno;
    munmap((void *)low, high - low);
    return failure;
}

int64_t vme_region_unmap(uintptr_t address, size_t length)
{
    size_t guard = guard_length();
    return result_of(munmap((void *)(address - guard), length + 2 * guard));
}

int64_t vme_move(uintptr_t from, size_t length, uintptr_t to)
{
    return address_of(mremap((void *)from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to));
}

int64_t vme_memfd_create(const char *name, unsigned huge_page_shift)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (huge_page_shift != 0)
        flags |= MFD_HUGETLB | huge_page_shift << 26; // MFD_HUGE_SHIFT
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, flags);
    return result_of(fd);
}

int64_t vme_seal_length(int fd)
{
    return result_of(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
}

int64_t vme_punch_hole(int fd, int64_t offset, int64_t length)
{
    return result_of(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
}

// struct pm_scan_arg of linux/fs.h (Linux 6.7).
struct scan_arguments {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
_Static_assert(sizeof(struct scan_arguments) == 96, "struct pm_scan_arg");

int64_t vme_scan_page_map(
    int pagemap, uint64_t category, uintptr_t start, uintptr_t end, uint64_t *triples, size_t most, uint64_t *scanned)
{
    struct scan_arguments scan = {
        .size = sizeof scan, .start = start, .end = end, .vec = (uintptr_t)triples, .vec_len = most,
        .category_mask = category, .return_mask = category,
    };
    int64_t found = result_of(ioctl(pagemap, _IOWR('f', 16, struct scan_arguments), &scan));
    *scanned = scan.walk_end;
    return found;
}

int64_t vme_termination_signals_open(void)
{
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction now;
        if (sigaction(ends[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&signals, ends[i]);
    }
    int error = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (error != 0)
        return -(int64_t)error;
    return result_of(signalfd(-1, &signals, SFD_CLOEXEC));
}
