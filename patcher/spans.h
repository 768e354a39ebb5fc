/* spans.h: the parts of a file that are to be searched. For this room only.
 *
 * Sections and segments say where to search, and nothing keeps a hundred thousand of them from lying over the same gigabyte. Settled
 * spans are in file order, end with the file, and have each byte in one of them.
 *
 *     struct em_spans spans = { 0 };
 *     r = em_spans_add(&spans, image, section->offset, section->size)     EM_NO_MEMORY
 *     em_spans_settle(&spans);
 *     em_vec_each (const struct em_span, span, &spans) ...
 *
 * Memory: the image's arena.
 */
#ifndef EM_PATCHER_SPANS_H
#define EM_PATCHER_SPANS_H

#include "patcher/image.h"

struct em_span {
    uint64_t start, end; /* offsets in the file */
};

struct em_spans {
    EM_VEC(struct em_span);
};

/* What lies beyond the end of the file is left out. */
int em_spans_add(struct em_spans *spans, const struct em_image *image, uint64_t offset, uint64_t size);
void em_spans_settle(struct em_spans *spans);
/* EM_LIMIT if they have more bytes than one search may read. */
int em_spans_check(const struct em_spans *spans, const struct em_image *image, struct em_error *error);

#endif
