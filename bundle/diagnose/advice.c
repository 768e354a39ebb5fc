#include "bundle/diagnose/advice.h"

#include <string.h>

/* "nvidia-cublas-cu12"; "cupy-cuda12x", "jax-cuda12-pjrt". */
static bool is_for(const char *distribution, const char *flavour)
{
    const char *dash = strrchr(distribution, '-'), *cuda = strstr(distribution, "-cuda");

    return (dash && strcmp(dash + 1, flavour) == 0) || (cuda && strncmp(cuda + 5, flavour + 2, 2) == 0);
}

/* What the environment is built for: the packages say it in their names; else the CUDA libraries that its objects ask for. */
static const char *cuda_of(struct em_advisor *advisor)
{
    static const char *const flavours[] = { "cu11", "cu12", "cu13" };

    em_vec_each (struct em_distribution *, distribution, &advisor->env->distributions)
        for (size_t i = 0; i < sizeof flavours / sizeof *flavours; i++)
            if (is_for((*distribution)->normalized, flavours[i]))
                return flavours[i];
    em_vec_each (struct em_case, item, &advisor->loading->cases) {
        char major[16];
        const struct em_package *package = em_knowledge_package(advisor->knowledge, em_case_name(item), major);

        if (package && (strcmp(package->component, "cublas") == 0 || strcmp(package->component, "cudart") == 0))
            return em_arena_printf(advisor->arena, "cu%s", major);
    }
    /* No sign of it: what most wheels are built for. */
    return "cu12";
}

int em_advisor_init(struct em_advisor *advisor, struct em_arena *arena, const struct em_env *env, const struct em_world *world,
                    const struct em_knowledge *knowledge, const struct em_loading *loading)
{
    *advisor = (struct em_advisor){
        .arena = arena, .env = env, .world = world, .knowledge = knowledge, .loading = loading, .by_name = { .arena = arena }
    };
    advisor->next_named = em_arena_array(arena, env->objects.count + 1, sizeof *advisor->next_named);
    advisor->majors = em_new(arena, struct em_map);
    if (!advisor->next_named || !advisor->majors)
        return EM_NO_MEMORY;
    for (size_t i = env->objects.count; i > 0; i--) {
        const char *name = em_path_basename(env->objects.items[i - 1].path);

        advisor->next_named[i - 1] = (uint32_t)(uintptr_t)em_map_get(&advisor->by_name, name);
        if (em_map_put(&advisor->by_name, name, (void *)(uintptr_t)i) < 0)
            return EM_NO_MEMORY;
    }
    advisor->cuda = cuda_of(advisor);
    return EM_OK;
}

/* Those of one file name, in the environment's order. NULL: no other one. */
static const struct em_env_object *first_named(const struct em_advisor *advisor, const char *name)
{
    const size_t at = (size_t)(uintptr_t)em_map_get(&advisor->by_name, name);

    return at > 0 ? &advisor->env->objects.items[at - 1] : NULL;
}

static const struct em_env_object *next_named(const struct em_advisor *advisor, const struct em_env_object *object)
{
    const size_t at = advisor->next_named[object - advisor->env->objects.items];

    return at > 0 ? &advisor->env->objects.items[at - 1] : NULL;
}

static const struct em_object *read_object(const struct em_advisor *advisor, const struct em_env_object *object)
{
    const struct em_loadable *file = em_loader_look(advisor->loading->loader, object->path);

    return file && file->code == EM_OK ? &file->object : NULL;
}

const char *em_advise_foreign(const struct em_advisor *advisor, const struct em_env_object *object)
{
    const struct em_object *read = read_object(advisor, object);
    const struct em_world *world = advisor->world;

    if (!read)
        return NULL;
    if (read->machine != world->machine)
        return em_machine_name(advisor->arena, read->machine);
    if (read->is64 != world->is64)
        return read->is64 ? "64 bits" : "32 bits";
    return read->big_endian == world->big_endian ? NULL : read->big_endian ? "big-endian" : "little-endian";
}

/* A file of the right name that this loader cannot map is no answer: another machine's build, a stub, a torn download. */
static bool is_loadable(const struct em_advisor *advisor, const struct em_env_object *object)
{
    return read_object(advisor, object) && !em_advise_foreign(advisor, object);
}

/* 0: not of the requester's world; else the nearer the higher. */
static int nearness(const struct em_advisor *advisor, const struct em_env_object *requester,
                    const struct em_env_object *provider)
{
    if (requester->owner == provider->owner && (provider->owner || !em_env_is_beside(advisor->env, provider->path)))
        return 4;
    if (!provider->owner)
        return 0;
    if (requester->owner && em_env_requires(advisor->env, requester->owner, provider->owner))
        return 3;
    if (em_knowledge_is_vendor(advisor->knowledge, provider->owner->normalized))
        return 2;
    /* conda chose the packages of a prefix for each other, whatever METADATA knows of that. */
    return provider->owner->conda_meta ? 1 : 0;
}

