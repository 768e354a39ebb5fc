#include "bundle/loader/world_file.h"

#include "base/json.h"

#include "bundle/loader/cache.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA "elfmend.world/1"

/* ---- writing ---- */

static json_t *string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *strings(const struct em_strings *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++) {
        if (json_array_append_new(array, json_string(list->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *cache_json(const struct em_world *world)
{
    json_t *object;

    if (!world->has_cache)
        return json_null();
    object = json_object();
    for (size_t i = 0; i < world->cache.count; i++) {
        const struct em_cache_entry *entry = world->cache.entries[i].value;

        if (json_object_set_new(object, entry->name, json_string(entry->path)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* Names of files in the system directories, as far as they are of libraries; each once. */
static int list_libraries(struct em_map *names, const struct em_world *world, struct em_arena *arena)
{
    for (size_t i = 0; i < world->libraries.count; i++) {
        if (em_map_put(names, world->libraries.entries[i].key, names) < 0)
            return EM_NO_MEMORY;
    }
    for (size_t i = 0; !world->has_libraries && i < world->system_dirs.count; i++) {
        struct em_strings found = { 0 };
        int r = em_tree_list(world->tree, arena, world->system_dirs.items[i], &found);

        if (r == -ENOMEM)
            return EM_NO_MEMORY;
        for (size_t j = 0; r == 0 && j < found.count; j++) {
            if (strstr(found.items[j], ".so") && em_map_put(names, found.items[j], names) < 0)
                return EM_NO_MEMORY;
        }
    }
    return EM_OK;
}

static json_t *libraries_json(const struct em_map *names)
{
    json_t *array = json_array();

    for (size_t i = 0; i < names->count; i++) {
        json_t *name = json_string(names->entries[i].key);

        /* A stray file whose name JSON cannot hold is nothing that anybody asks for by a name in JSON. */
        if (name && json_array_append_new(array, name) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

int em_world_to_json(json_t **document, const struct em_world *world, struct em_arena *arena, struct em_error *error)
{
    struct em_map names = { .arena = arena };
    char version[32];

    *document = NULL;
    if (list_libraries(&names, world, arena) < 0)
        return EM_NO_MEMORY;
    snprintf(version, sizeof version, "%u.%u", world->libc_major, world->libc_minor);
    /* json_pack frees all of them if one is NULL, and says NULL. */
    *document = json_pack("{s:s, s:s, s:s, s:o, s:i, s:i, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", SCHEMA,
                          "libc", world->libc == EM_LIBC_MUSL ? "musl" : "glibc", "version", version, "interpreter",
                          string_or_null(world->interpreter), "machine", (int)world->machine, "bits", world->is64 ? 64 : 32,
                          "byte_order", world->big_endian ? "big" : "little", "system_dirs", strings(&world->system_dirs),
                          "hwcaps", strings(&world->hwcaps), "cpu_level", (int)world->cpu_level, "lib",
                          string_or_null(world->lib_token), "platform", string_or_null(world->platform_token), "ld_so_preload",
                          string_or_null(world->so_preload), "ld_library_path", string_or_null(world->ld_library_path), "cache",
                          cache_json(world), "libraries", libraries_json(&names));
    if (!*document)
        return em_fail(error, EM_UNSUPPORTED, NULL, "a path of this world is not UTF-8, which JSON cannot hold");
    return EM_OK;
}

/* ---- reading ---- */

struct reading {
    struct em_world *world;
    struct em_arena *arena;
    const json_t *document;
    const char *path; /* for sentences */
    struct em_error *error;
};

static const char *const members[] = {
    "schema",    "libc", "version",  "interpreter",   "machine",         "bits",  "byte_order", "system_dirs", "hwcaps",
    "cpu_level", "lib",  "platform", "ld_so_preload", "ld_library_path", "cache", "libraries",
};

#define MEMBER_COUNT (sizeof members / sizeof *members)

static int bad(const struct reading *reading, const char *member, const char *wanted)
{
    return em_fail(reading->error, EM_BAD_JSON, reading->path, "\"%s\" is not %s", member, wanted);
}

static bool is_null(const struct reading *reading, const char *member)
{
    return json_is_null(json_object_get(reading->document, member));
}

static int get_string(const struct reading *reading, const char *member, const char **value)
{
    const char *text = json_string_value(json_object_get(reading->document, member));

    if (!text)
        return bad(reading, member, "a string");
    if (strlen(text) > EM_MAX_PATH_LIST)
        return em_fail(reading->error, EM_LIMIT, reading->path, "\"%s\" has more than %u bytes", member, EM_MAX_PATH_LIST);
    *value = em_arena_strdup(reading->arena, text);
    return *value ? EM_OK : EM_NO_MEMORY;
}

static int get_string_or_null(const struct reading *reading, const char *member, const char **value)
{
    *value = NULL;
    return is_null(reading, member) ? EM_OK : get_string(reading, member, value);
}

static int get_number(const struct reading *reading, const char *member, json_int_t limit, unsigned *value)
{
    const json_t *number = json_object_get(reading->document, member);

    if (!json_is_integer(number) || json_integer_value(number) < 0 || json_integer_value(number) > limit)
        return em_fail(reading->error, EM_BAD_JSON, reading->path, "\"%s\" is no number from 0 to %lld", member,
                       (long long)limit);
    *value = (unsigned)json_integer_value(number);
    return EM_OK;
}

/* One of two words; *second: it was the second. */
static int get_choice(const struct reading *reading, const char *member, const char *one, const char *two, bool *second)
{
    const char *word = json_string_value(json_object_get(reading->document, member));

    if (!word || (strcmp(word, one) != 0 && strcmp(word, two) != 0))
        return em_fail(reading->error, EM_BAD_JSON, reading->path, "\"%s\" is neither \"%s\" nor \"%s\"", member, one, two);
    *second = strcmp(word, two) == 0;
    return EM_OK;
}

static int get_strings(const struct reading *reading, const char *member, struct em_strings *list)
{
    const json_t *array = json_object_get(reading->document, member), *item;
    size_t i;

    if (!json_is_array(array))
        return bad(reading, member, "a list of strings");
    json_array_foreach(array, i, item)
    {
        const char *text = json_string_value(item), *copy;

        if (!text || !*text || strlen(text) > PATH_MAX)
            return em_fail(reading->error, EM_BAD_JSON, reading->path, "entry %zu of \"%s\" is no path or name", i, member);
        copy = em_arena_strdup(reading->arena, text);
        if (!copy || em_vec_push(reading->arena, list, copy) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int get_cache(const struct reading *reading)
{
    const json_t *object = json_object_get(reading->document, "cache");
    struct em_world *world = reading->world;
    const char *name;
    json_t *value;

    world->has_cache = json_is_object(object);
    if (json_is_null(object))
        return EM_OK;
    if (!world->has_cache)
        return bad(reading, "cache", "an object from names to paths, or null");
    json_object_foreach((json_t *)object, name, value)
    {
        struct em_cache_entry *entry = em_new(reading->arena, struct em_cache_entry);
        const char *path = json_string_value(value);
        int r;

        if (!path || !*path || strlen(path) > PATH_MAX)
            return em_fail(reading->error, EM_BAD_JSON, reading->path, "the cache's entry for \"%s\" is no path", name);
        if (!entry)
            return EM_NO_MEMORY;
        entry->name = em_arena_strdup(reading->arena, name);
        entry->path = em_arena_strdup(reading->arena, path);
        if (!entry->name || !entry->path)
            return EM_NO_MEMORY;
        r = em_cache_add(world, reading->arena, entry);
        if (r == EM_OK)
            r = em_map_put(&world->libraries, entry->name, entry);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int get_version(const struct reading *reading)
{
    const char *text = json_string_value(json_object_get(reading->document, "version"));
    unsigned major, minor;
    int end = 0;

    if (!text || sscanf(text, "%3u.%4u%n", &major, &minor, &end) != 2 || text[end] != '\0')
        return bad(reading, "version", "a version like \"2.36\"");
    reading->world->libc_major = major;
    reading->world->libc_minor = minor;
    return EM_OK;
}

static int check_members(const struct reading *reading)
{
    const char *schema = json_string_value(json_object_get(reading->document, "schema")), *name;
    json_t *value;

    if (!schema || strcmp(schema, SCHEMA) != 0)
        return em_fail(reading->error, EM_BAD_JSON, reading->path, "is no world: its \"schema\" is not \"" SCHEMA "\"");
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        if (!json_object_get(reading->document, members[i]))
            return em_fail(reading->error, EM_BAD_JSON, reading->path, "lacks \"%s\"", members[i]);
    }
    json_object_foreach((json_t *)reading->document, name, value)
    {
        size_t i = 0;

        (void)value;
        while (i < MEMBER_COUNT && strcmp(members[i], name) != 0)
            i++;
        if (i == MEMBER_COUNT)
            return em_fail(reading->error, EM_BAD_JSON, reading->path, "has a member \"%s\", which no world has", name);
    }
    return EM_OK;
}

static int get_machine(const struct reading *reading)
{
    struct em_world *world = reading->world;
    unsigned machine, bits;
    int r;

    if ((r = get_number(reading, "machine", UINT16_MAX, &machine)) < 0 || (r = get_number(reading, "bits", 64, &bits)) < 0 ||
        (r = get_choice(reading, "byte_order", "little", "big", &world->big_endian)) < 0 ||
        (r = get_number(reading, "cpu_level", 4, &world->cpu_level)) < 0)
        return r;
    if (bits != 32 && bits != 64)
        return bad(reading, "bits", "32 or 64");
    world->machine = (uint16_t)machine;
    world->is64 = bits == 64;
    return EM_OK;
}

int em_world_from_json(struct em_world *world, struct em_arena *arena, const json_t *document, const char *path,
                       struct em_error *error)
{
    struct reading reading = { world, arena, document, path, error };
    struct em_strings libraries = { 0 };
    bool musl;
    int r = check_members(&reading);

    world->cache = world->libraries = (struct em_map){ .arena = arena };
    world->system_dirs = world->hwcaps = world->only_system = (struct em_strings){ 0 };
    if (r < 0 || (r = get_choice(&reading, "libc", "glibc", "musl", &musl)) < 0 || (r = get_version(&reading)) < 0 ||
        (r = get_string_or_null(&reading, "interpreter", &world->interpreter)) < 0 || (r = get_machine(&reading)) < 0 ||
        (r = get_strings(&reading, "system_dirs", &world->system_dirs)) < 0 ||
        (r = get_strings(&reading, "hwcaps", &world->hwcaps)) < 0 ||
        (r = get_string_or_null(&reading, "lib", &world->lib_token)) < 0 ||
        (r = get_string_or_null(&reading, "platform", &world->platform_token)) < 0 ||
        (r = get_string_or_null(&reading, "ld_so_preload", &world->so_preload)) < 0 ||
        (r = get_string_or_null(&reading, "ld_library_path", &world->ld_library_path)) < 0 || (r = get_cache(&reading)) < 0 ||
        (r = get_strings(&reading, "libraries", &libraries)) < 0)
        return r;
    if (world->interpreter && world->interpreter[0] != '/')
        return bad(&reading, "interpreter", "an absolute path");
    world->libc = musl ? EM_LIBC_MUSL : EM_LIBC_GLIBC;
    for (size_t i = 0; i < libraries.count; i++) {
        if (em_map_put(&world->libraries, libraries.items[i], world) < 0)
            return EM_NO_MEMORY;
    }
    world->has_libraries = true;
    return EM_OK;
}

int em_world_from_file(struct em_world *world, struct em_arena *arena, const char *path, struct em_error *error)
{
    struct em_bytes bytes;
    json_t *document;
    int r = em_read_file_at(AT_FDCWD, path, EM_MAX_JSON, arena, &bytes, error);

    if (r < 0)
        return r;
    r = em_json_read(&document, bytes, path, error);
    if (r < 0)
        return r;
    r = em_world_from_json(world, arena, document, path, error);
    json_decref(document);
    return r;
}
