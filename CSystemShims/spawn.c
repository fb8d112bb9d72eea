#define _GNU_SOURCE
#include "vme_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_both(const int *ends)
{
    close(ends[0]);
    close(ends[1]);
}

// The child's signals are as a shell would leave them, whatever is blocked or ignored here.
static int spawn(pid_t *child, const char *path, char *const *arguments, int input, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (error == 0)
            error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (error == 0)
            error = posix_spawn(child, path, &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int64_t vme_spawn(const char *path, char *const *arguments, int *input, int *output)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return -(int64_t)errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        int64_t failure = -(int64_t)errno;
        close_both(in);
        return failure;
    }
    pid_t child = 0;
    int error = spawn(&child, path, arguments, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (error != 0) {
        close(in[1]);
        close(out[0]);
        return -(int64_t)error;
    }
    *input = in[1];
    *output = out[0];
    return child;
}

int64_t vme_await_exit(int64_t pid)
{
    int status;
    if (waitpid((pid_t)pid, &status, 0) < 0)
        return -(int64_t)errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
