#include "bundle/loader/room.h"

#include <stdio.h>
#include <string.h>

struct em_loader *em_loader_new(const struct em_world *world, struct em_arena *arena)
{
    struct em_loader *loader = em_new(arena, struct em_loader);

    if (!loader)
        return NULL;
    loader->world = world;
    loader->arena = arena;
    loader->files.arena = loader->paths.arena = loader->directories.arena = loader->places.arena = arena;
    loader->promised.arena = loader->texts.arena = arena;
    return loader;
}

void em_loader_free(struct em_loader *loader)
{
    (void)loader; /* all of it is the arena's */
}

uint64_t em_loader_bytes_read(const struct em_loader *loader)
{
    return loader->bytes_read;
}

int em_loader_step(struct em_loader *loader, unsigned steps)
{
    loader->steps += steps;
    return loader->steps <= EM_MAX_STEPS ? EM_OK : EM_LIMIT;
}

int em_loader_fail_limit(struct em_error *error, const char *target)
{
    return em_fail(
        error, EM_LIMIT, target,
        "needs more than the %u steps in which a target's libraries are looked for: objects that need each other, each "
        "with all others, or long search paths",
        EM_MAX_STEPS);
}

int em_loader_fail_memory(struct em_error *error, const char *target, uint64_t most)
{
    return em_fail(error, EM_LIMIT, target,
                   "needs more than the %llu MB of memory that so many objects may take: they ask for very many libraries, or "
                   "through very long search paths",
                   (unsigned long long)(most >> 20));
}

const char *em_loader_text(struct em_loader *loader, const char *text)
{
    const char *kept = text ? em_map_get(&loader->texts, text) : NULL;

    if (kept || !text)
        return kept;
    kept = em_arena_strdup(loader->arena, text);
    return kept && em_map_put(&loader->texts, kept, kept) == EM_OK ? kept : NULL;
}

const char *em_loader_absolute(struct em_loader *loader, const char *path)
{
    return path[0] == '/' ? path : em_arena_printf(loader->arena, "%s/%s", loader->world->cwd, path);
}

/* ---- files ---- */

static size_t entries_of(const char *list)
{
    size_t count = list ? 1 : 0;

    for (; list && *list; list++)
        count += *list == ':';
    return count;
}

/* Each name is looked for in each directory, and each of these tries is reported. */
static int bound_search(const struct em_object *object, struct em_error *error)
{
    const size_t own = object->needed.count, entries = entries_of(object->rpath) + entries_of(object->runpath);

    if (own * entries <= EM_MAX_TRIES)
        return EM_OK;
    return em_fail(error, EM_LIMIT, NULL, "has %zu NEEDED libraries and %zu directories to look for each, more than %u tries",
                   own, entries, EM_MAX_TRIES);
}

