// The kernel's struct page as the v5 series met it (Linux 5.10, 64-bit), mirrored byte for byte: 64 bytes.
// struct_page.c holds its size, its offsets, and the compile-time check of v5 patch 20.
#ifndef VME_STRUCT_PAGE_H
#define VME_STRUCT_PAGE_H

#include <stdint.h>

struct vme_page {
    uint64_t flags;
    uint64_t compound_head;  // tail pages: address of the head's struct page, bit 0 set
    uint8_t compound_dtor;   // first tail page only, with the next three
    uint8_t compound_order;
    uint16_t padding;
    int32_t compound_mapcount;
    uint64_t mapping;  // its low 32 bits are compound_nr in the first tail page
    uint64_t index;
    uint64_t private_data;  // the kernel's `private`, a reserved word in C++
    int32_t mapcount;
    int32_t refcount;
    uint64_t memcg_data;
};

enum {
    VME_STRUCT_PAGE_SIZE = 64,
    // The longest that is emulated: the same, padded.
    VME_STRUCT_PAGE_SIZE_MAX = 128,
    // Bits of flags (enum pageflags, Linux 5.10).
    VME_PG_PRIVATE = 13,
    VME_PG_HEAD = 16,
    VME_PG_HWPOISON = 23,
    // The zone's number lies in the top bits of flags, three wide (ZONES_PGSHIFT without a node number above it).
    VME_ZONES_SHIFT = 61,
    // COMPOUND_PAGE_DTOR and HUGETLB_PAGE_DTOR of enum compound_dtor_id.
    VME_COMPOUND_PAGE_DTOR = 1,
    VME_HUGETLB_PAGE_DTOR = 2,
};

// TAIL_MAPPING: what prep_compound_page leaves in a tail's mapping.
static const uint64_t VME_TAIL_MAPPING = 0xdead000000000400ULL;

// The struct pages of a huge page that carry something of their own (v5 patch 19): the head's flags, the active
// mark in 1, the temporary mark and the cgroup in 2, the reservation cgroup in 3, the raw error index in 4.
enum vme_subpage {
    VME_SUBPAGE_HEAD = 0,
    VME_SUBPAGE_INDEX_ACTIVE = 1,
    VME_SUBPAGE_INDEX_TEMPORARY = 2,
    VME_SUBPAGE_INDEX_CGROUP_RSVD = 3,
    VME_SUBPAGE_INDEX_HWPOISON = 4,
    VME_NR_USED_SUBPAGE = 5,
};

// The vmemmap pages that stay writable: in the first-tail scheme (RESERVE_VMEMMAP_NR of v5 patch 4), and in the head
// and the shared-tail scheme (HUGETLB_VMEMMAP_RESERVE_PAGES).
enum {
    VME_FIRST_TAIL_WRITABLE_PAGES = 2,
    VME_HEAD_WRITABLE_PAGES = 1,
    VME_SHARED_TAIL_WRITABLE_PAGES = 1,
};

#endif