const struct em_env_object *em_advise_provider(const struct em_advisor *advisor, const struct em_env_object *requester,
                                               const struct em_strings *names)
{
    em_vec_each (const char *, name, names) {
        const struct em_env_object *best = NULL;
        int best_nearness = 0;

        for (const struct em_env_object *object = first_named(advisor, *name); object; object = next_named(advisor, object)) {
            int near = object == requester ? 0 : 2 * nearness(advisor, requester, object);

            /* Of two that are as near, the target's own. */
            near -= near > 0 && em_env_is_beside(advisor->env, object->path);
            if (near > best_nearness && is_loadable(advisor, object)) {
                best = object;
                best_nearness = near;
            }
        }
        if (best)
            return best;
    }
    return NULL;
}

const struct em_env_object *em_advise_stranger(const struct em_advisor *advisor, const struct em_env_object *requester,
                                               const struct em_strings *names)
{
    const struct em_env_object *stranger = NULL;

    em_vec_each (const char *, name, names) {
        for (const struct em_env_object *object = first_named(advisor, *name); object; object = next_named(advisor, object)) {
            if (object != requester && nearness(advisor, requester, object) > 0 && em_advise_foreign(advisor, object))
                return object;
            if (!stranger)
                stranger = object;
        }
    }
    return stranger;
}

