#define _GNU_SOURCE
#include "vme_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// In the guardian: async-signal-safe calls only.
static void guard(int end, const char *path, const char *value)
{
    char byte;
    ssize_t count;
    // A session of its own: no terminal's signal reaches it.
    setsid();
    // Nothing of the parent's stays open but the pipe, or a reader of its output would wait for us.
    if (end > 0)
        close_range(0, (unsigned)end - 1, 0);
    close_range((unsigned)end + 1, ~0U, 0);
    do
        count = read(end, &byte, 1);
    while (count < 0 && errno == EINTR);
    if (count == 0) {
        int file = open(path, O_WRONLY | O_CLOEXEC);
        if (file >= 0 && write(file, value, strlen(value)) < 0)
            _exit(1);
    }
    _exit(0);
}

int64_t vme_guardian_start(const char *path, const char *value)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -(int64_t)errno;
    // Two forks: the guardian is init's child, so that nobody has to wait for it.
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            close(ends[1]);
            guard(ends[0], path, value);
        }
        _exit(grandchild < 0 ? 1 : 0);
    }
    int64_t failure = child < 0 ? -(int64_t)errno : 0;
    close(ends[0]);
    int status = 1;
    if (child > 0 && waitpid(child, &status, 0) == child && status != 0)
        failure = -EAGAIN;
    if (failure != 0) {
        close(ends[1]);
        return failure;
    }
    return ends[1];
}
