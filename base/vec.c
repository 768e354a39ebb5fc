#include "base/vec.h"

#include <string.h>

void *em_vec_grow(struct em_arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    size_t larger = 8;
    void *moved;

    if (count < *capacity)
        return items;
    if (*capacity > 0 && __builtin_mul_overflow(*capacity, 2, &larger))
        return NULL;
    moved = em_arena_array(arena, larger, size);
    if (!moved)
        return NULL;
    if (count > 0)
        memcpy(moved, items, count * size);
    em_arena_release(arena, items, *capacity * size);
    *capacity = larger;
    return moved;
}
