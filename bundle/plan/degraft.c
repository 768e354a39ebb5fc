#include "bundle/plan/degraft.h"

#include "patcher/patcher.h"

#include <string.h>

struct search {
    struct em_degraft *degraft;
    struct em_arena *arena;
    const struct em_env *env;
    const struct em_env_object *graft;
    struct em_object provider_object;
    struct em_map private, public; /* symbol -> itself: what the private copy defines, what the public library does */
    struct em_error *error;
};

static int read_object(struct search *search, const struct em_env_object *object, struct em_object *parsed,
                       struct em_strings *defined, struct em_strings *undefined)
{
    em_cleanup_file struct em_file *file = NULL;
    int r = em_tree_open(search->env->tree, object->path, &file);

    if (r < 0) {
        errno = -r;
        return em_fail_errno(search->error, object->path, "cannot be opened");
    }
    r = em_object_read(parsed, search->arena, &file->reader, search->error);
    if (r == EM_OK && defined)
        r = em_object_symbols(defined, undefined, search->arena, &file->reader, search->error);
    return r;
}

static int read_defined(struct search *search, const struct em_env_object *object, struct em_object *parsed, struct em_map *map)
{
    struct em_strings defined, undefined;
    int r = read_object(search, object, parsed, &defined, &undefined);

    map->arena = search->arena;
    if (r < 0)
        return r;
    em_vec_each (const char *, name, &defined)
        if (em_map_put(map, *name, *name) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static const struct em_env_object *object_at(const struct em_env *env, const char *path)
{
    em_vec_each (const struct em_env_object, object, &env->objects)
        if (strcmp(object->path, path) == 0)
            return object;
    return NULL;
}

/* The library beside the member that has one of the public names as its file name and as its SONAME. */
static int find_provider(struct search *search, const struct em_env_object *member)
{
    struct em_degraft *degraft = search->degraft;
    const char *directory = em_path_dirname(search->arena, member->path);
    struct em_strings names;

    if (!directory || em_env_public_names(&names, search->arena, em_path_basename(search->graft->path)) < 0)
        return EM_NO_MEMORY;
    em_vec_each (const char *, name, &names) {
        const char *path = em_path_join(search->arena, directory, *name);
        const struct em_env_object *object = path ? object_at(search->env, path) : NULL;
        int r;

        if (!path)
            return EM_NO_MEMORY;
        if (!object || object->owner != member->owner)
            continue;
        r = read_defined(search, object, &search->provider_object, &search->public);
        if (r < 0)
            return r;
        if (!search->provider_object.soname || strcmp(search->provider_object.soname, *name) != 0)
            continue;
        degraft->provider = object;
        degraft->to = *name;
        return EM_OK;
    }
    degraft->why = names.count == 0 ? "it is no private copy: its name has no hash in it, and others may need it by that name"
                                    : "the public library that it was copied from is not installed beside what it asks for";
    return EM_OK;
}

/* A library that defines no versions at all satisfies every one (dl-version.c): an old build, or the promise of one. */
static const char *undefined_version(const struct search *search, const struct em_object *consumer)
{
    const struct em_versions *defined = &search->provider_object.verdef;

    if (defined->count == 0)
        return NULL;
    em_vec_each (const struct em_verneed, need, &consumer->verneed) {
        if (strcmp(need->file, search->degraft->from) != 0)
            continue;
        em_vec_each (const struct em_version, version, &need->versions) {
            bool found = version->weak;

            em_vec_each (const struct em_version, known, defined)
                found = found || strcmp(known->name, version->name) == 0;
            if (!found)
                return version->name;
        }
    }
    return NULL;
}

/* A symbol that the consumer takes from the private copy and that the public library does not have. */
static const char *undefined_symbol(const struct search *search, const struct em_strings *undefined)
{
    if (search->public.count == 0) /* a promise has no symbols */
        return NULL;
    em_vec_each (const char *, name, undefined)
        if (em_map_get(&search->private, *name) && !em_map_get(&search->public, *name))
            return *name;
    return NULL;
}

static int look_at(struct search *search, const struct em_env_object *object)
{
    struct em_degraft *degraft = search->degraft;
    struct em_strings defined, undefined;
    struct em_object parsed;
    const char *missing;
    bool needs = false;
    int r = read_object(search, object, &parsed, NULL, NULL);

    if (r == EM_NOT_ELF || r == EM_BAD_ELF || r == EM_UNSUPPORTED)
        return EM_OK; /* then nothing loads it */
    if (r < 0)
        return r;
    em_vec_each (const char *, name, &parsed.needed)
        needs = needs || strcmp(*name, degraft->from) == 0;
    if (!needs)
        return EM_OK;
    r = read_object(search, object, &parsed, &defined, &undefined);
    if (r < 0)
        return r;
    missing = undefined_version(search, &parsed);
    if (!missing)
        missing = undefined_symbol(search, &undefined);
    if (missing) {
        degraft->why = em_arena_printf(
            search->arena, "a path, since %s takes %s from the private copy, and %s does not define it",
            em_env_show(search->env, object->path), missing, em_env_show(search->env, degraft->provider->path));
        return degraft->why ? EM_OK : EM_NO_MEMORY;
    }
    return em_vec_push(search->arena, &degraft->consumers, object);
}

int em_degraft_find(struct em_degraft *degraft, struct em_arena *arena, const struct em_env *env,
                    const struct em_env_object *graft, const struct em_env_object *member, struct em_error *error)
{
    struct search search = { .degraft = degraft, .arena = arena, .env = env, .graft = graft, .error = error };
    struct em_object parsed;
    int r;

    *degraft = (struct em_degraft){ 0 };
    r = find_provider(&search, member);
    if (r < 0 || degraft->why)
        return r;
    r = read_defined(&search, graft, &parsed, &search.private);
    if (r < 0)
        return r;
    degraft->from = em_path_basename(graft->path);
    em_vec_each (const struct em_env_object, object, &env->objects) {
        if (object->owner != graft->owner || object == graft)
            continue;
        r = look_at(&search, object);
        if (r < 0 || degraft->why)
            return r;
    }
    if (degraft->consumers.count == 0)
        degraft->why = "nothing in its distribution needs it";
    return EM_OK;
}
