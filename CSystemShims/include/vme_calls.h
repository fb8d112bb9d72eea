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

// Constants that <sys/mman.h> and <fcntl.h> show only under _GNU_SOURCE, which a public header must not define
// (it breaks Swift's Glibc import). calls.c holds each one to the system's own value.
enum {
    VME_PROT_NONE = 0,
    VME_PROT_READ = 1,
    VME_PROT_WRITE = 2,
    VME_MADV_DONTFORK = 10,
    VME_MADV_MERGEABLE = 12,
    VME_MADV_UNMERGEABLE = 13,
    VME_MADV_HUGEPAGE = 14,
    VME_MADV_NOHUGEPAGE = 15,
    VME_MADV_COLD = 20,
    VME_MADV_POPULATE_READ = 22,
    VME_MADV_POPULATE_WRITE = 23,
    VME_MADV_COLLAPSE = 25,
    VME_SEAL_SHRINK = 0x0002,
    VME_SEAL_GROW = 0x0004,
    // One gather or scatter call takes this many pieces at most: its iovec array lives on the stack.
    VME_PIECES_MAX = 64,
};

// The anonymous region that stands for the vmemmap: `length` bytes, private, read-write, at a multiple of `alignment`
// (a power of two, at least a page), with one inaccessible guard page on each side, so that no other anonymous mapping
// can merge with it. mmap alone aligns to a page only. Unless `is_reserved`, the kernel does not ask whether there is
// memory for all of it (MAP_NORESERVE). Returns the address of the first byte.
int64_t vme_region_map(size_t length, size_t alignment, bool is_reserved);
// Removes what vme_region_map made, guard pages included, whatever was mapped over it since.
int64_t vme_region_unmap(uintptr_t address, size_t length);

// mmap of private anonymous read-write memory at an address of the kernel's choosing: MAP_ANONYMOUS is hidden.
int64_t vme_map_anonymous(size_t length);
// mmap(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED): replaces what is mapped there by pages that read as zeros.
int64_t vme_map_anonymous_at(uintptr_t address, size_t length);
// mmap(MAP_SHARED | MAP_FIXED): replaces what is mapped there by a file's pages.
int64_t vme_map_file(uintptr_t address, size_t length, int protection, int fd, int64_t offset);
int64_t vme_unmap(uintptr_t address, size_t length);
int64_t vme_protect(uintptr_t address, size_t length, int protection);
int64_t vme_advise(uintptr_t address, size_t length, int advice);
// mremap(MREMAP_MAYMOVE | MREMAP_FIXED): variadic and GNU-only, so not imported. Moves pages, replacing the target.
int64_t vme_move(uintptr_t from, size_t length, uintptr_t to);

// memfd_create: GNU-only. Close-on-exec and sealable; not executable where the kernel knows MFD_NOEXEC_SEAL (6.3).
int64_t vme_memfd_create(const char *_Nonnull name);
// fcntl(F_ADD_SEALS): variadic and GNU-only.
int64_t vme_add_seals(int fd, int seals);
// fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE): GNU-only. Gives the range's frames back to the host.
int64_t vme_punch_hole(int fd, int64_t offset, int64_t length);
int64_t vme_truncate(int fd, int64_t length);
// lseek(SEEK_DATA): GNU-only. The first offset from `offset` on at which the file has a frame, or -ENXIO.
int64_t vme_seek_data(int fd, int64_t offset);
// fstat's st_blocks in bytes: what the file occupies. struct stat's layout and names differ between architectures.
int64_t vme_allocated_bytes(int fd);
// fstat's st_ino, for the same reason.
int64_t vme_inode(int fd);
// ioctl(TIOCGWINSZ): the columns of the terminal that `fd` is. ioctl is variadic.
int64_t vme_terminal_columns(int fd);

// pwritev and preadv over `count` pieces (at most VME_PIECES_MAX) of `length` bytes each, `stride` apart in memory
// and one behind the other in the file. The array of pieces lives on the stack, so that the caller's loop allocates
// nothing. Returns the bytes moved, which may be fewer than asked for.
int64_t vme_gather_write(int fd, uintptr_t first, size_t stride, size_t length, size_t count, int64_t offset);
int64_t vme_scatter_read(int fd, uintptr_t first, size_t stride, size_t length, size_t count, int64_t offset);

// mmap(MAP_HUGETLB) of one private huge page of 2^`log2_size` bytes from the host's own pool: MAP_HUGETLB and the size
// in its high bits are hidden like MAP_ANONYMOUS.
int64_t vme_map_huge_page(unsigned log2_size);

// ioctl(PAGEMAP_SCAN) (Linux 6.7) on /proc/PID/pagemap: the parts of [start, end) in `category` (PAGE_IS_*), as up to
// `most` triples of start, end and categories. ioctl is variadic, and the structure is younger than the system headers
// of many. Returns how many triples there are; `*scanned` is where it stopped.
int64_t vme_scan_page_map(
    int pagemap, uint64_t category, uintptr_t start, uintptr_t end, uint64_t *_Nonnull triples, size_t most,
    uint64_t *_Nonnull scanned);

// signalfd over SIGINT, SIGQUIT and SIGTERM, all blocked in the calling thread (and in those it starts): sigset_t is
// opaque to Swift. Reading it tells which signal came.
int64_t vme_termination_signals_open(void);
// Waits until fd `a`, or fd `b` unless negative, can be read. Returns 1 for a, 2 for b, 3 for both.
int64_t vme_wait_readable(int a, int b);

#endif
