#include "vme_commit.h"

#ifndef VMEMMAP_COMMIT
#define VMEMMAP_COMMIT ""
#endif

const char *vme_commit(void) { return VMEMMAP_COMMIT; }
