// Failing the n-th call on purpose. The state is the calling thread's own, so that tests and stress workers that run
// side by side do not see each other's faults. Disarmed, the cost is one thread-local load and a branch that is
// never taken. In C, since Swift has no thread-local variables.
#ifndef VME_INJECT_H
#define VME_INJECT_H

#include <stdbool.h>
#include <stdint.h>

struct vme_injection {
    bool armed;
    uint64_t operations;  // bit set: which operations count
    int64_t calls;        // calls seen since it was armed
    int64_t first;        // the first call that fails, from 1
    int64_t failures;     // how many calls from there on fail
    int32_t error;        // the errno they fail with
    bool late;            // whether they have had an effect by then
    int64_t fired;        // how many calls were failed
};

extern _Thread_local struct vme_injection vme_injection_state;

int vme_injection_decide(unsigned operation);

// 0: make the call. Otherwise -errno: do not make it, and report this.
static inline int vme_injection_next(unsigned operation)
{
    if (__builtin_expect(!vme_injection_state.armed, 1))
        return 0;
    return vme_injection_decide(operation);
}

// Whether the refused call is to have had an effect.
static inline bool vme_injection_is_late(void) { return vme_injection_state.late; }

void vme_injection_arm(uint64_t operations, int64_t first, int64_t failures, int32_t error, bool late);
// Disarms and returns what was seen.
struct vme_injection vme_injection_disarm(void);

#endif
