#include "base/path.h"

#include <string.h>

char *em_path_join(struct em_arena *arena, const char *directory, const char *name)
{
    size_t length = strlen(directory);

    if (name[0] == '/' || length == 0)
        return em_arena_strdup(arena, name);
    return em_arena_printf(arena, "%s%s%s", directory, directory[length - 1] == '/' ? "" : "/", name);
}

char *em_path_dirname(struct em_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return em_arena_strdup(arena, ".");
    while (slash > path && slash[-1] == '/')
        slash--;
    if (slash == path)
        return em_arena_strdup(arena, "/");
    return em_arena_strndup(arena, path, (size_t)(slash - path));
}

const char *em_path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Appends one component to the normal form in out, of length *length. A ".." takes the last component back, if there is one
 * that is not itself a "..". */
static void put_component(char *out, size_t *length, bool absolute, const char *part, size_t size)
{
    size_t start = absolute ? 1 : 0;

    if (size == 0 || (size == 1 && part[0] == '.'))
        return;
    if (size == 2 && part[0] == '.' && part[1] == '.') {
        size_t cut = *length;

        while (cut > start && out[cut - 1] != '/')
            cut--;
        bool parent_is_up = *length - cut == 2 && out[cut] == '.' && out[cut + 1] == '.';

        if (*length > start && !parent_is_up) {
            *length = cut > start ? cut - 1 : start;
            return;
        }
        if (absolute)
            return;
    }
    if (*length > start)
        out[(*length)++] = '/';
    memcpy(out + *length, part, size);
    *length += size;
}

char *em_path_normal(struct em_arena *arena, const char *path)
{
    bool absolute = path[0] == '/';
    char *out = em_arena_alloc(arena, strlen(path) + 2);
    size_t length = 0;

    if (!out)
        return NULL;
    if (absolute)
        out[length++] = '/';
    while (*path) {
        size_t size = strcspn(path, "/");

        put_component(out, &length, absolute, path, size);
        path += size;
        path += strspn(path, "/");
    }
    if (length == 0)
        out[length++] = '.';
    out[length] = '\0';
    return out;
}

char *em_path_relative(struct em_arena *arena, const char *from_directory, const char *to)
{
    const char *from = strcmp(from_directory, ".") == 0 ? "" : from_directory;
    size_t common = 0, ups = 0;
    char *out, *at;

    if (strcmp(to, ".") == 0)
        to = "";
    /* The longest common prefix that ends between components. */
    for (size_t i = 0;; i++) {
        bool from_ends = from[i] == '\0' || from[i] == '/';
        bool to_ends = to[i] == '\0' || to[i] == '/';

        if (from_ends && to_ends)
            common = i;
        if (from[i] != to[i] || from[i] == '\0')
            break;
    }
    from += common;
    to += common;
    from += strspn(from, "/");
    to += strspn(to, "/");
    for (const char *p = from; *p; p += strspn(p, "/")) {
        ups++;
        p += strcspn(p, "/");
    }
    out = at = em_arena_alloc(arena, ups * 3 + strlen(to) + 2);
    if (!out)
        return NULL;
    for (size_t i = 0; i < ups; i++) {
        memcpy(at, "../", 3);
        at += 3;
    }
    strcpy(at, to);
    at += strlen(to);
    if (at > out && at[-1] == '/')
        *--at = '\0';
    if (at == out)
        strcpy(out, ".");
    return out;
}

bool em_path_is_below(const char *path, const char *root)
{
    size_t length = strlen(root);

    if (strcmp(root, ".") == 0)
        return path[0] != '/' && !(path[0] == '.' && path[1] == '.' && (path[2] == '/' || path[2] == '\0'));
    if (strncmp(path, root, length) != 0)
        return false;
    return path[length] == '\0' || path[length] == '/' || (length > 0 && root[length - 1] == '/');
}

const char *em_path_after(const char *path, const char *root)
{
    if (!em_path_is_below(path, root) || strcmp(root, ".") == 0)
        return path;
    path += strlen(root);
    path += strspn(path, "/");
    return *path ? path : ".";
}

bool em_path_is_contained(const char *path)
{
    if (path[0] == '\0' || path[0] == '/')
        return false;
    for (const char *p = path;; p++) {
        size_t size = strcspn(p, "/");

        if (size == 0 || (size == 1 && p[0] == '.') || (size == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += size;
        if (*p == '\0')
            return true;
    }
}
