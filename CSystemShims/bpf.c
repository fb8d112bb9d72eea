#define _GNU_SOURCE
#include "vme_bpf.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t vme_bpf(int command, void *attributes, size_t length)
{
    long result = syscall(SYS_bpf, command, attributes, length);
    return result < 0 ? -(int64_t)errno : result;
}