static int read_object(struct em_loader *loader, struct loadable *file, uint8_t header[HEADER_SIZE], struct em_file *opened)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_reader *reader = &opened->reader;
    int r;

    file->header_size = reader->size < HEADER_SIZE ? (size_t)reader->size : HEADER_SIZE;
    r = em_read_at(reader, header, file->header_size, 0, &error);
    if (r == EM_OK)
        r = em_object_read(&file->base.object, loader->arena, reader, &error);
    if (r == EM_OK)
        r = bound_search(&file->base.object, &error);
    loader->bytes_read += reader->bytes_read;
    if (r == EM_NO_MEMORY)
        return r;
    file->base.code = r;
    if (r < 0) {
        file->base.problem = em_arena_strdup(loader->arena, error.sentence);
        if (!file->base.problem)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static void judge(struct em_loader *loader, struct loadable *file)
{
    if (loader->world->libc == EM_LIBC_MUSL)
        em_musl_judge(loader, file);
    else
        em_glibc_judge(loader, file);
}

/* The file at path, of which node is known: parsed now, or before under another path. */
static int look(struct em_loader *loader, const char *path, const struct em_node *node, struct found *found)
{
    em_cleanup_file struct em_file *opened = NULL;
    uint8_t header[HEADER_SIZE] = { 0 };
    struct loadable *file;
    char key[EM_NODE_KEY_SIZE], *kept;
    int r;

    em_node_key(key, node);
    file = em_map_get(&loader->files, key);
    if (file) {
        found->file = file;
        return EM_OK;
    }
    file = em_new(loader->arena, struct loadable);
    kept = em_arena_strdup(loader->arena, key);
    if (!file || !kept)
        return EM_NO_MEMORY;
    file->base.node = *node;
    file->key = kept;
    if (node->kind != EM_NODE_FILE) {
        file->base.code = EM_NOT_ELF;
        file->base.problem = node->kind == EM_NODE_DIRECTORY ? "is a directory" : "is not a regular file";
    } else {
        r = em_tree_open(loader->world->tree, path, &opened);
        if (r == -ENOMEM)
            return EM_NO_MEMORY;
        if (r < 0) {
            found->error = -r;
            return EM_OK;
        }
        r = read_object(loader, file, header, opened);
        if (r < 0)
            return r;
    }
    file->header = header;
    judge(loader, file);
    file->header = NULL;
    found->file = file;
    return em_map_put(&loader->files, kept, file);
}

static int find(struct em_loader *loader, const char *path, struct found **result)
{
    struct found *found = em_new(loader->arena, struct found);
    struct em_node node;
    int r;

    *result = found;
    if (!found)
        return EM_NO_MEMORY;
    r = em_tree_stat(loader->world->tree, path, &node);
    if (r == -ENOMEM)
        return EM_NO_MEMORY;
    if (r < 0) {
        found->error = -r;
        return EM_OK;
    }
    return look(loader, path, &node, found);
}

int em_loader_find(struct em_loader *loader, const char *path, struct found **found)
{
    const char *kept;
    int r;

    path = em_loader_absolute(loader, path);
    if (!path)
        return EM_NO_MEMORY;
    *found = em_map_get(&loader->paths, path);
    if (*found)
        return EM_OK;
    kept = em_loader_text(loader, path);
    if (!kept)
        return EM_NO_MEMORY;
    r = find(loader, path, found);
    return r < 0 ? r : em_map_put(&loader->paths, kept, *found);
}

struct loadable *em_loader_promised(struct em_loader *loader, const char *name)
{
    struct loadable *file = em_map_get(&loader->promised, name);

    if (file)
        return file;
    file = em_new(loader->arena, struct loadable);
    name = em_loader_text(loader, name);
    if (!file || !name)
        return NULL;
    file->base.node.kind = EM_NODE_FILE;
    file->base.object.is64 = loader->world->is64;
    file->base.object.machine = loader->world->machine;
    file->base.object.soname = name;
    file->base.object.stack = EM_STACK_PLAIN;
    file->key = em_arena_printf(loader->arena, "promised %s", name);
    return file->key && em_map_put(&loader->promised, name, file) == EM_OK ? file : NULL;
}

struct em_loadable *em_loader_look(struct em_loader *loader, const char *path)
{
    struct em_loadable *missing;
    struct found *found;

    if (em_loader_find(loader, path, &found) < 0)
        return NULL;
    if (found->file)
        return &found->file->base;
    missing = em_new(loader->arena, struct em_loadable);
    if (!missing)
        return NULL;
    missing->code = found->error == ENOENT || found->error == ENOTDIR ? EM_NOT_FOUND : EM_IO;
    missing->problem = em_arena_strdup(loader->arena, strerror(found->error));
    return missing->problem ? missing : NULL;
}

/* ---- directories ---- */

static int find_place(struct em_loader *loader, const struct em_node *node, struct place **place)
{
    char key[EM_NODE_KEY_SIZE], *kept;

    em_node_key(key, node);
    *place = em_map_get(&loader->places, key);
    if (*place)
        return EM_OK;
    *place = em_new(loader->arena, struct place);
    kept = em_arena_strdup(loader->arena, key);
    if (!*place || !kept)
        return EM_NO_MEMORY;
    (*place)->names.arena = loader->arena;
    return em_map_put(&loader->places, kept, *place);
}

/* Adds the spot at prefix if there is a directory; *there says whether. */
static int add_spot(struct em_loader *loader, struct directory *directory, const char *prefix, bool *there)
{
    struct spot spot = { .prefix = prefix, .where = em_loader_absolute(loader, prefix) };
    struct em_node node;
    int r;

    *there = false;
    if (!prefix || !spot.where)
        return EM_NO_MEMORY;
    if (em_tree_stat(loader->world->tree, spot.where, &node) < 0 || node.kind != EM_NODE_DIRECTORY)
        return EM_OK;
    *there = true;
    r = find_place(loader, &node, &spot.place);
    return r < 0 ? r : em_vec_push(loader->arena, &directory->spots, spot);
}

/* Most directories have none of the hwcaps subdirectories, and one question for each first part of their names tells. */
static int add_hwcaps(struct em_loader *loader, struct directory *directory)
{
    const struct em_strings *hwcaps = &loader->world->hwcaps;
    const char *absent = NULL;
    size_t absent_size = 0;

    for (size_t i = 0; i < hwcaps->count; i++) {
        const char *name = hwcaps->items[i];
        size_t size = strcspn(name, "/");
        const char *first;
        struct em_node node;
        bool there;
        int r;

        if (absent && size == absent_size && strncmp(name, absent, size) == 0)
            continue;
        first = em_arena_printf(loader->arena, "%s%.*s", directory->text, (int)size, name);
        first = first ? em_loader_absolute(loader, first) : NULL;
        if (!first)
            return EM_NO_MEMORY;
        if (em_tree_stat(loader->world->tree, first, &node) < 0 || node.kind != EM_NODE_DIRECTORY) {
            absent = name;
            absent_size = size;
            continue;
        }
        r = add_spot(loader, directory, em_arena_printf(loader->arena, "%s%s/", directory->text, name), &there);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static char *shown(struct em_arena *arena, const char *text)
{
    size_t length = strlen(text);

    return length < 2 ? em_arena_strdup(arena, length ? "/" : ".") : em_arena_strndup(arena, text, length - 1);
}

int em_loader_directory(struct em_loader *loader, const char *text, struct directory **result)
{
    struct directory *directory = em_map_get(&loader->directories, text);
    struct em_node node;
    const char *path;
    int r;

    *result = directory;
    if (directory)
        return EM_OK;
    *result = directory = em_new(loader->arena, struct directory);
    if (!directory)
        return EM_NO_MEMORY;
    directory->text = em_arena_strdup(loader->arena, text);
    directory->shown = shown(loader->arena, text);
    if (!directory->text || !directory->shown)
        return EM_NO_MEMORY;
    directory->relative = text[0] != '/';
    path = em_loader_absolute(loader, directory->text);
    if (!path)
        return EM_NO_MEMORY;
    if (em_tree_stat(loader->world->tree, path, &node) == 0 && node.kind == EM_NODE_DIRECTORY) {
        r = add_hwcaps(loader, directory);
        if (r == EM_OK)
            r = add_spot(loader, directory, directory->text, &directory->exists);
        if (r < 0)
            return r;
    } else if (directory->relative) {
        /* glibc believes in every relative directory, since the working directory may change: it tries, and hears why not. */
        r = em_vec_push(loader->arena, &directory->spots, (struct spot){ directory->text, path, NULL });
        if (r < 0)
            return r;
    }
    return em_map_put(&loader->directories, directory->text, directory);
}

int em_loader_find_in(struct em_loader *loader, struct spot *spot, const char *name, struct found **found)
{
    em_cleanup_free char *path = NULL;
    const char *kept;
    int r;

    if (spot->place) {
        *found = em_map_get(&spot->place->names, name);
        if (*found)
            return EM_OK;
    }
    if (asprintf(&path, "%s%s", spot->where, name) < 0)
        return EM_NO_MEMORY;
    r = find(loader, path, found);
    if (r < 0 || !spot->place)
        return r;
    kept = em_loader_text(loader, name);
    return kept ? em_map_put(&spot->place->names, kept, *found) : EM_NO_MEMORY;
}
