#define _GNU_SOURCE
#include "vme_mapping_turns.h"

#include <pthread.h>

// Those who wait to move come before those who want to map: there are always some of the latter.
#define TURNS_INITIALIZER PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP

static pthread_rwlock_t turns = TURNS_INITIALIZER;

void vme_mapping_turn_share(void)
{
    pthread_rwlock_rdlock(&turns);
}

void vme_mapping_turn_own(void)
{
    pthread_rwlock_wrlock(&turns);
}

void vme_mapping_turn_end(void)
{
    pthread_rwlock_unlock(&turns);
}

// Whoever had a turn is not in the child.
static void reset_in_child(void)
{
    turns = (pthread_rwlock_t)TURNS_INITIALIZER;
}

__attribute__((constructor)) static void install_reset(void)
{
    pthread_atfork(NULL, NULL, reset_in_child);
}
