/* pages.h: a reader in front of another that keeps the last pages. For this room only.
 *
 * To lay an edit out and to check it, the same few tables are looked at again and again, some bytes at a time: of a small library that
 * is 150 reads of a dozen pages, which would cost as much as copying it. Long reads go straight through, and are not kept.
 *
 *     em_pages_init(&pages, arena, below)     &pages.reader from then on; EM_NO_MEMORY
 */
#ifndef EM_PATCHER_PAGES_H
#define EM_PATCHER_PAGES_H

#include "base/base.h"

#define EM_PAGE ((size_t)4096)
#define EM_PAGES 64u

struct em_pages {
    struct em_reader *below;
    struct em_reader reader;
    size_t places;              /* EM_PAGES, or as many as the object has pages */
    uint8_t *bytes;             /* that many of them; a page has one place only */
    uint64_t numbers[EM_PAGES]; /* of the page that is there, plus 1; 0 for none */
    size_t sizes[EM_PAGES];     /* less than a page at the end of the file */
};

int em_pages_init(struct em_pages *pages, struct em_arena *arena, struct em_reader *below);

#endif
