#define _GNU_SOURCE
#include "vme_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(VME_PROT_NONE == PROT_NONE, "PROT_NONE");
_Static_assert(VME_PROT_READ == PROT_READ, "PROT_READ");
_Static_assert(VME_PROT_WRITE == PROT_WRITE, "PROT_WRITE");
_Static_assert(VME_MADV_DONTFORK == MADV_DONTFORK, "MADV_DONTFORK");
_Static_assert(VME_MADV_MERGEABLE == MADV_MERGEABLE, "MADV_MERGEABLE");
_Static_assert(VME_MADV_UNMERGEABLE == MADV_UNMERGEABLE, "MADV_UNMERGEABLE");
_Static_assert(VME_MADV_HUGEPAGE == MADV_HUGEPAGE, "MADV_HUGEPAGE");
_Static_assert(VME_MADV_NOHUGEPAGE == MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE");
#ifdef MADV_COLD
_Static_assert(VME_MADV_COLD == MADV_COLD, "MADV_COLD");
#endif
#ifdef MADV_COLLAPSE
_Static_assert(VME_MADV_COLLAPSE == MADV_COLLAPSE, "MADV_COLLAPSE");
#endif
#ifdef MADV_POPULATE_WRITE
_Static_assert(VME_MADV_POPULATE_READ == MADV_POPULATE_READ, "MADV_POPULATE_READ");
_Static_assert(VME_MADV_POPULATE_WRITE == MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE");
#endif
_Static_assert(VME_SEAL_SHRINK == F_SEAL_SHRINK, "F_SEAL_SHRINK");
_Static_assert(VME_SEAL_GROW == F_SEAL_GROW, "F_SEAL_GROW");

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

int64_t vme_map_anonymous(size_t length)
{
    return address_of(mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int64_t vme_map_huge_page(unsigned log2_size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(log2_size << MAP_HUGE_SHIFT);
    return address_of(mmap(NULL, (size_t)1 << log2_size, PROT_READ | PROT_WRITE, flags, -1, 0));
}

int64_t vme_map_anonymous_at(uintptr_t address, size_t length)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    return address_of(mmap((void *)address, length, PROT_READ | PROT_WRITE, flags, -1, 0));
}

int64_t vme_map_file(uintptr_t address, size_t length, int protection, int fd, int64_t offset)
{
    return address_of(mmap((void *)address, length, protection, MAP_SHARED | MAP_FIXED, fd, offset));
}

int64_t vme_unmap(uintptr_t address, size_t length)
{
    return result_of(munmap((void *)address, length));
}

int64_t vme_protect(uintptr_t address, size_t length, int protection)
{
    return result_of(mprotect((void *)address, length, protection));
}

int64_t vme_advise(uintptr_t address, size_t length, int advice)
{
    return result_of(madvise((void *)address, length, advice));
}

int64_t vme_move(uintptr_t from, size_t length, uintptr_t to)
{
    return address_of(mremap((void *)from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)to));
}

int64_t vme_memfd_create(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return result_of(fd);
}

int64_t vme_add_seals(int fd, int seals)
{
    return result_of(fcntl(fd, F_ADD_SEALS, seals));
}

int64_t vme_punch_hole(int fd, int64_t offset, int64_t length)
{
    return result_of(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
}

int64_t vme_truncate(int fd, int64_t length)
{
    return result_of(ftruncate(fd, length));
}

int64_t vme_seek_data(int fd, int64_t offset)
{
    return result_of(lseek(fd, offset, SEEK_DATA));
}

int64_t vme_allocated_bytes(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -(int64_t)errno;
    return (int64_t)status.st_blocks * 512;
}

int64_t vme_inode(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -(int64_t)errno;
    return (int64_t)status.st_ino;
}

int64_t vme_terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0)
        return -(int64_t)errno;
    return size.ws_col;
}

static void fill_pieces(struct iovec *pieces, uintptr_t first, size_t stride, size_t length, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pieces[i] = (struct iovec){.iov_base = (void *)(first + i * stride), .iov_len = length};
}

int64_t vme_gather_write(int fd, uintptr_t first, size_t stride, size_t length, size_t count, int64_t offset)
{
    struct iovec pieces[VME_PIECES_MAX];
    if (count > VME_PIECES_MAX)
        return -EINVAL;
    fill_pieces(pieces, first, stride, length, count);
    return result_of(pwritev(fd, pieces, (int)count, offset));
}

int64_t vme_scatter_read(int fd, uintptr_t first, size_t stride, size_t length, size_t count, int64_t offset)
{
    struct iovec pieces[VME_PIECES_MAX];
    if (count > VME_PIECES_MAX)
        return -EINVAL;
    fill_pieces(pieces, first, stride, length, count);
    return result_of(preadv(fd, pieces, (int)count, offset));
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
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGTERM);
    int error = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (error != 0)
        return -(int64_t)error;
    return result_of(signalfd(-1, &signals, SFD_CLOEXEC));
}

int64_t vme_wait_readable(int a, int b)
{
    struct pollfd waits[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    if (poll(waits, 2, -1) < 0)
        return -(int64_t)errno;
    return (waits[0].revents != 0 ? 1 : 0) | (waits[1].revents != 0 ? 2 : 0);
}
