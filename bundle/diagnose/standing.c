#include "bundle/diagnose/standing.h"

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

static const char *owner_name(const struct em_env_object *object)
{
    return object->owner ? object->owner->normalized : "";
}

static int note_roots(struct em_standing *standing)
{
    struct em_arena *arena = standing->advisor->arena;

    em_vec_each (struct em_root, root, &standing->advisor->loading->roots) {
        char *shape;

        if (!root->ok)
            continue;
        if (root->by_import && em_map_put(&standing->loads, owner_name(root->object), root->object) < 0)
            return EM_NO_MEMORY;
        shape = shape_of(arena, root->object->path);
        if (!shape || em_map_put(&standing->variants, shape, root->object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int note_hopeless(struct em_standing *standing)
{
    em_vec_each (struct em_case, item, &standing->advisor->loading->cases) {
        struct em_strings name = { .items = (const char **)(uintptr_t)&item->request->name, .count = 1 };

        if (item->opening || !em_case_is_missing(item) || em_advise_provider(standing->advisor, item->object, &name))
            continue;
        /* The driver is the machine's: where it is, that one is not missing. */
        if (em_knowledge_is_driver(standing->advisor->knowledge, item->request->name))
            continue;
        if (em_map_put(&standing->hopeless, item->object->path, item->object) < 0)
            return EM_NO_MEMORY;
        if (!em_knowledge_package(standing->advisor->knowledge, item->request->name, NULL) &&
            em_map_put(&standing->foreign, item->object->path, item->object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static enum em_severity without(const struct em_opening *opening)
{
    return opening->entry->without == EM_WITHOUT_OPTIONAL ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR;
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

    *standing = (struct em_standing){
        .advisor = advisor, .loads = empty, .variants = empty, .hopeless = empty, .foreign = empty, .opened = empty
    };
    r = note_roots(standing);
    if (r == EM_OK)
        r = note_hopeless(standing);
    return r < 0 ? r : note_opened(standing);
}

static bool is_variant(const struct em_standing *standing, const struct em_env_object *object)
{
    char *shape = shape_of(standing->advisor->arena, object->path);
    const struct em_env_object *other = shape ? em_map_get(&standing->variants, shape) : NULL;

    return other && other != object;
}

/* One of several builds of the same: the package opens the one that fits, and if none does, it does without. */
static bool is_one_of_many(const struct em_standing *standing, const struct em_env_object *object)
{
    char *shape = shape_of(standing->advisor->arena, object->path);

    em_vec_each (struct em_env_object, other, &standing->advisor->env->objects) {
        char *others = other == object || other->owner != object->owner ? NULL
                                                                        : shape_of(standing->advisor->arena, other->path);

        if (shape && others && strcmp(shape, others) == 0)
            return true;
    }
    return false;
}

/* It lacks something that is nowhere, and nobody is expected to bring it: a plugin of a program that is not here, another build. */
static bool is_given_up(const struct em_standing *standing, const struct em_env_object *object)
{
    return em_map_get(&standing->foreign, object->path) ||
           (em_map_get(&standing->hopeless, object->path) && is_one_of_many(standing, object));
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

/* An import of the object's own package, or of one that it requires, loads the provider: whoever opens the object has it already. */
static bool is_there_by_then(const struct em_standing *standing, const struct em_env_object *object,
                             const struct em_env_object *provider)
{
    return em_loading_is_imported(standing->advisor->loading, provider, object->owner) ||
           preloader_of(standing, object, provider);
}

const struct em_distribution *em_standing_preloader(const struct em_standing *standing, const struct em_case *item,
                                                    const struct em_env_object *provider)
{
    return provider && item->by_import && !item->opening ? preloader_of(standing, item->object, provider) : NULL;
}

enum em_severity em_standing_severity(const struct em_standing *standing, const struct em_case *item,
                                      const struct em_env_object *provider)
{
    const struct em_advisor *advisor = standing->advisor;
    bool known = em_knowledge_package(advisor->knowledge, em_case_name(item), NULL) != NULL;

    if (item->opening)
        return without(item->opening);
    if (item->by_import) {
        bool extra = em_map_get(&standing->loads, owner_name(item->root)) != NULL;

        if (em_standing_preloader(standing, item, provider))
            return EM_SEVERITY_NOTE;
        return extra && !provider && !known ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR;
    }
    if (provider) {
        if (is_there_by_then(standing, item->object, provider))
            return EM_SEVERITY_NOTE;
        return is_given_up(standing, item->object) ? EM_SEVERITY_NOTE : EM_SEVERITY_ERROR;
    }
    if (is_opened(standing, item))
        return EM_SEVERITY_ERROR;
    if (is_variant(standing, item->object))
        return EM_SEVERITY_NOTE;
    if (!known)
        return EM_SEVERITY_NOTE;
    /* The only build that there is, for a CUDA that is not here: what the package was installed for does not run. */
    if (!em_map_get(&standing->foreign, item->object->path) && !is_one_of_many(standing, item->object))
        return EM_SEVERITY_ERROR;
    return em_map_get(&standing->loads, owner_name(item->object)) ? EM_SEVERITY_NOTE : EM_SEVERITY_WARNING;
}
