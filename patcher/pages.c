#include "patcher/pages.h"

#include <string.h>

static int64_t read_below(struct em_pages *pages, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    int64_t got = pages->below->read(pages->below->context, buffer, length, offset, error);

    pages->below->bytes_read += got > 0 ? (uint64_t)got : 0;
    return got;
}

static int64_t read_pages(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    struct em_pages *pages = context;
    uint64_t page = offset / EM_PAGE;
    size_t slot = (size_t)(page % pages->places), from = (size_t)(offset % EM_PAGE);

    if (length > 4 * EM_PAGE)
        return read_below(pages, buffer, length, offset, error);
    if (pages->numbers[slot] != page + 1) {
        int64_t got = read_below(pages, pages->bytes + slot * EM_PAGE, EM_PAGE, page * EM_PAGE, error);

        pages->numbers[slot] = got > 0 ? page + 1 : 0;
        if (got <= 0)
            return got;
        pages->sizes[slot] = (size_t)got;
    }
    /* Less than was asked for is an answer that every caller knows. */
    if (from >= pages->sizes[slot])
        return read_below(pages, buffer, length, offset, error);
    if (length > pages->sizes[slot] - from)
        length = pages->sizes[slot] - from;
    memcpy(buffer, pages->bytes + slot * EM_PAGE + from, length);
    return (int64_t)length;
}

int em_pages_init(struct em_pages *pages, struct em_arena *arena, struct em_reader *below)
{
    *pages = (struct em_pages){ .below = below, .places = EM_PAGES };
    if (below->size / EM_PAGE < EM_PAGES)
        pages->places = (size_t)(below->size / EM_PAGE) + 1;
    pages->bytes = em_arena_alloc(arena, pages->places * EM_PAGE);
    pages->reader = (struct em_reader){ .read = read_pages, .context = pages, .size = below->size, .name = below->name };
    return pages->bytes ? EM_OK : EM_NO_MEMORY;
}
