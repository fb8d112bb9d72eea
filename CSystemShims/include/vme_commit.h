#ifndef VME_COMMIT_H
#define VME_COMMIT_H

// The commit that this was built from, as scripts/install names it; empty for any other build. Swift has no way to take
// text from a build.
const char *_Nonnull vme_commit(void);

#endif
