// System calls that Swift's Glibc import lacks, or whose variadic or macro form it cannot use.
//
// Every shim returns its result, or -errno: nothing between the call and the caller can then clobber errno.
// Addresses travel as integers: the kernel checks them, and an address here is a place in a page table, not a
// pointer to be followed. No shim decides anything; policy is Swift's.
#ifndef VME_CALLS_H
#define VME_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The anonymous region that stands for the vmemmap: `length` bytes, private, read-write, at a multiple of `alignment`
// (a power of two, at least a page), with one inaccessible guard page on each side, so that no other anonymous mapping
// can merge with it. mmap alone aligns to a page only. Unless `is_reserved`, the kernel does not ask whether there is
// memory for all of it (MAP_NORESERVE). Returns the address of the first byte.
int64_t vme_region_map(size_t length, size_t alignment, bool is_reserved);
// Removes what vme_region_map made, guard pages included, whatever was mapped over it since.
int64_t vme_region_unmap(uintptr_t address, size_t length);

// mremap(MREMAP_MAYMOVE | MREMAP_FIXED): variadic and GNU-only, so not imported. Moves pages, replacing the target.
int64_t vme_move(uintptr_t from, size_t length, uintptr_t to);

// memfd_create: GNU-only. Close-on-exec and sealable; not executable where the kernel knows MFD_NOEXEC_SEAL (6.3).
// huge_page_shift: the logarithm of the size of its huge pages; 0 for base pages.
int64_t vme_memfd_create(const char *_Nonnull name, unsigned huge_page_shift);
// fcntl(F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW): the constants are GNU-only.
int64_t vme_seal_length(int fd);
// fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE): GNU-only. Gives the range's frames back to the host.
int64_t vme_punch_hole(int fd, int64_t offset, int64_t length);

// ioctl(PAGEMAP_SCAN) (Linux 6.7) on /proc/PID/pagemap: the parts of [start, end) in `category` (PAGE_IS_*), as up to
// `most` triples of start, end and categories. The structure is younger than the system headers of many, and its number
// is a macro. Returns how many triples there are; `*scanned` is where it stopped.
int64_t vme_scan_page_map(
    int pagemap, uint64_t category, uintptr_t start, uintptr_t end, uint64_t *_Nonnull triples, size_t most,
    uint64_t *_Nonnull scanned);

// signalfd over SIGHUP, SIGINT, SIGQUIT and SIGTERM, blocked in the calling thread (and in those it starts), but for
// those that are ignored: they stay so. signalfd is GNU-only. Reading it tells which signal came.
int64_t vme_termination_signals_open(void);

#endif
