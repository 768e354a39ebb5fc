#include "bundle/diagnose/paths.h"

#include "base/limits.h"
#include "bundle/diagnose/path_entries.h"
#include "bundle/diagnose/troubles.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct asked {
    EM_VEC(const struct em_request *);
};

struct judging {
    struct em_arena *arena, *scratch; /* scratch: of one object */
    const struct em_env *env;
    const struct em_world *world;
    const struct em_loading *loading;
    struct em_error *error;
    struct em_troubles troubles;
    struct asked *asked;  /* for each of the environment's objects: what imports search by its path list */
    struct em_map sought; /* of one object: entry as written -> the name that is sought there */
    struct em_map places; /* directory -> struct place * */
    size_t looks;         /* for places that are not there */
};

/* ---- what is sought where ---- */

/* libc's own: loaded with the interpreter, or answered by the system whatever is tried before. Nobody plants those without owning
 * the process already, and every object asks for them. */
static bool is_libc(const char *name)
{
    static const char *const patterns[] = { "ld-linux*.so.*", "libc.so.6",       "libm.so.6",    "libdl.so.2",
                                            "librt.so.1",     "libpthread.so.0", "libutil.so.1", "libgcc_s.so.1" };

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

/* The object in whose path list it stands, if an import searches that. */
static int note_asked(struct judging *judging, const struct em_request *request, const struct em_loaded *owner)
{
    const struct em_env_object *object = owner && owner->file ? em_loading_object(judging->loading, &owner->file->node) : NULL;

    return object ? em_vec_push(judging->arena, &judging->asked[object - judging->env->objects.items], request) : EM_OK;
}

/* Imports that search path lists, in vain or with success. */
static int gather_asked(struct judging *judging)
{
    judging->asked = em_arena_array(judging->arena, judging->env->objects.count, sizeof *judging->asked);
    if (!judging->asked)
        return EM_NO_MEMORY;
    em_vec_each (struct em_case, item, &judging->loading->cases) {
        const struct em_request *request = item->request;
        const struct em_loaded *owner = NULL;
        int r = EM_OK;

        if (!item->by_import || strchr(request->name, '/') || is_libc(request->name))
            continue;
        for (size_t i = 0; r == EM_OK && i < request->tried.count; i++) {
            if (request->tried.items[i].owner != owner)
                r = note_asked(judging, request, request->tried.items[i].owner);
            owner = request->tried.items[i].owner;
        }
        if (r == EM_OK && request->owner != owner)
            r = note_asked(judging, request, request->owner);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int note_sought(struct judging *judging, const struct em_env_object *object, const struct em_loaded *owner,
                       const char *entry, const char *name)
{
    if (!owner || !owner->file || !entry || em_loading_object(judging->loading, &owner->file->node) != object)
        return EM_OK;
    return em_map_put(&judging->sought, entry, name);
}

/* What is sought by which entry of the object's list. */
static int gather_sought(struct judging *judging, const struct em_env_object *object)
{
    judging->sought = (struct em_map){ .arena = judging->scratch };
    em_vec_each (const struct em_request *, request, &judging->asked[object - judging->env->objects.items]) {
        em_vec_each (struct em_try, try, &(*request)->tried)
            if (note_sought(judging, object, try->owner, try->entry, (*request)->name) < 0)
                return EM_NO_MEMORY;
        if (note_sought(judging, object, (*request)->owner, (*request)->entry, (*request)->name) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* ---- places ---- */

/* A directory that path lists name, asked once. */
struct place {
    bool exists;
    const char *writable; /* itself, or the nearest directory above that is there, if anyone may write it; NULL otherwise */
};

static int ask(struct judging *judging, const char *directory, struct place *place)
{
    struct em_node node = { .kind = EM_NODE_DIRECTORY };
    char *at = em_arena_strdup(judging->scratch, directory);
    size_t length = strlen(directory);
    int r;

    if (!at)
        return EM_NO_MEMORY;
    /* The loader cannot ask for it either. */
    if (length >= PATH_MAX)
        return EM_OK;
    while ((r = em_tree_stat(judging->env->tree, at, &node)) != 0 && length > 1) {
        if (++judging->looks > EM_MAX_LOOKS)
            return em_fail(judging->error, EM_LIMIT, judging->env->given,
                           "its objects' search paths name more than %u directories that are not there", EM_MAX_LOOKS);
        while (length > 1 && at[--length] != '/')
            ;
        at[length] = '\0';
    }
    place->exists = r == 0 && node.kind == EM_NODE_DIRECTORY && length == strlen(directory);
    /* The sticky bit keeps others from removing what is there, not from adding a library that is not. */
    if (r == 0 && node.kind == EM_NODE_DIRECTORY && (node.mode & S_IWOTH) != 0) {
        place->writable = em_arena_strdup(judging->arena, at);
        return place->writable ? EM_OK : EM_NO_MEMORY;
    }
    return EM_OK;
}

static int look(struct judging *judging, const char *directory, const struct place **place)
{
    struct place *asked = em_map_get(&judging->places, directory);
    char *key;

    *place = asked;
    if (asked)
        return EM_OK;
    *place = asked = em_new(judging->arena, struct place);
    key = em_arena_strdup(judging->arena, directory);
    if (!asked || !key || em_map_put(&judging->places, key, asked) < 0)
        return EM_NO_MEMORY;
    return ask(judging, key, asked);
}

static const char *tag_of(const struct em_object *object)
{
    return object->runpath ? "DT_RUNPATH" : "DT_RPATH";
}

/* ---- the judgements ---- */

/* The list without entries that count from the current directory; list is what the entries were read from. */
static const char *without_working(struct em_arena *arena, const struct em_path_entries *entries, const char *list)
{
    const size_t room = strlen(list) + 1;
    char *clean = em_arena_alloc(arena, room);
    size_t used = 0;

    if (!clean)
        return NULL;
    *clean = '\0';
    em_vec_each (struct em_path_entry, entry, entries)
        if (entry->kind != EM_ENTRY_WORKING)
            used += (size_t)snprintf(clean + used, room - used, "%s%s", used > 0 ? ":" : "", entry->written);
    return clean;
}

/* clean: the list without those entries. What lies in a wheel is edited before it goes in: repack changes paths for a library's sake
 * alone. */
static const char *help_for_working(const struct judging *judging, const struct em_env_object *object, const char *clean)
{
    const bool packed = judging->env->kind == EM_ENV_WHEEL;
    const char *file = packed ? em_path_basename(object->path) : object->path;
    const char *before = packed ? "before it is packed: " : "";

    if (!clean)
        return NULL;
    return *clean ? em_arena_printf(judging->scratch, "%selfmend patch --set-rpath '%s' %s", before, clean, file)
                  : em_arena_printf(judging->scratch, "%selfmend patch --remove-rpath %s", before, file);
}

static int judge_working(struct judging *judging, const struct em_env_object *object, const struct em_object *elf,
                         const struct em_path_entries *entries)
{
    const char *list = elf->runpath ? elf->runpath : elf->rpath;
    const struct em_path_entry *first = NULL;
    const char *name = NULL;
    struct em_trouble trouble = { .id = "EM301", .owner = object->owner, .key = list };

    em_vec_each (struct em_path_entry, entry, entries) {
        if (entry->kind != EM_ENTRY_WORKING)
            continue;
        first = first ? first : entry;
        name = name ? name : em_map_get(&judging->sought, entry->written);
    }
    if (!first)
        return EM_OK;
    trouble.severity = name ? EM_SEVERITY_WARNING : EM_SEVERITY_NOTE;
    trouble.message = *first->written
                          ? em_arena_printf(judging->scratch, "searches %s below the current directory: its %s is \"%s\"",
                                            first->written, tag_of(elf), list)
                          : em_arena_printf(judging->scratch,
                                            "searches the current directory: its %s is \"%s\", with an empty entry",
                                            tag_of(elf), list);
    trouble.help = help_for_working(judging, object, without_working(judging->scratch, entries, list));
    if (!trouble.message || !trouble.help)
        return EM_NO_MEMORY;
    if (!name)
        return em_trouble_add(&judging->troubles, &trouble, object->path, NULL, NULL);
    return em_trouble_add(&judging->troubles, &trouble, object->path, "sought",
                          em_arena_printf(judging->scratch, "%s: whoever may write there decides what is loaded", name));
}

static int judge_places(struct judging *judging, const struct em_env_object *object, const struct em_path_entries *entries)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < entries->count; i++) {
        const struct em_path_entry *entry = &entries->items[i];
        const struct place *place;
        struct em_trouble trouble = { .owner = object->owner, .severity = EM_SEVERITY_NOTE };

        if (!entry->directory)
            continue;
        r = look(judging, entry->directory, &place);
        if (r < 0)
            return r;
        if (place->writable && !em_path_is_below(entry->directory, judging->env->path) &&
            !em_path_is_below(entry->directory, judging->env->real_path)) {
            const char *name = em_map_get(&judging->sought, entry->written);

            trouble.id = "EM303";
            trouble.key = entry->directory;
            trouble.severity = name ? EM_SEVERITY_WARNING : EM_SEVERITY_NOTE;
            trouble.message = em_arena_printf(judging->scratch, "searches %s, where anyone may %s", entry->directory,
                                              place->exists ? "put files" : "make that directory");
            trouble.help = "elfmend patch --shrink-rpath, or --set-rpath without it";
            if (!trouble.message)
                return EM_NO_MEMORY;
            r = em_trouble_add(&judging->troubles, &trouble, object->path, name ? "sought" : "writable",
                               name ? name : place->writable);
        } else if (!place->exists) {
            trouble.id = "EM302";
            trouble.key = "";
            trouble.message = "searches directories that are not there";
            r = em_trouble_add(&judging->troubles, &trouble, object->path, "entry", entry->written);
        }
    }
    return r;
}

/* The driver's library under the name that everybody asks for, in a directory that is not the driver's. *kind NULL: it is not. */
static int stand_in(struct judging *judging, const char *directory, const char **kind)
{
    const struct place *place;
    struct em_node node;
    char *path;
    int r;

    *kind = !directory ? NULL : strstr(directory, "/stubs") ? "stub" : strstr(directory, "/compat") ? "compat" : NULL;
    if (!*kind)
        return EM_OK;
    r = look(judging, directory, &place);
    if (r < 0)
        return r;
    path = em_path_join(judging->scratch, directory, "libcuda.so.1");
    if (!path)
        return EM_NO_MEMORY;
    if (!place->exists || em_tree_stat(judging->env->tree, path, &node) != 0)
        *kind = NULL;
    return EM_OK;
}

static struct em_trouble stand_in_trouble(const char *kind, const char *directory)
{
    bool stub = strcmp(kind, "stub") == 0;

    return (struct em_trouble){
        .id = "EM304",
        .key = directory,
        /* A compat libcuda is meant to come first, on the data centre GPUs that support it; the machine decides, not the path. */
        .severity = stub ? EM_SEVERITY_ERROR : EM_SEVERITY_WARNING,
        .help = stub ? "take the stubs directory out of the path: it is for linking alone"
                     : "take the compat directory out of the path where the driver is as new; `elfmend doctor` compares them",
    };
}

static int judge_stand_ins(struct judging *judging, const struct em_env_object *object, const struct em_object *elf,
                           const struct em_path_entries *entries)
{
    em_vec_each (struct em_path_entry, entry, entries) {
        struct em_trouble trouble;
        const char *kind;
        int r = stand_in(judging, entry->directory, &kind);

        if (r < 0)
            return r;
        if (!kind)
            continue;
        trouble = stand_in_trouble(kind, entry->directory);
        trouble.owner = object->owner;
        trouble.message = em_arena_printf(judging->scratch, "finds the %s libcuda.so.1 of %s before the driver", kind,
                                          entry->directory);
        if (!trouble.message)
            return EM_NO_MEMORY;
        r = em_trouble_add(&judging->troubles, &trouble, object->path, "by",
                           em_arena_printf(judging->scratch, "%s   (%s)", entry->written, tag_of(elf)));
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* LD_LIBRARY_PATH is every object's: one finding, about the directory. */
static int judge_environment(struct judging *judging)
{
    struct em_path_entries entries;
    int r = em_path_entries(&entries, judging->scratch, judging->world->ld_library_path, "/");

    for (size_t i = 0; r == EM_OK && i < entries.count; i++) {
        const struct em_path_entry *entry = &entries.items[i];
        struct em_trouble trouble;
        const char *kind;
        char *object;

        r = stand_in(judging, entry->directory, &kind);
        if (r < 0 || !kind)
            continue;
        object = em_arena_strdup(judging->arena, entry->directory);
        trouble = stand_in_trouble(kind, entry->directory);
        trouble.message = em_arena_printf(judging->scratch,
                                          "is in LD_LIBRARY_PATH: its %s libcuda.so.1 is found before the driver", kind);
        r = object && trouble.message ? em_trouble_add(&judging->troubles, &trouble, object, NULL, NULL) : EM_NO_MEMORY;
    }
    return r;
}

static int judge_object(struct judging *judging, const struct em_env_object *object, const struct em_object *elf)
{
    struct em_path_entries entries;
    char *origin = em_path_dirname(judging->scratch, object->path);
    int r = origin ? em_path_entries(&entries, judging->scratch, elf->runpath ? elf->runpath : elf->rpath, origin)
                   : EM_NO_MEMORY;

    if (r == EM_OK)
        r = gather_sought(judging, object);
    if (r == EM_OK)
        r = judge_working(judging, object, elf, &entries);
    if (r == EM_OK)
        r = judge_places(judging, object, &entries);
    if (r == EM_OK)
        r = judge_stand_ins(judging, object, elf, &entries);
    if (r == EM_OK && elf->rpath && elf->runpath) {
        struct em_trouble trouble = { .id = "EM305", .owner = object->owner, .key = "" };

        trouble.message = "has DT_RPATH and DT_RUNPATH: the loader does not look at the first";
        r = em_trouble_add(&judging->troubles, &trouble, object->path, "dead", elf->rpath);
    }
    return r;
}

int em_judge_paths(struct em_findings *findings, struct em_arena *arena, const struct em_env *env, const struct em_world *world,
                   const struct em_loading *loading, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct judging judging = { .arena = arena,
                               .scratch = scratch,
                               .env = env,
                               .world = world,
                               .loading = loading,
                               .error = error,
                               .troubles = { .arena = arena, .scratch = scratch, .known = { .arena = arena } },
                               .places = { .arena = arena } };
    struct em_arena_mark empty;
    int r = scratch ? gather_asked(&judging) : EM_NO_MEMORY;

    if (r < 0)
        return r;
    empty = em_arena_mark(scratch);
    for (size_t i = 0; r == EM_OK && i < env->objects.count; i++) {
        const struct em_loadable *file = loading->files[i];

        if (file && file->code == EM_OK && (file->object.rpath || file->object.runpath))
            r = judge_object(&judging, &env->objects.items[i], &file->object);
        em_arena_rewind(scratch, empty);
    }
    if (r == EM_OK)
        r = judge_environment(&judging);
    return r == EM_OK ? em_troubles_tell(findings, &judging.troubles, env) : r;
}
