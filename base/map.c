#include "base/map.h"

#include "base/error.h"
#include "base/vec.h"

#include <string.h>
#define XXH_INLINE_ALL /* a library less to load at each start */
#include <xxhash.h>

static struct em_map_entry *find(const struct em_map *map, const char *key, uint64_t hash)
{
    if (map->slot_count == 0)
        return NULL;
    for (size_t at = hash & (map->slot_count - 1);; at = (at + 1) & (map->slot_count - 1)) {
        struct em_map_entry *entry;

        if (map->slots[at] == 0)
            return NULL;
        entry = &map->entries[map->slots[at] - 1];
        if (entry->hash == hash && strcmp(entry->key, key) == 0)
            return entry;
    }
}

static void link_slot(struct em_map *map, uint32_t index)
{
    size_t at = map->entries[index].hash & (map->slot_count - 1);

    while (map->slots[at] != 0)
        at = (at + 1) & (map->slot_count - 1);
    map->slots[at] = index + 1;
}

static int make_room(struct em_map *map)
{
    size_t larger = map->slot_count ? map->slot_count * 2 : 32;

    if (map->count >= UINT32_MAX / 4)
        return EM_NO_MEMORY;
    if ((map->count + 1) * 2 <= map->slot_count)
        return EM_OK;
    em_arena_release(map->arena, map->slots, map->slot_count * sizeof *map->slots);
    map->slots = em_arena_array(map->arena, larger, sizeof *map->slots);
    if (!map->slots) {
        map->slot_count = 0;
        return EM_NO_MEMORY;
    }
    map->slot_count = larger;
    for (uint32_t i = 0; i < map->count; i++)
        link_slot(map, i);
    return EM_OK;
}

int em_map_put(struct em_map *map, const char *key, const void *value)
{
    uint64_t hash = XXH3_64bits(key, strlen(key));
    struct em_map_entry *entry = find(map, key, hash);
    void *moved;
    int r;

    if (entry) {
        entry->value = (void *)(uintptr_t)value;
        return EM_OK;
    }
    r = make_room(map);
    if (r < 0)
        return r;
    moved = em_vec_grow(map->arena, map->entries, map->count, &map->capacity, sizeof *map->entries);
    if (!moved)
        return EM_NO_MEMORY;
    map->entries = moved;
    map->entries[map->count] = (struct em_map_entry){ .key = key, .value = (void *)(uintptr_t)value, .hash = hash };
    link_slot(map, (uint32_t)map->count);
    map->count++;
    return EM_OK;
}

void *em_map_get(const struct em_map *map, const char *key)
{
    struct em_map_entry *entry = find(map, key, XXH3_64bits(key, strlen(key)));

    return entry ? entry->value : NULL;
}
