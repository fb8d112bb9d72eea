#define _GNU_SOURCE
#include "vme_naming.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(VME_O_PATH == O_PATH, "O_PATH");

static const char acl[] = "system.posix_acl_access";

static int64_t failure(void)
{
    return -(int64_t)errno;
}

static void hold_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

int64_t vme_unnamed_file_open(int folder, mode_t mode)
{
    int file = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    return file < 0 ? failure() : file;
}

int64_t vme_unlinked_file_open(int folder, const char *temporary, mode_t mode)
{
    sigset_t before;
    hold_signals(&before);
    int64_t file = openat(folder, temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, mode);
    if (file < 0) {
        file = failure();
    } else if (unlinkat(folder, temporary, 0) != 0) {
        int64_t error = failure();
        close((int)file);
        file = error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return file;
}

// From here to give_name: async-signal-safe calls only.

// What programs (user.) and root (trusted.) have noted on a file; what cannot be noted on the other is left out.
static void copy_notes(int from, int to)
{
    char names[4096], value[4096];
    ssize_t all = flistxattr(from, names, sizeof names);
    for (ssize_t place = 0; place < all; place += (ssize_t)strlen(names + place) + 1) {
        const char *name = names + place;
        if (strncmp(name, "user.", 5) != 0 && strncmp(name, "trusted.", 8) != 0)
            continue;
        ssize_t length = fgetxattr(from, name, value, sizeof value);
        if (length >= 0)
            fsetxattr(to, name, value, (size_t)length, 0);
    }
}

int64_t vme_permissions_copy(int from, int to)
{
    struct stat old, new;
    char entries[4096];
    if (fstat(from, &old) != 0 || fstat(to, &new) != 0)
        return failure();
    copy_notes(from, to);
    mode_t mode = old.st_mode & 07777;
    // With an ACL, the group's bits of the mode are the most that any entry allows, and not what the group may do.
    ssize_t length = fgetxattr(from, acl, entries, sizeof entries);
    bool has_acl = length >= 0 || errno == ERANGE;
    if (old.st_uid != new.st_uid && fchown(to, old.st_uid, (gid_t)-1) != 0)
        mode &= 01777;
    if (old.st_gid != new.st_gid && fchown(to, (uid_t)-1, old.st_gid) != 0) {
        // Who was in the group is now among the others, and the other way round: both may do what both might.
        mode_t both = has_acl ? 0 : mode >> 3 & mode & 07;
        mode = (mode & 01700) | both << 3 | both;
        has_acl = false;
        length = -1;
    }
    // What the folder has given it by default.
    fremovexattr(to, acl);
    if (has_acl && (length < 0 || fsetxattr(to, acl, entries, (size_t)length, 0) != 0))
        mode &= 07707;
    return fchmod(to, mode) != 0 ? failure() : 0;
}

// Copies a file to a new one. Returns 0 or an errno.
static int copy(int from, int folder, const char *name)
{
    char bytes[16384];
    int to = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return errno;
    int error = 0;
    off_t offset = 0;
    while (error == 0) {
        ssize_t count = pread(from, bytes, sizeof bytes, offset);
        if (count == 0)
            break;
        for (ssize_t written = 0, step; error == 0 && written < count; written += step) {
            step = write(to, bytes + written, (size_t)(count - written));
            if (step < 0)
                error = errno;
        }
        if (count < 0)
            error = errno;
        offset += count;
    }
    // A file system without permissions refuses to set any.
    vme_permissions_copy(from, to);
    if (close(to) != 0 && error == 0)
        error = errno;
    if (error != 0)
        unlinkat(folder, name, 0);
    return error;
}

// Puts a file in the place of a plain file with one name, or of nothing. Exchanged first and looked at then: what has
// come there meanwhile, a pipe say, is put back. Returns 0 or an errno; the temporary name is gone either way.
static int replace(int folder, const char *temporary, const char *name)
{
    struct stat found;
    int error = 0;
    if (renameat2(folder, temporary, folder, name, RENAME_EXCHANGE) == 0) {
        if (fstatat(folder, temporary, &found, AT_SYMLINK_NOFOLLOW) != 0)
            error = errno;
        else if (!S_ISREG(found.st_mode) || found.st_nlink != 1)
            error = S_ISDIR(found.st_mode) ? EISDIR : EEXIST;
        if (error != 0)
            renameat2(folder, temporary, folder, name, RENAME_EXCHANGE);
    } else if (errno == ENOENT) {
        if (renameat2(folder, temporary, folder, name, RENAME_NOREPLACE) == 0)
            return 0;
        error = errno;
    } else {
        error = errno;
    }
    // A file system without exchanges.
    if (error == EINVAL || error == ENOSYS)
        error = renameat(folder, temporary, folder, name) == 0 ? 0 : errno;
    unlinkat(folder, temporary, 0);
    return error;
}

// Returns 0 or an errno. Both ways to link need something: /proc, or CAP_DAC_READ_SEARCH.
static int give_name(int file, const char *link, int folder, const char *temporary, const char *name)
{
    if (linkat(AT_FDCWD, link, folder, temporary, AT_SYMLINK_FOLLOW) != 0 &&
        linkat(file, "", folder, temporary, AT_EMPTY_PATH) != 0) {
        int error = copy(file, folder, temporary);
        if (error != 0)
            return error;
    }
    return replace(folder, temporary, name);
}

int64_t vme_file_name(int file, int folder, const char *temporary, const char *name)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    sigset_t before;
    hold_signals(&before);
    // What is said if the other process is killed.
    volatile int error = EINTR;
    pid_t child = vfork();
    if (child == 0) {
        setsid();
        error = give_name(file, link, folder, temporary, name);
        _exit(0);
    }
    if (child > 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    } else {
        // No process to be had: here, then.
        error = give_name(file, link, folder, temporary, name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -(int64_t)error;
}

int64_t vme_is_mount_point(const char *path)
{
    struct statx status;
    if (statx(AT_FDCWD, path, 0, 0, &status) != 0)
        return failure();
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}
