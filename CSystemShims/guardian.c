#define _GNU_SOURCE
#include "vme_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// In the guardian, which is forked from a process with threads: async-signal-safe calls only.

// The number at the start of a text; false if there is none.
static bool parse(const char *text, int64_t *number)
{
    int64_t value = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *text - '0', &value))
            return false;
    *number = value;
    return true;
}

static bool read_number(const char *path, int64_t *number)
{
    char text[32];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    if (count <= 0)
        return false;
    text[count] = '\0';
    return parse(text, number);
}

static void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    // Whether it was taken is read from the file afterwards.
    ssize_t count = write(file, text, strlen(text));
    (void)count;
    close(file);
}

// One setting or, before those, something to write if any of them has changed (see vme_guardian_start).
struct step {
    char kind;
    size_t index;
    const char *path;
    const char *text;
};

// Reads the next step and returns what comes after it.
static const char *next_step(const char *steps, struct step *step)
{
    step->kind = steps[0];
    step->index = (size_t)(unsigned char)steps[1];
    step->path = steps + 2;
    step->text = step->path + strlen(step->path) + 1;
    return step->text + strlen(step->text) + 1;
}

static bool is_own(const struct vme_own_values *own, const struct step *step, int64_t value)
{
    int64_t low = __atomic_load_n(&own[step->index].low, __ATOMIC_SEQ_CST);
    int64_t high = __atomic_load_n(&own[step->index].high, __ATOMIC_SEQ_CST);
    return value >= low && value <= high;
}

// Puts one setting back, unless somebody else has changed it since; again where the kernel could not do it yet: pages of a pool
// that are in use, say.
static void put_back(const struct step *step, const struct vme_own_values *own)
{
    int64_t wanted, found;
    if (!parse(step->text, &wanted))
        return;
    for (int attempt = 0; attempt < 100; attempt++) {
        if (!read_number(step->path, &found) || found == wanted || !is_own(own, step, found))
            return;
        // Lowered under it, a process with more mappings could map nothing any more, and dies of that.
        while (step->kind == VME_STEP_MAPPING_LIMIT && found > wanted && vme_process_above(wanted) > 0) {
            poll(NULL, 0, 500);
            // That may take hours, in which somebody may want another limit.
            if (!read_number(step->path, &found) || found == wanted || !is_own(own, step, found))
                return;
        }
        write_text(step->path, step->text);
        if (read_number(step->path, &found) && found == wanted)
            return;
        poll(NULL, 0, 20);
    }
}

static bool is_any_changed(const char *steps, size_t length)
{
    struct step step;
    for (const char *next = steps; next < steps + length;) {
        int64_t wanted, found;
        next = next_step(next, &step);
        if (step.kind != VME_STEP_CLEARING && parse(step.text, &wanted) && read_number(step.path, &found) && found != wanted)
            return true;
    }
    return false;
}

static void put_all_back(const char *steps, size_t length, struct vme_own_values *own)
{
    struct step step;
    bool is_changed = is_any_changed(steps, length);
    for (const char *next = steps; next < steps + length;) {
        int64_t value, found;
        next = next_step(next, &step);
        if (step.kind != VME_STEP_CLEARING) {
            put_back(&step, own);
        } else if (is_changed && parse(step.text, &value) && read_number(step.path, &found) && is_own(own, &step, found)) {
            write_text(step.path, step.text);
            vme_guardian_note((uintptr_t)own, step.index, value, value);
        }
    }
}

// Whoever meets the lock is told whom to look for.
static void sign(int lock)
{
    char text[16];
    size_t start = sizeof text;
    text[--start] = '\n';
    for (unsigned pid = (unsigned)getpid(); pid > 0; pid /= 10)
        text[--start] = (char)('0' + pid % 10);
    if (ftruncate(lock, 0) == 0 && pwrite(lock, text + start, sizeof text - start, 0) < 0)
        return;
}

static void close_all_but(int a, int b)
{
    int low = a < b ? a : b, high = a < b ? b : a;
    if (low > 0)
        close_range(0, (unsigned)low - 1, 0);
    if (high - low > 1)
        close_range((unsigned)low + 1, (unsigned)high - 1, 0);
    close_range((unsigned)high + 1, ~0U, 0);
}

static void guard(int end, const char *steps, size_t length, struct vme_own_values *own, int lock)
{
    char byte = 0;
    ssize_t count;
    // A session of its own, and no signal but SIGKILL (see vme_guardian_start): what ends the process that it guards does not end it.
    setsid();
    // Nothing of the parent's stays open but the socket and the lock, or a reader of its output would wait for us.
    close_all_but(end, lock);
    do
        count = read(end, &byte, 1);
    while (count < 0 && errno == EINTR);
    if (count == 0 || byte == VME_GUARDIAN_TAKE_OVER) {
        sign(lock);
        put_all_back(steps, length, own);
        vme_lock_release(lock);
    }
    _exit(0);
}

int64_t vme_map_shared(size_t length)
{
    void *address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return address == MAP_FAILED ? -(int64_t)errno : (int64_t)(intptr_t)address;
}

int64_t vme_socket_pair(int *ends)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ? -(int64_t)errno : 0;
}

int64_t vme_guardian_start(const int *ends, const char *steps, size_t length, uintptr_t own, int lock)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    int64_t result = child < 0 ? -(int64_t)errno : child;
    if (child == 0) {
        close(ends[1]);
        guard(ends[0], steps, length, (struct vme_own_values *)own, lock);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

void vme_guardian_note(uintptr_t own, size_t index, int64_t low, int64_t high)
{
    struct vme_own_values *values = (struct vme_own_values *)own + index;
    __atomic_store_n(&values->low, low, __ATOMIC_SEQ_CST);
    __atomic_store_n(&values->high, high, __ATOMIC_SEQ_CST);
}

int64_t vme_guardian_tell(int end, char byte)
{
    ssize_t count;
    do
        count = send(end, &byte, 1, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -(int64_t)errno : 0;
}

bool vme_guardian_has_ended(int64_t pid)
{
    // ECHILD: the program that this is a part of has taken it in.
    return waitpid((pid_t)pid, NULL, WNOHANG) != 0 && errno != EINTR;
}
