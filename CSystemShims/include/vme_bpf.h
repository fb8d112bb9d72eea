// bpf(2), which glibc has no function for; Swift cannot call syscall(2), which is variadic.
#ifndef VME_BPF_H
#define VME_BPF_H

#include <stddef.h>
#include <stdint.h>

// `attributes` is the kernel's union bpf_attr, `length` bytes of it.
int64_t vme_bpf(int command, void *_Nonnull attributes, size_t length);

#endif
