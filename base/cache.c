#include "base/cache.h"

#include "base/files.h"

int em_cache_directory(struct em_arena *arena, const char *part, const char **directory, struct em_error *error)
{
    const char *own = getenv("ELFMEND_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (own && own[0] == '/')
        *directory = em_arena_printf(arena, "%s/%s", own, part);
    else if (xdg && xdg[0] == '/')
        *directory = em_arena_printf(arena, "%s/elfmend/%s", xdg, part);
    else if (home && home[0] == '/')
        *directory = em_arena_printf(arena, "%s/.cache/elfmend/%s", home, part);
    else
        return em_fail(error, EM_USAGE, NULL, "there is no place for a cache: neither ELFMEND_CACHE nor HOME is set");
    return *directory ? em_make_directories(*directory, 0700, error) : EM_NO_MEMORY;
}
