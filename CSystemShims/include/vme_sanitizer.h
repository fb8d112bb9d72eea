#ifndef VME_SANITIZER_H
#define VME_SANITIZER_H

// What the thread sanitizer's runtime is told where it cannot see a lock being taken and given back. There in builds
// with -sanitize=thread only.
void __tsan_acquire(void *_Nonnull lock);
void __tsan_release(void *_Nonnull lock);

#endif
