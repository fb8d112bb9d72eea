// Settings of the host that are changed for a while: a lock on them, and a guardian that puts them back.
#ifndef VME_SETTINGS_H
#define VME_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Opens a lock's file, which is made if need be, for its owner alone. Refused with EPERM if it is not a plain file of this user's with
// one name: somebody else could have it locked, or its contents could be another file's. fstat's structure differs between architectures.
int64_t vme_lock_open(const char *_Nonnull path);
// flock(LOCK_EX | LOCK_NB): in Swift the structure of the same name hides the function. 1 if it is locked now, 0 if another has it.
int64_t vme_lock_take(int fd);
// flock(LOCK_UN): also for the processes that have inherited the descriptor.
void vme_lock_release(int fd);

// A process other than this one that has more mappings than `mappings`, as far as /proc shows it; 0 if there is none. Async-signal-safe,
// as the guardian asks it, too.
int64_t vme_process_above(int64_t mappings);

// The values of a setting that the guarded process has made: from `low` to `high`. A write that is cut short can leave any between
// what was there and what was asked for.
struct vme_own_values {
    int64_t low, high;
};

enum {
    // A setting.
    VME_STEP_SETTING = 's',
    // One that limits the mappings of every process.
    VME_STEP_MAPPING_LIMIT = 'm',
    // What is written before the settings, if any of them has changed.
    VME_STEP_CLEARING = 'c',
    // What the guardian is told: to go away with nothing done, or not to wait for the end of its parent.
    VME_GUARDIAN_DISMISS = 'd',
    VME_GUARDIAN_TAKE_OVER = 't',
};

// mmap(MAP_SHARED | MAP_ANONYMOUS): MAP_ANONYMOUS is hidden.
int64_t vme_map_shared(size_t length);
// socketpair: close-on-exec. Unlike a pipe, it can be written to without SIGPIPE.
int64_t vme_socket_pair(int *_Nonnull ends);

// fork of a process that outlives this one, however it ends (SIGKILL, the OOM killer), and then puts settings of the host back: the
// last way to do so. fork leaves a threaded process nothing but async-signal-safe calls, which Swift cannot promise.
//
// `ends` is a socket pair of which the guardian takes the first, `own` a mapping shared with it: an array of vme_own_values. `steps` holds
// `length` bytes: for each step, in order, its kind, the index of its setting in `own`, the path of its file and the value, each of the
// two ending in a zero byte. `lock` is the lock on the settings, which it keeps until they are back. Returns its number.
int64_t vme_guardian_start(
    const int *_Nonnull ends, const char *_Nonnull steps, size_t length, uintptr_t own, int lock);
// Notes what is this process's own.
void vme_guardian_note(uintptr_t own, size_t index, int64_t low, int64_t high);
// send(MSG_NOSIGNAL) of one byte.
int64_t vme_guardian_tell(int end, char byte);
// waitpid(WNOHANG): whether it has ended; then it is no zombie either.
bool vme_guardian_has_ended(int64_t pid);

#endif
