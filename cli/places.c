#include "cli/places.h"

static int by_file(const void *left, const void *right)
{
    const struct em_place *a = left, *b = right;

    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

int em_places_add(struct em_places *places, struct em_arena *arena, const struct em_loadable *file, size_t index)
{
    return em_vec_push(arena, places, ((struct em_place){ file, index }));
}

void em_places_sort(struct em_places *places)
{
    if (places->count > 1)
        qsort(places->items, places->count, sizeof *places->items, by_file);
}

size_t em_places_first(const struct em_places *places, const struct em_loadable *file)
{
    size_t low = 0, high = places->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if ((uintptr_t)places->items[middle].file < (uintptr_t)file)
            low = middle + 1;
        else
            high = middle;
    }
    return low < places->count && places->items[low].file == file ? low : places->count;
}
