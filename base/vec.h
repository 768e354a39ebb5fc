/* vec.h: growing lists of any type, in an arena.
 *
 *     struct em_names { EM_VEC(const char *); } names = { 0 };
 *
 *     r = em_vec_push(arena, &names, name);        0 or EM_NO_MEMORY
 *     em_vec_each (const char *, name, &names)     name points at each element in turn
 *         use(*name);
 *     names.items[i], names.count
 *
 * Doubling leaves the old storage in the arena, or gives it back if it is large. Pointers into a list do not survive a push, and a copy
 * of the struct not a push to the other one; where elements must stay put, make it a list of pointers.
 */
#ifndef EM_BASE_VEC_H
#define EM_BASE_VEC_H

#include "base/arena.h"
#include "base/error.h"

#define EM_VEC(type)                                                                                                           \
    type *items;                                                                                                               \
    size_t count, capacity

struct em_strings {
    EM_VEC(const char *);
};

#define em_vec_push(arena, vec, ...)                                                                                           \
    __extension__({                                                                                                            \
        void *em_vec_moved = em_vec_grow((arena), (vec)->items, (vec)->count, &(vec)->capacity, sizeof *(vec)->items);         \
        if (em_vec_moved) {                                                                                                    \
            (vec)->items = em_vec_moved;                                                                                       \
            (vec)->items[(vec)->count++] = (__VA_ARGS__);                                                                      \
        }                                                                                                                      \
        em_vec_moved ? EM_OK : EM_NO_MEMORY;                                                                                   \
    })

/* Room for so many items of an empty list and for no more: for who knows how many will come, and has very many lists. */
#define em_vec_room(arena, vec, most)                                                                                          \
    __extension__({                                                                                                            \
        (vec)->items = em_arena_array((arena), (most), sizeof *(vec)->items);                                                  \
        (vec)->capacity = (vec)->items ? (most) : 0;                                                                           \
        (vec)->items ? EM_OK : EM_NO_MEMORY;                                                                                   \
    })

#define em_vec_each(type, name, vec)                                                                                           \
    for (__typeof__(type) *name = (vec)->items, *name##_end = name ? name + (vec)->count : name; name != name##_end; name++)

/* The items, moved if there was no room for one more; NULL if there is no memory. Use em_vec_push. */
void *em_vec_grow(struct em_arena *arena, void *items, size_t count, size_t *capacity, size_t size);

#endif
