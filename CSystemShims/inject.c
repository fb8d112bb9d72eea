#include "vme_inject.h"

_Thread_local struct vme_injection vme_injection_state;

int vme_injection_decide(unsigned operation)
{
    struct vme_injection *state = &vme_injection_state;
    if (!(state->operations >> operation & 1))
        return 0;
    int64_t call = ++state->calls;
    if (call < state->first || call - state->first >= state->failures)
        return 0;
    state->fired++;
    return -state->error;
}

void vme_injection_arm(uint64_t operations, int64_t first, int64_t failures, int32_t error,
                       bool late)
{
    vme_injection_state = (struct vme_injection){
        .armed = true, .operations = operations, .first = first, .failures = failures, .error = error,
        .late = late};
}

struct vme_injection vme_injection_disarm(void)
{
    struct vme_injection seen = vme_injection_state;
    vme_injection_state = (struct vme_injection){.armed = false};
    return seen;
}
