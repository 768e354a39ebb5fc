/* map.h: from a string to a pointer, in an arena. Keys are not copied: they must live as long as the map.
 *
 *     struct em_map map = { .arena = arena };
 *     r = em_map_put(&map, path, object);            replaces; 0 or EM_NO_MEMORY
 *     object = em_map_get(&map, path);               NULL if it is not there
 *     for (size_t i = 0; i < map.count; i++)         in order of first insertion: output never depends on hashes
 *         use(map.entries[i].key, map.entries[i].value);
 *
 * Threads: readers may share a map that nobody changes.
 */
#ifndef EM_BASE_MAP_H
#define EM_BASE_MAP_H

#include "base/arena.h"

#include <stdint.h>

struct em_map_entry {
    const char *key;
    void *value;
    uint64_t hash;
};

struct em_map {
    struct em_arena *arena;
    struct em_map_entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* index into entries plus 1; 0 is free; a power of two, at most half full */
    size_t slot_count;
};

/* The map keeps a pointer and changes nothing behind it: a pointer to const may be put, and comes back without. */
int em_map_put(struct em_map *map, const char *key, const void *value);
void *em_map_get(const struct em_map *map, const char *key);

#endif
