#include "bundle/env/inside.h"

#include <limits.h>
#include <string.h>

/* ---- rows and paths ---- */

/* Folds ".", ".." and "//" in place, as if there were no links; path is absolute. em_path_normal without the arena: a RECORD has
 * thousands of rows. */
static void fold(char *path)
{
    size_t length = 1;

    for (const char *from = path + 1; *from;) {
        size_t size = strcspn(from, "/");

        if (size == 2 && from[0] == '.' && from[1] == '.') {
            while (length > 1 && path[--length] != '/')
                ;
        } else if (size > 0 && !(size == 1 && from[0] == '.')) {
            if (length > 1)
                path[length++] = '/';
            memmove(path + length, from, size);
            length += size;
        }
        from += size;
        from += strspn(from, "/");
    }
    path[length] = '\0';
}

/* Nothing to fold in it: every row but a few, so it is asked byte by byte and no more. */
static bool is_plain(const char *row_path)
{
    if (*row_path == '/' || *row_path == '.' || *row_path == '\0')
        return false;
    for (const char *at = row_path; *at; at++) {
        if (*at == '/' && (at[1] == '/' || at[1] == '.' || at[1] == '\0'))
            return false;
    }
    return true;
}

bool em_env_row_path_into(const struct em_distribution *distribution, const char *row_path, char *buffer, size_t size)
{
    size_t site = row_path[0] == '/' ? 0 : strlen(distribution->site), row = strlen(row_path);

    if (site + 1 + row >= size)
        return false;
    memcpy(buffer, distribution->site, site);
    buffer[site] = '/';
    memcpy(buffer + site + 1, row_path, row + 1);
    if (!is_plain(row_path))
        fold(buffer);
    return true;
}

const char *em_env_row_path(const struct em_env *env, const struct em_distribution *distribution, const char *row_path)
{
    const char *joined = em_path_join(env->arena, distribution->site, row_path);

    return joined ? em_path_normal(env->arena, joined) : NULL;
}

/* A row that em_env_row_spelling would spell in the same way: relative, ".." only in front, no "." and no "//". */
static bool is_usual(const char *path)
{
    bool in_front = true;

    if (is_plain(path))
        return true;
    if (*path == '/' || *path == '\0')
        return false;
    for (;; path++) {
        size_t size = strcspn(path, "/");

        if (size == 0 || (size == 1 && path[0] == '.'))
            return false;
        if (size == 2 && path[0] == '.' && path[1] == '.') {
            if (!in_front)
                return false;
        } else {
            in_front = false;
        }
        path += size;
        if (*path == '\0')
            return true;
    }
}

const char *em_env_moved_row(const struct em_env *env, const struct em_distribution *distribution, const char *row_path)
{
    if (env->kind != EM_ENV_TARGET || strncmp(row_path, "../../", 6) != 0 || strcmp(distribution->site, env->path) != 0 ||
        !em_path_is_contained(row_path + 6))
        return NULL;
    return row_path + 6;
}

int em_env_note_odd_rows(struct em_env *env, struct em_distribution *distribution)
{
    em_vec_each (const struct em_record_row, row, &distribution->record.rows) {
        const char *moved = em_env_moved_row(env, distribution, row->path), *path;
        int r;

        if (!moved && is_usual(row->path))
            continue;
        path = em_env_row_path(env, distribution, moved ? moved : row->path);
        r = path ? em_map_put(&env->odd_rows, path, distribution) : EM_NO_MEMORY;
        if (r < 0)
            return r;
    }
    return EM_OK;
}

const char *em_env_row_spelling(const struct em_env *env, const struct em_distribution *distribution, const char *path)
{
    const char *spelled = em_path_relative(env->arena, distribution->site, path), *joined;

    if (!spelled || em_record_find(&distribution->record, spelled))
        return spelled;
    /* Somebody may have spelled it in another way; then it must not be listed twice. */
    if (em_map_get(&env->odd_rows, path)) {
        em_vec_each (const struct em_record_row, row, &distribution->record.rows) {
            if (is_usual(row->path))
                continue;
            joined = em_env_row_path(env, distribution, row->path);
            if (!joined || strcmp(joined, path) == 0)
                return joined ? row->path : NULL;
        }
    }
    return spelled;
}

/* ---- owners ---- */

/* conda's packages list what they brought for Python too: there its RECORD says whose it is. */
static struct em_distribution *conda_owner(const struct em_env *env, const char *path, size_t *count)
{
    struct em_distribution *owner = NULL;

    em_vec_each (struct em_distribution *, package, &env->conda) {
        if (!em_path_is_below(path, (*package)->site) ||
            !em_record_find(&(*package)->record, em_path_after(path, (*package)->site)))
            continue;
        owner = *package;
        ++*count;
    }
    return owner;
}

struct em_distribution *em_env_owners(const struct em_env *env, const char *path, size_t *count)
{
    struct em_distribution *owner = em_map_get(&env->odd_rows, path);
    const char *site = NULL, *spelled = NULL;

    *count = owner ? 1 : 0;
    em_vec_each (struct em_distribution *, distribution, &env->distributions) {
        /* The distributions of one site share its string. */
        if ((*distribution)->site != site) {
            site = (*distribution)->site;
            spelled = em_path_is_below(path, site) ? em_path_after(path, site) : em_path_relative(env->arena, site, path);
        }
        if (!spelled || !em_record_find(&(*distribution)->record, spelled))
            continue;
        owner = *distribution;
        ++*count;
    }
    return owner ? owner : conda_owner(env, path, count);
}

/* A path that the loader or the user spelled: through lib64, over a link, with "..". */
static const char *as_found(const struct em_env *env, const char *path)
{
    char *real;

    if (em_tree_real_path(env->tree, env->arena, path, &real) < 0 || !em_path_is_below(real, env->real_path))
        return NULL;
    if (strcmp(real, env->real_path) == 0)
        return env->path;
    return em_path_join(env->arena, env->path, em_path_after(real, env->real_path));
}

struct em_distribution *em_env_owner(const struct em_env *env, const char *path)
{
    const char *normal = em_path_normal(env->arena, path);
    struct em_distribution *owner = NULL;
    size_t count;

    if (normal)
        owner = em_env_owners(env, normal, &count);
    if (owner)
        return owner;
    normal = as_found(env, path);
    return normal ? em_env_owners(env, normal, &count) : NULL;
}

const char *em_env_show(const struct em_env *env, const char *path)
{
    if (env->kind == EM_ENV_OBJECT)
        return strcmp(path, env->path) == 0 ? env->given : path;
    if (strcmp(env->path, "/") == 0)
        return path;
    return em_path_after(path, env->path);
}
