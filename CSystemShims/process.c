#define _GNU_SOURCE
#include "vme_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// MARK: Fork shield

struct shield {
    uintptr_t address;
    size_t length;
    int fds[2];
    struct shield *next;
};

static pthread_mutex_t shields_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shield *shields;
static pthread_once_t shields_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&shields_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&shields_lock);
}

// Async-signal-safe calls only.
static void after_fork_in_child(void)
{
    for (struct shield *shield = shields; shield != NULL; shield = shield->next) {
        if (shield->length > 0)
            munmap((void *)shield->address, shield->length);
        for (int i = 0; i < 2; i++)
            if (shield->fds[i] >= 0)
                close(shield->fds[i]);
    }
    shields = NULL;
    pthread_mutex_unlock(&shields_lock);
}

static void install_shields(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int64_t vme_fork_shield_add(uintptr_t address, size_t length, int fd_a, int fd_b)
{
    struct shield *shield = malloc(sizeof *shield);
    if (shield == NULL)
        return -ENOMEM;
    *shield = (struct shield){.address = address, .length = length, .fds = {fd_a, fd_b}};
    pthread_once(&shields_once, install_shields);
    pthread_mutex_lock(&shields_lock);
    shield->next = shields;
    shields = shield;
    pthread_mutex_unlock(&shields_lock);
    return (int64_t)(intptr_t)shield;
}

void vme_fork_shield_remove(uintptr_t handle)
{
    struct shield *shield = (struct shield *)handle;
    pthread_mutex_lock(&shields_lock);
    for (struct shield **link = &shields; *link != NULL; link = &(*link)->next) {
        if (*link == shield) {
            *link = shield->next;
            break;
        }
    }
    pthread_mutex_unlock(&shields_lock);
    free(shield);
}

// MARK: Fork probe

static sigjmp_buf probe_resume;

static void on_probe_fault(int number)
{
    (void)number;
    siglongjmp(probe_resume, 1);
}

// In the child: async-signal-safe calls only.
static void probe(const uintptr_t *addresses, size_t count, int end)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_probe_fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    volatile int64_t stores = 0;
    for (volatile size_t i = 0; i < count; i++) {
        if (sigsetjmp(probe_resume, 0) == 0) {
            __atomic_store_n((uint64_t *)addresses[i], UINT64_C(0xdeadbeefdeadbeef), __ATOMIC_SEQ_CST);
            stores++;
        }
    }
    int64_t made = stores;
    if (write(end, &made, sizeof made) != sizeof made)
        _exit(1);
    char byte;
    while (read(end, &byte, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

struct vme_fork_probe vme_fork_probe_start(const uintptr_t *addresses, size_t count)
{
    struct vme_fork_probe made = {.release = -1};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        made.pid = -(int64_t)errno;
        return made;
    }
    pid_t child = fork();
    made.pid = child < 0 ? -(int64_t)errno : child;
    made.release = ends[0];
    if (child == 0) {
        close(ends[0]);
        probe(addresses, count, ends[1]);
    }
    close(ends[1]);
    ssize_t got = 0;
    if (child > 0) {
        do
            got = read(ends[0], &made.stores, sizeof made.stores);
        while (got < 0 && errno == EINTR);
        if (got == sizeof made.stores)
            return made;
        vme_fork_probe_end(made);
        made.pid = -EPIPE;
    } else {
        close(ends[0]);
    }
    return made;
}

void vme_fork_probe_end(struct vme_fork_probe probe)
{
    close(probe.release);
    while (waitpid((pid_t)probe.pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

// MARK: Ending with the parent

int64_t vme_end_with_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ? -(int64_t)errno : 0;
}

// MARK: The environment

char **vme_environment(void)
{
    return environ;
}

// MARK: A file system of one's own

// The new mount calls are younger than many C libraries; their numbers and constants are the same on every
// architecture.
enum { CALL_FSOPEN = 430, CALL_FSCONFIG = 431, CALL_FSMOUNT = 432 };
enum { FSOPEN_CLOEXEC_FLAG = 1, FSMOUNT_CLOEXEC_FLAG = 1, SET_STRING = 1, CMD_CREATE = 6 };

int64_t vme_small_filesystem_open(size_t length, bool has_huge_pages)
{
    long context = syscall(CALL_FSOPEN, "tmpfs", FSOPEN_CLOEXEC_FLAG);
    if (context < 0)
        return -(int64_t)errno;
    char text[32];
    snprintf(text, sizeof text, "%zu", length);
    long mount = -1;
    if (syscall(CALL_FSCONFIG, context, SET_STRING, "size", text, 0) == 0
        && (!has_huge_pages || syscall(CALL_FSCONFIG, context, SET_STRING, "huge", "always", 0) == 0)
        && syscall(CALL_FSCONFIG, context, CMD_CREATE, NULL, NULL, 0) == 0)
        mount = syscall(CALL_FSMOUNT, context, FSMOUNT_CLOEXEC_FLAG, 0);
    int64_t failure = mount < 0 ? -(int64_t)errno : 0;
    close((int)context);
    return failure < 0 ? failure : mount;
}

int64_t vme_allocate(int fd, int64_t offset, int64_t length)
{
    return fallocate(fd, 0, offset, length) != 0 ? -(int64_t)errno : 0;
}

// MARK: Room in the heap

void vme_heap_share(void)
{
#ifdef __GLIBC__
    // A thread that can have no heap of its own, and might have had one, is given no share of another's: it gets
    // nothing.
    mallopt(M_ARENA_MAX, 1);
#endif
}

bool vme_heap_reserve(size_t length)
{
#ifdef __GLIBC__
    vme_heap_share();
    // The room is to be a part of the heap, not a mapping by itself, and to stay when it is given back.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    // volatile: a pair of malloc and free may be left out otherwise.
    char *volatile room = malloc(length);
    // What brk gave is below everything that is mapped.
    bool is_main_heap = room != NULL && room < (char *)sbrk(0);
    free(room);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    return is_main_heap;
#else
    (void)length;
    return false;
#endif
}

void vme_heap_open(void)
{
    // volatile: as above.
    void *volatile room = malloc(1);
    free(room);
}
