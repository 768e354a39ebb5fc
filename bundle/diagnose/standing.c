#include "bundle/diagnose/standing.h"

#include "bundle/diagnose/startup.h"

#include <ctype.h>
#include <string.h>

/* "lib/bnb_cuda118.so" and "lib/bnb_cuda124.so" have one shape; digits of directories are none of it. */
static char *shape_of(struct em_arena *arena, const char *path)
{
    char *shape = em_arena_strdup(arena, path);
    size_t directory = (size_t)(em_path_basename(path) - path);
    char *to = shape ? shape + directory : NULL;

    if (!shape)
        return NULL;
    for (const char *from = path + directory; *from; from++)
        if (!isdigit((unsigned char)*from))
            *to++ = *from;
    *to = '\0';
    return shape;
}

static bool is_library(const struct em_advisor *advisor, const struct em_env_object *object)
{
    return em_loading_is_library(advisor->world, advisor->loading->files[object - advisor->env->objects.items]);
}

static const char *owner_name(const struct em_env_object *object)
{
    return object->owner ? object->owner->normalized : "";
}

/* A distribution that the object's own requires, and of which an import loads the provider; NULL: none. */
static const struct em_distribution *preloader_of(const struct em_standing *standing, const struct em_env_object *object,
                                                  const struct em_env_object *provider)
{
    const struct em_advisor *advisor = standing->advisor;

    em_vec_each (struct em_distribution *, distribution, &advisor->env->distributions)
        if (object->owner && *distribution != object->owner && em_env_requires(advisor->env, object->owner, *distribution) &&
            em_loading_is_imported(advisor->loading, provider, *distribution))
            return *distribution;
    return NULL;
}

/* The Python code of the object's own distribution opens the provider, which is of the same, before it imports the object. */
static bool opens_its_own(const struct em_standing *standing, const struct em_env_object *object,
                          const struct em_env_object *provider)
{
    const struct em_advisor *advisor = standing->advisor;
    const char *library = em_path_basename(provider->path), *known;
    uint64_t bytes_read = 0;
    bool names = false;
    char *key;

    if (!object->owner || provider->owner != object->owner)
        return false;
    key = em_arena_printf(advisor->arena, "%s\n%s", object->owner->normalized, library);
    known = key ? em_map_get(&standing->named->answers, key) : NULL;
    if (known)
        return *known == 'y';
    if (!key || em_startup_names(&names, advisor->env, object->owner, library, &bytes_read) < 0)
        return false;
    standing->named->bytes_read += bytes_read;
    return em_map_put(&standing->named->answers, key, names ? (void *)(uintptr_t) "y" : (void *)(uintptr_t) "n") == EM_OK &&
           names;
}

const struct em_distribution *em_standing_preloader(const struct em_standing *standing, const struct em_case *item,
                                                    const struct em_env_object *provider)
{
    const struct em_knowledge *knowledge = standing->advisor->knowledge;
    const struct em_distribution *owner = item->object->owner;

    if (!provider)
        return NULL;
    if (owner && provider->owner && em_knowledge_is_vendor(knowledge, provider->owner->normalized) &&
        em_knowledge_preloads(knowledge, owner->normalized, em_path_basename(provider->path)))
        return owner;
    if (!item->by_import || item->opening)
        return NULL;
    if (opens_its_own(standing, item->object, provider))
        return owner;
    return preloader_of(standing, item->object, provider);
}

/* An import of the object's own package, or of one that it requires, loads the provider: whoever opens the object has it already. */
static bool is_there_by_then(const struct em_standing *standing, const struct em_env_object *object,
                             const struct em_env_object *provider)
{
    return em_loading_is_imported(standing->advisor->loading, provider, object->owner) ||
           preloader_of(standing, object, provider);
}

/* What this machine alone answers is missing all the same; the driver is the machine's. */
static bool is_missing_here(const struct em_standing *standing, const struct em_case *item)
{
    const struct em_advisor *advisor = standing->advisor;

    return !em_knowledge_is_driver(advisor->knowledge, item->request->name) &&
           (em_case_is_missing(item) || em_case_is_by_luck(item, advisor->loading, advisor->knowledge));
}

