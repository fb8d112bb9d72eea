#define _GNU_SOURCE
#include "vme_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// MARK: A lock

int64_t vme_lock_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return -(int64_t)errno;
    struct stat status;
    int64_t failure = fstat(fd, &status) != 0 ? -(int64_t)errno : 0;
    if (failure == 0
        && (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1 || (status.st_mode & 077) != 0))
        failure = -EPERM;
    if (failure == 0)
        return fd;
    close(fd);
    return failure;
}

int64_t vme_lock_take(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 1;
    return errno == EWOULDBLOCK ? 0 : -(int64_t)errno;
}

void vme_lock_release(int fd)
{
    flock(fd, LOCK_UN);
}

// MARK: Processes with many mappings
// Async-signal-safe calls only.

enum { NAME_MAX_LENGTH = 32, BUFFER = 4096 };

struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static bool is_number(const char *name)
{
    return *name >= '1' && *name <= '9' && strspn(name, "0123456789") == strlen(name);
}

static int open_of(int processes, const char *pid, const char *file)
{
    char path[NAME_MAX_LENGTH];
    size_t length = strlen(pid);
    if (length + strlen(file) + 2 > sizeof path)
        return -1;
    memcpy(path, pid, length);
    path[length] = '/';
    strcpy(path + length + 1, file);
    return openat(processes, path, O_RDONLY | O_CLOEXEC);
}

static int64_t number_at(const char *text)
{
    int64_t number = 0;
    for (; *text >= '0' && *text <= '9' && number < INT64_MAX / 10 - 9; text++)
        number = number * 10 + (*text - '0');
    return number;
}

// A mapping has a page at least, so that most processes need not be counted.
static bool has_as_many_pages(int processes, const char *pid, int64_t mappings)
{
    char text[64];
    int file = open_of(processes, pid, "statm");
    if (file < 0)
        return false;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    if (count <= 0)
        return false;
    text[count] = '\0';
    return number_at(text) > mappings;
}

static bool has_more(int processes, const char *pid, int64_t mappings)
{
    char text[BUFFER];
    int64_t lines = 0;
    ssize_t count;
    int file = open_of(processes, pid, "maps");
    if (file < 0)
        return false;
    while (lines <= mappings && (count = read(file, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < count; i++)
            lines += text[i] == '\n';
    close(file);
    return lines > mappings;
}

int64_t vme_process_above(int64_t mappings)
{
    _Alignas(uint64_t) char buffer[BUFFER];
    int64_t found = 0;
    long count;
    int processes = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (processes < 0)
        return 0;
    while (found == 0 && (count = syscall(SYS_getdents64, processes, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < count && found == 0;) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            at += entry->length;
            if (is_number(entry->name) && number_at(entry->name) != getpid()
                && has_as_many_pages(processes, entry->name, mappings) && has_more(processes, entry->name, mappings))
                found = number_at(entry->name);
        }
    }
    close(processes);
    return found;
}
