#define _GNU_SOURCE
#include "vme_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// In the guardian: async-signal-safe calls only.

// Whether the first word of the file is `value`, which ends in a newline.
static bool holds(int file, const char *value, size_t length)
{
    char found[32];
    ssize_t count = pread(file, found, sizeof found, 0);
    return count >= (ssize_t)length && memcmp(found, value, length) == 0;
}

// Writes the value, and again where the kernel could not take it yet: pages of a pool that are in use, say.
static void put_back(const char *path, const char *value)
{
    size_t length = strlen(value);
    for (int attempt = 0; attempt < 100; attempt++) {
        int file = open(path, O_RDWR | O_CLOEXEC);
        if (file < 0)
            return;
        bool is_back = write(file, value, length) == (ssize_t)length && holds(file, value, length);
        close(file);
        if (is_back)
            return;
        poll(NULL, 0, 20);
    }
}

static void guard(int end, const char *settings, size_t length)
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
        const char *path = settings;
        while (path < settings + length) {
            const char *value = path + strlen(path) + 1;
            put_back(path, value);
            path = value + strlen(value) + 1;
        }
    }
    _exit(0);
}

int64_t vme_guardian_start(const char *settings, size_t length)
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
            guard(ends[0], settings, length);
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