/* Roots that lack something which nothing brings by then. */
static int note_lame(struct em_standing *standing, struct em_map *excused)
{
    excused->arena = standing->advisor->arena;
    em_vec_each (struct em_case, item, &standing->advisor->loading->cases) {
        struct em_strings name = { .items = (const char **)(uintptr_t)&item->request->name, .count = 1 };
        const struct em_env_object *provider;
        struct em_map *where = &standing->lame;

        if (item->opening || !is_missing_here(standing, item))
            continue;
        provider = em_advise_provider(standing->advisor, item->object, &name);
        if (provider && (em_standing_preloader(standing, item, provider) || is_there_by_then(standing, item->object, provider)))
            where = excused;
        if (em_map_put(where, item->root->path, item->root) < 0 || em_map_put(where, item->object->path, item->object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int note_roots(struct em_standing *standing)
{
    struct em_arena *arena = standing->advisor->arena;
    struct em_map excused = { 0 };

    if (note_lame(standing, &excused) < 0)
        return EM_NO_MEMORY;
    em_vec_each (struct em_root, root, &standing->advisor->loading->roots) {
        const char *path = root->object->path;
        struct em_arena_mark mark;
        char *shape;
        bool known;

        if (em_map_get(&standing->lame, path) || (!root->ok && !em_map_get(&excused, path)))
            continue;
        if (em_map_put(&standing->alive, owner_name(root->object), root->object) < 0)
            return EM_NO_MEMORY;
        if (root->by_import && em_map_put(&standing->loads, owner_name(root->object), root->object) < 0)
            return EM_NO_MEMORY;
        mark = em_arena_mark(arena);
        shape = shape_of(arena, root->object->path);
        known = shape && em_map_get(&standing->variants, shape);
        if (!shape || em_map_put(&standing->variants, shape, root->object) < 0)
            return EM_NO_MEMORY;
        if (known)
            em_arena_rewind(arena, mark);
    }
    return EM_OK;
}

/* A library opens its plugin by name, and the plugin needs that library: it is loaded by then, and so is what it needs itself. */
static bool is_plugin_of(const struct em_standing *standing, const struct em_env_object *host,
                         const struct em_env_object *object)
{
    const struct em_advisor *advisor = standing->advisor;
    em_cleanup_file struct em_file *file = NULL;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_strings names = { 0 };

    if (!scratch || em_tree_open(advisor->env->tree, host->path, &file) < 0 ||
        em_names_scan(&names, scratch, &file->reader, NULL) < 0)
        return false;
    em_vec_each (const char *, name, &names)
        if (strcmp(*name, em_path_basename(object->path)) == 0)
            return true;
    return false;
}

static bool needs(const struct em_standing *standing, const struct em_env_object *object, const char *name)
{
    const struct em_loadable *file = em_loader_look(standing->advisor->loading->loader, object->path);

    for (size_t i = 0; file && file->code == EM_OK && i < file->object.needed.count; i++)
        if (strcmp(file->object.needed.items[i], name) == 0)
            return true;
    return false;
}

static int note_hosts(struct em_standing *standing)
{
    em_vec_each (struct em_case, item, &standing->advisor->loading->cases) {
        struct em_strings name = { .items = (const char **)(uintptr_t)&item->request->name, .count = 1 };
        const struct em_env_object *host;

        if (item->opening || item->by_import || !em_case_is_missing(item) || em_map_get(&standing->hosts, item->object->path))
            continue;
        host = em_advise_provider(standing->advisor, item->object, &name);
        if (host && host->owner && host->owner == item->object->owner && is_plugin_of(standing, host, item->object) &&
            em_map_put(&standing->hosts, item->object->path, (void *)(uintptr_t)host) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static bool is_hosted(const struct em_standing *standing, const struct em_case *item, const struct em_env_object *provider)
{
    const struct em_env_object *host = em_map_get(&standing->hosts, item->object->path);

    return host && (provider == host || needs(standing, host, item->request->name));
}

static int note_hopeless(struct em_standing *standing)
{
    em_vec_each (struct em_case, item, &standing->advisor->loading->cases) {
        struct em_strings name = { .items = (const char **)(uintptr_t)&item->request->name, .count = 1 };
        const struct em_package *package;

        if (item->opening || !em_case_is_missing(item) || em_advise_provider(standing->advisor, item->object, &name))
            continue;
        /* The driver is the machine's: where it is, that one is not missing. */
        if (em_knowledge_is_driver(standing->advisor->knowledge, item->request->name))
            continue;
        if (em_map_put(&standing->hopeless, item->object->path, item->object) < 0)
            return EM_NO_MEMORY;
        package = em_knowledge_package(standing->advisor->knowledge, item->request->name, NULL);
        if ((!package || package->extra) && em_map_put(&standing->foreign, item->object->path, item->object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static enum em_severity without(const struct em_opening *opening)
{
    return opening->entry->without == EM_WITHOUT_OPTIONAL ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR;
}

/* What an import loads is of use to somebody, however it was opened. */
static int note_reached(struct em_standing *standing)
{
    const struct em_env *env = standing->advisor->env;

    for (size_t i = 0; i < env->objects.count; i++)
        if (standing->advisor->loading->reached[i] &&
            em_map_put(&standing->alive, owner_name(&env->objects.items[i]), &env->objects.items[i]) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static bool is_cudas(const struct em_standing *standing, const struct em_env_object *object)
{
    const struct em_advisor *advisor = standing->advisor;
    const char *name = em_path_basename(object->path);
    struct em_strings public;

    if (em_knowledge_package(advisor->knowledge, name, NULL))
        return true;
    if (em_env_public_names(&public, advisor->arena, name) < 0)
        return true;
    em_vec_each (const char *, known, &public)
        if (em_knowledge_package(advisor->knowledge, *known, NULL))
            return true;
    return false;
}

/* Somebody wants a GPU here: something of CUDA is in the environment or needed by it, or the user says so. A wheel alone is no environment
 * that could tell. */
static bool has_cuda(const struct em_standing *standing)
{
    const struct em_advisor *advisor = standing->advisor;

    if (advisor->gpu_wanted || advisor->env->kind == EM_ENV_WHEEL || advisor->env->kind == EM_ENV_OBJECT)
        return true;
    em_vec_each (struct em_distribution *, distribution, &advisor->env->distributions)
        if (em_knowledge_is_vendor(advisor->knowledge, (*distribution)->normalized))
            return true;
    em_vec_each (struct em_case, item, &advisor->loading->cases)
        if (!item->opening && em_knowledge_package(advisor->knowledge, item->request->name, NULL))
            return true;
    em_vec_each (struct em_env_object, object, &advisor->env->objects)
        if (is_cudas(standing, object))
            return true;
    return false;
}

static int note_opened(struct em_standing *standing)
{
    const struct em_loading *loading = standing->advisor->loading;

    em_vec_each (struct em_case, item, &loading->cases) {
        const struct em_env_object *object;

        if (!item->opening || em_case_is_missing(item) || !item->request->file || without(item->opening) == EM_SEVERITY_NOTE)
            continue;
        object = em_loading_object(loading, &item->request->file->node);
        if (object && em_map_put(&standing->opened, object->path, object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* The object, or what loads it, is opened by one that is broken without it. */
static bool is_opened(const struct em_standing *standing, const struct em_case *item)
{
    return em_map_get(&standing->opened, item->object->path) || em_map_get(&standing->opened, item->root->path);
}

int em_standing_init(struct em_standing *standing, const struct em_advisor *advisor)
{
    struct em_map empty = { .arena = advisor->arena };
    int r;

    *standing = (struct em_standing){ .advisor = advisor,
                                      .named = em_new(advisor->arena, struct em_named_libraries),
                                      .builds = em_new(advisor->arena, struct em_map),
                                      .loads = empty,
                                      .variants = empty,
                                      .lame = empty,
                                      .hopeless = empty,
                                      .foreign = empty,
                                      .opened = empty,
                                      .hosts = empty,
                                      .alive = empty };
    if (!standing->named || !standing->builds)
        return EM_NO_MEMORY;
    standing->named->answers = empty;
    standing->cuda = has_cuda(standing);
    r = note_roots(standing);
    if (r == EM_OK)
        r = note_reached(standing);
    if (r == EM_OK)
        r = note_hopeless(standing);
    if (r == EM_OK)
        r = note_hosts(standing);
    return r < 0 ? r : note_opened(standing);
}

static bool is_variant(const struct em_standing *standing, const struct em_env_object *object)
{
    struct em_arena *arena = standing->advisor->arena;
    const struct em_arena_mark mark = em_arena_mark(arena);
    char *shape = shape_of(arena, object->path);
    const struct em_env_object *other = shape ? em_map_get(&standing->variants, shape) : NULL;

    em_arena_rewind(arena, mark);
    return other && other != object;
}

/* NULL: no memory. */
static char *build_of(struct em_arena *arena, const struct em_env_object *object)
{
    char *shape = shape_of(arena, object->path);

    return shape ? em_loading_key(arena, (uintptr_t)object->owner, shape) : NULL;
}

static int count_builds(const struct em_standing *standing)
{
    struct em_arena *arena = standing->advisor->arena;

    standing->builds->arena = arena;
    em_vec_each (struct em_env_object, object, &standing->advisor->env->objects) {
        const struct em_arena_mark mark = em_arena_mark(arena);
        char *build = build_of(arena, object);
        size_t known = build ? (size_t)(uintptr_t)em_map_get(standing->builds, build) : 0;

        if (!build || em_map_put(standing->builds, build, (void *)(uintptr_t)(known + 1)) < 0)
            return EM_NO_MEMORY;
        if (known > 0)
            em_arena_rewind(arena, mark);
    }
    return EM_OK;
}

/* One of several builds of the same: the package opens the one that fits, and if none does, it does without. */
static bool is_one_of_many(const struct em_standing *standing, const struct em_env_object *object)
{
    struct em_arena *arena = standing->advisor->arena;
    struct em_arena_mark mark;
    char *build;
    bool many;

    if (!standing->builds->arena && count_builds(standing) < 0)
        return false;
    mark = em_arena_mark(arena);
    build = build_of(arena, object);
    many = build && (uintptr_t)em_map_get(standing->builds, build) > 1;
    em_arena_rewind(arena, mark);
    return many;
}

/* Nothing at all of its distribution can be loaded here: whatever that is for does not work. */
static bool is_dead(const struct em_standing *standing, const struct em_env_object *object)
{
    return object->owner && !em_map_get(&standing->alive, owner_name(object));
}

/* It lacks something that is nowhere, and nobody is expected to bring it: a plugin of a program that is not here, another build. */
static bool is_given_up(const struct em_standing *standing, const struct em_env_object *object)
{
    return em_map_get(&standing->foreign, object->path) ||
           (em_map_get(&standing->hopeless, object->path) && is_one_of_many(standing, object));
}

/* The package's own METADATA says that the library comes along, extras not counted. */
static bool is_promised(const struct em_standing *standing, const struct em_case *item, const struct em_env_object *provider)
{
    const struct em_advisor *advisor = standing->advisor;
    const struct em_distribution *owner = item->object->owner;
    const char *brought = provider ? NULL : em_advise_package(advisor, item->object, em_case_name(item));
    size_t length = brought ? strcspn(brought, "<>=!~[ ") : 0;

    if (provider)
        return em_env_requires(advisor->env, owner, provider->owner);
    em_vec_each (const struct em_requirement, requirement, &owner->requirements)
        if (brought && !requirement->has_extra && strlen(requirement->name) == length &&
            strncmp(requirement->name, brought, length) == 0)
            return true;
    return false;
}

/* A part of a vendor's package for who has more installed: libcutensorMp for several machines, libcufile_rdma for a network of its own.
 * Nothing here loads it, others of the package can be loaded, and what it lacks the package does not promise. */
static bool is_spare_part(const struct em_standing *standing, const struct em_case *item, const struct em_env_object *provider)
{
    const struct em_advisor *advisor = standing->advisor;
    const struct em_env_object *object = item->object;

    if (!object->owner || !em_knowledge_is_vendor(advisor->knowledge, object->owner->normalized) || is_opened(standing, item) ||
        advisor->loading->reached[object - advisor->env->objects.items] || is_promised(standing, item, provider))
        return false;
    em_vec_each (struct em_env_object, other, &advisor->env->objects)
        if (other->owner == object->owner && !em_map_get(&standing->lame, other->path) && is_library(advisor, other))
            return true;
    return false;
}

/* Others of its package load, and importing the package does not ask for this one. */
static bool is_extra(const struct em_standing *standing, const struct em_env_object *module)
{
    const struct em_advisor *advisor = standing->advisor;
    uint64_t bytes_read = 0;
    bool imported = false;

    if (!em_map_get(&standing->loads, owner_name(module)))
        return false;
    return em_startup_imports(&imported, advisor->arena, advisor->env->tree, module->path, &bytes_read) == EM_OK && !imported;
}

bool em_standing_is_one_of_many(const struct em_standing *standing, const struct em_env_object *object)
{
    return is_one_of_many(standing, object);
}

enum em_severity em_standing_severity(const struct em_standing *standing, const struct em_case *item,
                                      const struct em_env_object *provider)
{
    const struct em_advisor *advisor = standing->advisor;
    const struct em_package *package = em_knowledge_package(advisor->knowledge, em_case_name(item), NULL);
    bool known = package && !package->extra;

    if (em_standing_preloader(standing, item, provider) ||
        em_knowledge_does_without(advisor->knowledge, owner_name(item->object), em_case_name(item)))
        return EM_SEVERITY_NOTE;
    if (item->opening)
        return known && !provider && !standing->cuda ? EM_SEVERITY_NOTE : without(item->opening);
    if (item->by_import)
        return !provider && !known && is_extra(standing, item->root) ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR;
    if (is_spare_part(standing, item, provider))
        return EM_SEVERITY_NOTE;
    if (provider) {
        if (is_hosted(standing, item, provider) || is_there_by_then(standing, item->object, provider))
            return EM_SEVERITY_NOTE;
        return is_given_up(standing, item->object) ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR;
    }
    if (is_opened(standing, item))
        return EM_SEVERITY_ERROR;
    if (is_variant(standing, item->object))
        return EM_SEVERITY_NOTE;
    if (!known)
        return is_dead(standing, item->object) ? EM_SEVERITY_ERROR : EM_SEVERITY_NOTE;
    /* The only build that there is, for a CUDA that is not here: what the package was installed for does not run. */
    if (!em_map_get(&standing->foreign, item->object->path) && !is_one_of_many(standing, item->object))
        return EM_SEVERITY_ERROR;
    return em_map_get(&standing->loads, owner_name(item->object)) ? EM_SEVERITY_NOTE : EM_SEVERITY_WARNING;
}
