// Calls that move mappings, and calls that make them, take turns.
//
// mremap(MREMAP_FIXED) compares the number of mappings with vm.max_map_count twice: before it touches anything, and
// again after it has unmapped its target. Since Linux 6.17 the first look is taken before the lock of the address space
// (check_mremap_params), so others may map in between; at the limit the second look (prep_move_vma) then refuses, and
// leaves a gap where the target was. So a move has its turn alone. Calls that may make a mapping share theirs: the
// kernel's own lock keeps them apart.
//
// In C, since fork frees the lock in the child, where only what is safe in a signal handler may run: Swift cannot
// promise that.
#ifndef VME_MAPPING_TURNS_H
#define VME_MAPPING_TURNS_H

// A turn shared with every other call that is no move.
void vme_mapping_turn_share(void);
// A turn that nobody else has.
void vme_mapping_turn_own(void);
// Ends the calling thread's turn.
void vme_mapping_turn_end(void);

#endif
