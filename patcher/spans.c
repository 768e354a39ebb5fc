#include "patcher/spans.h"

#include <stdlib.h>

int em_spans_add(struct em_spans *spans, const struct em_image *image, uint64_t offset, uint64_t size)
{
    if (offset >= image->size || size == 0)
        return EM_OK;
    if (size > image->size - offset)
        size = image->size - offset;
    return em_vec_push(image->arena, spans, (struct em_span){ offset, offset + size });
}

static int by_start(const void *a, const void *b)
{
    const struct em_span *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

void em_spans_settle(struct em_spans *spans)
{
    uint64_t reached = 0;
    size_t kept = 0;

    if (spans->count > 1)
        qsort(spans->items, spans->count, sizeof *spans->items, by_start);
    for (size_t i = 0; i < spans->count; i++) {
        struct em_span span = spans->items[i];

        if (span.start < reached)
            span.start = reached;
        if (span.start >= span.end)
            continue;
        spans->items[kept++] = span;
        reached = span.end;
    }
    spans->count = kept;
}

int em_spans_check(const struct em_spans *spans, const struct em_image *image, struct em_error *error)
{
    uint64_t total = 0;

    em_vec_each (const struct em_span, span, spans)
        total += span->end - span->start;
    if (total > EM_MAX_SEARCHED)
        return em_fail(error, EM_LIMIT, image->name, "has %llu bytes to be searched, more than the %llu that it may have",
                       (unsigned long long)total, (unsigned long long)EM_MAX_SEARCHED);
    return EM_OK;
}
