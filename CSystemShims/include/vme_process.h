// What concerns the process as a whole: children it forks, signals sent to its threads, a file system of its own.
#ifndef VME_PROCESS_H
#define VME_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A child that this process forks gets a copy of every mapping and every descriptor: it could write to shared frames,
// and it keeps frames alive that the parent has given back. What is added here is taken from the child inside fork()
// itself, before the child runs anything of its own. (MADV_DONTFORK would have to be given again with each replacing
// mmap, and keeps neighbours that were given it from merging with those that were not.) Only fork(): vfork, posix_spawn
// and exec copy nothing.
//
// `length` 0: no mapping; a negative descriptor: none. Returns a handle for vme_fork_shield_remove.
int64_t vme_fork_shield_add(uintptr_t address, size_t length, int fd_a, int fd_b);
void vme_fork_shield_remove(uintptr_t handle);

// A child that tries a store to each of `count` addresses, then waits to be let go, so that others can look at it. fork
// leaves a threaded process nothing but async-signal-safe calls, which Swift cannot promise.
struct vme_fork_probe {
    int64_t pid;     // or -errno
    int64_t stores;  // how many of the stores were made; the others faulted
    int release;     // the child ends when this is closed
};
struct vme_fork_probe vme_fork_probe_start(const uintptr_t *_Nonnull addresses, size_t count);
// Lets the child go and waits for it.
void vme_fork_probe_end(struct vme_fork_probe probe);

// Has the kernel kill this process (SIGKILL) when the thread that started it ends, or has ended with its process.
// prctl takes a variable number of arguments, which Swift cannot call.
int64_t vme_end_with_parent(void);

// environ: Swift refuses a global variable that anybody may set.
char *_Nullable *_Nonnull vme_environment(void);

// Has malloc make no further heaps. With a C library other than glibc nothing is done.
void vme_heap_share(void);
// The same, and gives the calling thread's heap `length` bytes (less than 32 MiB) of free room, in
// address space only, which malloc keeps. Returns whether that is the main thread's heap, which grows by brk. A C
// library other than glibc: false, and nothing is done. mallopt and sbrk are not standard.
bool vme_heap_reserve(size_t length);

// Has malloc map the heap that it gives the calling thread, if it gives it one of its own: it does so at the first
// allocation.
void vme_heap_open(void);

// A tmpfs of `length` bytes that is mounted nowhere and goes away with the descriptor (fsopen, Linux 5.2;
// CAP_SYS_ADMIN). Beyond its size there is ENOSPC. With `has_huge_pages` its files have transparent huge pages, as
// memory files have where shmem_enabled is `always`.
int64_t vme_small_filesystem_open(size_t length, bool has_huge_pages);
// fallocate without flags: gives the range frames, or says that there are none. GNU-only.
int64_t vme_allocate(int fd, int64_t offset, int64_t length);

#endif
