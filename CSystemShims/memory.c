#define _GNU_SOURCE
#include "vme_memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

// The guarded access this thread is in, if any. The handler runs on the thread that faulted.
static _Thread_local struct {
    volatile bool active;
    volatile uintptr_t address;
    volatile struct vme_access outcome;
    sigjmp_buf resume;
} guard;

static pthread_once_t installed = PTHREAD_ONCE_INIT;
static struct sigaction previous_segv;
static struct sigaction previous_bus;

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    struct sigaction *previous = signal_number == SIGBUS ? &previous_bus : &previous_segv;
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(signal_number, info, context);
    } else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(signal_number);
    } else if (previous->sa_handler == SIG_DFL || info->si_code > 0) {
        // Return to the faulting instruction with the default in place: the process dies of this signal, there.
        struct sigaction fallback;
        memset(&fallback, 0, sizeof fallback);
        fallback.sa_handler = SIG_DFL;
        sigaction(signal_number, &fallback, NULL);
        // One that was sent does not come again by itself, and must not be swallowed.
        if (info->si_code <= 0)
            raise(signal_number);
    }
    // Left: sent, and ignored before us. A real fault cannot be ignored.
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    uintptr_t fault = (uintptr_t)info->si_addr;
    // si_code above 0: raised by the kernel for a real fault, not sent by kill.
    if (guard.active && info->si_code > 0 && fault - guard.address < sizeof(uint64_t)) {
        guard.outcome.signal = signal_number;
        guard.outcome.code = info->si_code;
        // The jump skips sigreturn, so the mask is put back here; sigsetjmp(, 0) does not save one.
        pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
        siglongjmp(guard.resume, 1);
    }
    pass_on(signal_number, info, context);
}

static void install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    // ONSTACK: a handler we pass on to may need the alternate stack (a stack overflow faults too).
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
}

static void enter(const void *address)
{
    pthread_once(&installed, install);
    guard.outcome.signal = 0;
    guard.outcome.code = 0;
    guard.address = (uintptr_t)address;
    guard.active = true;
}

static struct vme_access leave(void)
{
    // The access stays before this point: the compiler knows nothing of the fault that may end it.
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard.active = false;
    return (struct vme_access){.signal = guard.outcome.signal, .code = guard.outcome.code};
}

struct vme_access vme_try_store(uint64_t *address, uint64_t value)
{
    enter(address);
    if (sigsetjmp(guard.resume, 0) == 0)
        __atomic_store_n(address, value, __ATOMIC_RELEASE);
    return leave();
}

struct vme_access vme_try_load(const uint64_t *address, uint64_t *value)
{
    enter(address);
    if (sigsetjmp(guard.resume, 0) == 0)
        *value = __atomic_load_n(address, __ATOMIC_ACQUIRE);
    return leave();
}

struct vme_access vme_try_add(int32_t *address, int32_t delta)
{
    enter(address);
    if (sigsetjmp(guard.resume, 0) == 0)
        __atomic_fetch_add(address, delta, __ATOMIC_ACQ_REL);
    return leave();
}

struct vme_access vme_try_replace(int32_t *address, int32_t *expected, int32_t value)
{
    enter(address);
    if (sigsetjmp(guard.resume, 0) == 0)
        __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return leave();
}
