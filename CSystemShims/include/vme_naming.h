// Files that have no name until they are complete. Whatever ends the process, nothing of one is left in its folder.
#ifndef VME_NAMING_H
#define VME_NAMING_H

#include <stdint.h>
#include <sys/types.h>

// GNU-only, and held to the system's own value in naming.c.
enum { VME_O_PATH = 010000000 };

// open(O_TMPFILE): a file without a name in `folder`. glibc hides the flag.
int64_t vme_unnamed_file_open(int folder, mode_t mode);
// The same where the file system does not have that: a new file whose name is removed at once, with signals held back
// in between.
int64_t vme_unlinked_file_open(int folder, const char *_Nonnull temporary, mode_t mode);

// Gives `to` the mode, the owner, the group, the ACL and the attributes user.* and trusted.* (of 4 KiB at most) of
// `from`, as far as this process may. Where it may not, nobody may do more than with `from`.
int64_t vme_permissions_copy(int from, int to);

// Gives the unnamed file the name `name` in `folder`, in the place of what has it: by the name `temporary` and
// renameat, for linkat replaces nothing. Where the file system can link no unnamed file, a copy of it gets the name.
//
// A process of its own does it, in a session of its own and deaf to signals, so that SIGKILL too comes before all of it
// or after. It shares the memory and may only make calls that are safe in a signal handler, which Swift cannot promise.
int64_t vme_file_name(int file, int folder, const char *_Nonnull temporary, const char *_Nonnull name);

// statx's STATX_ATTR_MOUNT_ROOT: whether something is mounted on `path`, which no file can be renamed to. GNU-only.
int64_t vme_is_mount_point(const char *_Nonnull path);

#endif
