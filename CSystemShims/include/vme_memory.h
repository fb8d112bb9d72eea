// Words of mapped memory that other threads, and the kernel's remapping, may change at any time.
//
// The rules: such memory is only ever touched through these functions (or in bulk while the caller owns the huge
// page), so that the compiler can neither hoist a load out of a loop nor tear a store.
#ifndef VME_MEMORY_H
#define VME_MEMORY_H

#include <stddef.h>
#include <stdint.h>

// A C11 atomic load at any address: Swift's Atomic owns its storage and cannot be laid over a mapping.
static inline uint64_t vme_load_acquire(const uint64_t *_Nonnull address)
{
    return __atomic_load_n(address, __ATOMIC_ACQUIRE);
}

static inline void vme_store_release(uint64_t *_Nonnull address, uint64_t value)
{
    __atomic_store_n(address, value, __ATOMIC_RELEASE);
}

// How an access ended: signal 0 if it was made, otherwise the signal and si_code of the fault that stopped it.
struct vme_access {
    int32_t signal;
    int32_t code;
};

// Accesses that report a fault instead of dying. Any thread may use them, several at once. The SIGSEGV and SIGBUS
// handlers go in on first use and pass on every fault that is not a guarded access's own. A Swift program cannot
// write these: a jump out of a signal handler must not cross Swift frames.
//
// The address must be inside a mapping that the caller keeps: a hole of a live process may be reused at any time.
struct vme_access vme_try_store(uint64_t *_Nonnull address, uint64_t value);
struct vme_access vme_try_load(const uint64_t *_Nonnull address, uint64_t *_Nonnull value);
struct vme_access vme_try_add(int32_t *_Nonnull address, int32_t delta);
// Stores `value` if the counter is `*expected`, which becomes what was found.
struct vme_access vme_try_replace(int32_t *_Nonnull address, int32_t *_Nonnull expected, int32_t value);

#endif
