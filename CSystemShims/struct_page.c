#include "vme_struct_page.h"

#include <stddef.h>

_Static_assert(sizeof(struct vme_page) == VME_STRUCT_PAGE_SIZE, "struct page is 64 bytes");
_Static_assert(offsetof(struct vme_page, flags) == 0, "flags");
_Static_assert(offsetof(struct vme_page, compound_head) == 8, "compound_head");
_Static_assert(offsetof(struct vme_page, compound_dtor) == 16, "compound_dtor");
_Static_assert(offsetof(struct vme_page, compound_order) == 17, "compound_order");
_Static_assert(offsetof(struct vme_page, compound_mapcount) == 20, "compound_mapcount");
_Static_assert(offsetof(struct vme_page, mapping) == 24, "mapping");
_Static_assert(offsetof(struct vme_page, index) == 32, "index");
_Static_assert(offsetof(struct vme_page, private_data) == 40, "private");
_Static_assert(offsetof(struct vme_page, mapcount) == 48, "_mapcount");
_Static_assert(offsetof(struct vme_page, refcount) == 52, "_refcount");
_Static_assert(offsetof(struct vme_page, memcg_data) == 56, "memcg_data");

// v5 patch 20, hugetlb_vmemmap_init(): BUILD_BUG_ON(NR_USED_SUBPAGE * sizeof(struct page) > RESERVE_VMEMMAP_SIZE).
// 4096 is the smallest base page, and the struct page the longest: what fits there fits everywhere.
_Static_assert(VME_NR_USED_SUBPAGE * VME_STRUCT_PAGE_SIZE_MAX <= VME_FIRST_TAIL_WRITABLE_PAGES * 4096,
               "the struct pages in use must lie in the vmemmap pages that stay writable");
_Static_assert(VME_NR_USED_SUBPAGE * VME_STRUCT_PAGE_SIZE_MAX <= VME_HEAD_WRITABLE_PAGES * 4096, "head scheme");
_Static_assert(VME_NR_USED_SUBPAGE * VME_STRUCT_PAGE_SIZE_MAX <= VME_SHARED_TAIL_WRITABLE_PAGES * 4096,
               "shared-tail scheme");