/* The first of each package, and of each of its majors. */
static int index_majors(const struct em_advisor *advisor)
{
    struct em_map *majors = advisor->majors;

    majors->arena = advisor->arena;
    em_vec_each (struct em_env_object, object, &advisor->env->objects) {
        char major[16];
        const struct em_package *package = em_knowledge_package(advisor->knowledge, em_path_basename(object->path), major);
        char *any, *one;

        if (!package)
            continue;
        any = em_loading_key(advisor->arena, (uintptr_t)package, "");
        one = em_loading_key(advisor->arena, (uintptr_t)package, major);
        if (!any || !one || (!em_map_get(majors, any) && em_map_put(majors, any, object) < 0) ||
            (!em_map_get(majors, one) && em_map_put(majors, one, object) < 0))
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

const struct em_env_object *em_advise_other_major(const struct em_advisor *advisor, const char *name)
{
    char wanted[16];
    const struct em_package *package = em_knowledge_package(advisor->knowledge, name, wanted);
    const struct em_env_object *other;
    struct em_arena_mark mark;
    char *any, *one;

    if (!package || (!advisor->majors->arena && index_majors(advisor) < 0))
        return NULL;
    mark = em_arena_mark(advisor->arena);
    any = em_loading_key(advisor->arena, (uintptr_t)package, "");
    one = em_loading_key(advisor->arena, (uintptr_t)package, wanted);
    other = any && one && !em_map_get(advisor->majors, one) ? em_map_get(advisor->majors, any) : NULL;
    em_arena_rewind(advisor->arena, mark);
    return other;
}

const char *em_advise_place(const struct em_advisor *advisor, const struct em_env_object *object)
{
    char *directory = em_path_dirname(advisor->arena, object->path);

    if (!directory)
        return NULL;
    if (!object->owner)
        return em_env_show(advisor->env, directory);
    return em_arena_printf(advisor->arena, "%s   (%s %s)", em_env_show(advisor->env, directory), object->owner->name,
                           object->owner->version);
}

/* The directory as it is shown: normal, and relative to the target where it lies below it. */
static const char *shown(const struct em_advisor *advisor, const char *directory)
{
    char *normal = em_path_normal(advisor->arena, directory);

    return normal ? em_env_show(advisor->env, normal) : NULL;
}

static const char *whose(const struct em_advisor *advisor, const struct em_request *request, const struct em_try *try)
{
    const char *tag = try->rule == EM_RULE_RUNPATH ? "DT_RUNPATH" : "DT_RPATH";

    if (try->owner == request->from || !try->owner)
        return em_arena_printf(advisor->arena, "%s of the object itself", tag);
    return em_arena_printf(advisor->arena, "%s of %s", tag, em_path_basename(try->owner->name));
}

static const char *try_line(const struct em_advisor *advisor, const struct em_request *request, const struct em_try *try)
{
    const char *directory = shown(advisor, try->directory);

    if (!directory)
        return NULL;
    switch (try->rule) {
    case EM_RULE_RPATH:
    case EM_RULE_RUNPATH:
        if (try->entry && strcmp(try->entry, directory) != 0)
            return em_arena_printf(advisor->arena, "%s = %s   (%s)", try->entry, directory, whose(advisor, request, try));
        return em_arena_printf(advisor->arena, "%s   (%s)", directory, whose(advisor, request, try));
    case EM_RULE_ENV: return em_arena_printf(advisor->arena, "%s   (LD_LIBRARY_PATH)", directory);
    case EM_RULE_CACHE:
    case EM_RULE_DEFAULT:
    case EM_RULE_NONE:
    case EM_RULE_PATH:
    case EM_RULE_SONAME:
    case EM_RULE_RESERVED: break;
    }
    return directory;
}

int em_advise_search(const struct em_advisor *advisor, const struct em_request *request, struct em_strings *lines)
{
    const char *system = NULL;
    size_t first = lines->count;

    em_vec_each (struct em_try, try, &request->tried) {
        const char *line;

        /* hwcaps subdirectories are the loader's own affair; the directory itself is in the list too. */
        if (strstr(try->directory, "glibc-hwcaps"))
            continue;
        if (try->rule == EM_RULE_DEFAULT || try->rule == EM_RULE_CACHE) {
            if (try->rule == EM_RULE_DEFAULT)
                system = em_arena_printf(advisor->arena, "%s%s%s", system ? system : "", system ? ", " : "", try->directory);
            continue;
        }
        line = try_line(advisor, request, try);
        if (em_evidence_add(lines, advisor->arena, lines->count == first ? "looked in" : "", line) < 0)
            return EM_NO_MEMORY;
    }
    if (system) {
        system = em_arena_printf(advisor->arena, "%s   (default directories)", system);
        return em_evidence_add(lines, advisor->arena, lines->count == first ? "looked in" : "", system);
    }
    return EM_OK;
}

/* "nvidia-cuda-nvrtc-cu12==12.8.93" of "nvidia-cuda-nvrtc-cu12 (==12.8.93); platform_system == 'Linux'". */
static const char *bare_requirement(struct em_arena *arena, const char *spelled)
{
    char *bare = em_arena_strndup(arena, spelled, strcspn(spelled, ";")), *to = bare;

    for (const char *from = bare; from && *from; from++)
        if (!strchr(" \t()", *from))
            *to++ = *from;
    if (to)
        *to = '\0';
    return bare;
}

/* How the distribution spells its requirement of a package, with the release that it wants; NULL: it has no word about one. What only an
 * extra of another distribution wants nobody may have asked for. */
static const char *pin_of(const struct em_advisor *advisor, const struct em_distribution *distribution, const char *name,
                          size_t length, bool extras)
{
    em_vec_each (const struct em_requirement, requirement, &distribution->requirements)
        if (strlen(requirement->name) == length && strncmp(requirement->name, name, length) == 0 &&
            strpbrk(requirement->spelled, "=<>~") && (extras || !requirement->has_extra))
            return bare_requirement(advisor->arena, requirement->spelled);
    return NULL;
}

const char *em_advise_package(const struct em_advisor *advisor, const struct em_env_object *requester, const char *name)
{
    char major[16];
    const struct em_package *package = em_knowledge_package(advisor->knowledge, name, major);
    const char *known = package ? em_package_requirement(package, major, advisor->cuda) : NULL, *pin = NULL;
    size_t length = known ? strcspn(known, "<>=!~ ") : 0;

    if (!known)
        return NULL;
    /* The release that the package was built and tested with, where it says which; else one that the others put up with. */
    if (requester->owner)
        pin = pin_of(advisor, requester->owner, known, length, true);
    em_vec_each (struct em_distribution *, distribution, &advisor->env->distributions)
        if (!pin)
            pin = pin_of(advisor, *distribution, known, length, false);
    return pin ? pin : known;
}

const char *em_advise_system(const struct em_advisor *advisor, const char *name)
{
    const struct em_system_library *library = em_knowledge_system(advisor->knowledge, name);

    if (!library || advisor->world->libc == EM_LIBC_MUSL)
        return NULL;
    return em_arena_printf(advisor->arena, "apt-get install %s     (Fedora, RHEL: dnf install %s)", library->apt, library->dnf);
}

const char *em_advise_cure(const struct em_advisor *advisor, const struct em_env_object *requester, const char *name)
{
    const struct em_cure *cure;

    if (!requester->owner || !requester->owner->version)
        return NULL;
    cure = em_knowledge_cure(advisor->knowledge, requester->owner->normalized, requester->owner->version, name);
    return cure ? em_arena_printf(advisor->arena, "pip install '%s', %s", cure->cure, cure->why) : NULL;
}
