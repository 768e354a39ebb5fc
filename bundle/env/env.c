#include "bundle/env/inside.h"

#include <string.h>

/* How far above a directory or an object its distribution is looked for: nvidia/cudnn/lib lies three below its site. */
#define MOST_PARENTS 4

const char *em_env_kind_name(enum em_env_kind kind)
{
    switch (kind) {
    case EM_ENV_VENV: return "venv";
    case EM_ENV_CONDA: return "conda";
    case EM_ENV_TARGET: return "target";
    case EM_ENV_DIRECTORY: return "directory";
    case EM_ENV_OBJECT: return "object";
    case EM_ENV_WHEEL: return "wheel";
    }
    return "";
}

int em_env_fail(struct em_error *error, const struct em_env *env, const char *path, int answer, const char *what)
{
    if (answer == -ENOMEM)
        return EM_NO_MEMORY;
    errno = -answer;
    return em_fail_errno(error, path ? path : env->given, "%s", what);
}

bool em_env_is_beside(const struct em_env *env, const char *path)
{
    em_vec_each (const char *, site, &env->beside)
        if (strcmp(path, *site) == 0 || em_path_is_below(path, *site))
            return true;
    return false;
}

size_t em_env_count_objects(const struct em_env *env)
{
    size_t count = 0;

    em_vec_each (const struct em_env_object, object, &env->objects)
        count += !em_env_is_beside(env, object->path);
    return count;
}

static int read_sites(struct em_env *env, struct em_error *error)
{
    int r = EM_OK;

    em_vec_each (const char *, site, &env->sites)
        if (r == EM_OK)
            r = em_env_read_site(env, *site, error);
    em_vec_each (const char *, site, &env->beside)
        if (r == EM_OK)
            r = em_env_read_site(env, *site, error);
    if (r < 0)
        return r;
    em_env_sort_distributions(env);
    return EM_OK;
}

static bool owns_something(struct em_env *env, const struct em_distribution *distribution)
{
    em_vec_each (const struct em_env_object, object, &env->objects) {
        const char *spelled = em_path_relative(env->arena, distribution->site, object->path);

        if (spelled && em_record_find(&distribution->record, spelled))
            return true;
    }
    return false;
}

/* A part of a site, such as nvidia/cudnn/lib, or one object: the distributions above it that list what is in it. */
static int look_above(struct em_env *env, struct em_error *error)
{
    const char *directory = env->kind == EM_ENV_OBJECT ? em_path_dirname(env->arena, env->path) : env->path;

    for (unsigned i = 0; i <= MOST_PARENTS && directory; i++, directory = em_path_dirname(env->arena, directory)) {
        size_t kept = 0;
        int r;

        if (i == 0 && env->kind == EM_ENV_DIRECTORY)
            continue;
        r = em_env_read_site(env, directory, error);
        if (r == EM_IO)
            continue; /* other people's directories need not be readable */
        if (r < 0)
            return r;
        em_vec_each (struct em_distribution *, distribution, &env->distributions) {
            if (owns_something(env, *distribution))
                env->distributions.items[kept++] = *distribution;
        }
        env->distributions.count = kept;
        if (kept > 0)
            return em_vec_push(env->arena, &env->sites, directory);
        if (strcmp(directory, "/") == 0)
            break;
    }
    return directory ? EM_OK : EM_NO_MEMORY;
}

/* A typing mistake in a Dockerfile must not look like a clean environment. */
static int refuse_nothing(struct em_env *env, struct em_error *error)
{
    const char *inner = em_path_join(env->arena, env->path, ".venv/pyvenv.cfg");
    struct em_node node;

    if (env->objects.count || env->distributions.count || (env->kind != EM_ENV_DIRECTORY && env->kind != EM_ENV_WHEEL))
        return EM_OK;
    if (env->kind == EM_ENV_WHEEL)
        return em_fail(error, EM_UNSUPPORTED, env->given, "is no wheel: it has neither a *.dist-info nor an ELF object");
    if (inner && em_tree_stat(env->tree, inner, &node) == 0)
        return em_fail(error, EM_UNSUPPORTED, env->given, "is no environment; there is one in it: .venv");
    return em_fail(error, EM_UNSUPPORTED, env->given,
                   "is no environment: no pyvenv.cfg, no conda-meta, no *.dist-info, and no ELF object below it");
}

/* What is asked of all objects together grows with them, and a wheel is where somebody else says how many there are. */
static int refuse_too_much(const struct em_env *env, struct em_error *error)
{
    return env->kind == EM_ENV_WHEEL && env->objects.count > EM_MAX_WHEEL_OBJECTS
               ? em_fail(error, EM_LIMIT, env->given, "has more than the %u ELF objects that a wheel may have",
                         EM_MAX_WHEEL_OBJECTS)
               : EM_OK;
}

/* What is installed in it, once it is known what it is. */
static int read_contents(struct em_env *env, struct em_error *error)
{
    int r = env->kind == EM_ENV_CONDA ? em_env_read_conda(env, error) : EM_OK;

    /* Distributions first where the sites are known: whether a link belongs to the target is theirs to say. */
    if (r == EM_OK && env->kind != EM_ENV_DIRECTORY)
        r = read_sites(env, error);
    if (r == EM_OK && env->kind != EM_ENV_OBJECT)
        r = em_env_find_objects(env, error);
    if (r == EM_OK && env->kind == EM_ENV_DIRECTORY)
        r = read_sites(env, error);
    if (r == EM_OK && env->distributions.count == 0 && (env->kind == EM_ENV_DIRECTORY || env->kind == EM_ENV_OBJECT) &&
        env->objects.count > 0)
        r = look_above(env, error);
    if (r == EM_OK)
        r = refuse_nothing(env, error);
    if (r == EM_OK)
        r = refuse_too_much(env, error);
    if (r < 0)
        return r;
    em_vec_each (struct em_env_object, object, &env->objects)
        object->owner = em_env_owners(env, object->path, &object->owners);
    return EM_OK;
}

int em_env_read(struct em_env *env, struct em_arena *arena, struct em_tree *tree, const char *target, struct em_error *error)
{
    int r;

    *env = (struct em_env){ .arena = arena, .tree = tree, .odd_rows = { .arena = arena } };
    r = em_env_find_roots(env, target, error);
    return r < 0 ? r : read_contents(env, error);
}

int em_env_read_wheel(struct em_env *env, struct em_arena *arena, struct em_tree *tree, const char *site, const char *wheel,
                      struct em_error *error)
{
    int r;

    *env = (struct em_env){ .kind = EM_ENV_WHEEL,
                            .given = wheel,
                            .path = site,
                            .real_path = site,
                            .arena = arena,
                            .tree = tree,
                            .odd_rows = { .arena = arena } };
    r = em_vec_push(arena, &env->sites, site);
    return r < 0 ? r : read_contents(env, error);
}
