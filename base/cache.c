#include "base/cache.h"

#include "base/files.h"
#include "base/path.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int find_place(struct em_arena *arena, const char **place, struct em_error *error)
{
    const char *own = getenv("ELFMEND_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (own && own[0] == '/')
        *place = em_arena_strdup(arena, own);
    else if (xdg && xdg[0] == '/')
        *place = em_arena_printf(arena, "%s/elfmend", xdg);
    else if (home && home[0] == '/')
        *place = em_arena_printf(arena, "%s/.cache/elfmend", home);
    else
        return em_fail(error, EM_USAGE, NULL, "there is no place for a cache: neither ELFMEND_CACHE nor HOME is set");
    return *place ? EM_OK : EM_NO_MEMORY;
}

static int check_above(struct em_arena *arena, const char *real, struct em_error *error)
{
    const char *unsafe;
    int r = em_find_unsafe(arena, real, &unsafe, error);

    return r == EM_OK && unsafe
               ? em_fail(error, EM_REFUSED, real,
                         "is not used as a cache: %s belongs to another user, or others may write to it", unsafe)
               : r;
}

/* Makes what is missing of path, which is nothing or a few directories at its end, if all that is there is in safe hands. */
static int make_place(struct em_arena *arena, const char *path, struct em_error *error)
{
    em_cleanup_free char *real = NULL;
    const char *there = path, *whole;
    int r;

    while (there && !(real = realpath(there, NULL)) && errno == ENOENT && strcmp(there, "/") != 0)
        there = em_path_dirname(arena, there);
    if (!there)
        return EM_NO_MEMORY;
    if (!real)
        return em_fail_errno(error, there, "cannot be used as a cache");
    r = check_above(arena, real, error);
    if (r < 0 || strlen(there) == strlen(path))
        return r;
    whole = em_arena_printf(arena, "%s/%s", real, path + strlen(there));
    return whole ? em_make_directories(whole, 0700, error) : EM_NO_MEMORY;
}

static int check_ours(const char *directory, struct em_error *error)
{
    struct stat st;

    if (lstat(directory, &st) < 0)
        return em_fail_errno(error, directory, "cannot be examined");
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return em_fail(error, EM_REFUSED, directory, "is not used as a cache: it is not ours alone");
    return EM_OK;
}

int em_cache_directory(struct em_arena *arena, const char *part, const char **directory, struct em_error *error)
{
    em_cleanup_free char *resolved = NULL;
    const char *place, *path;
    int r = find_place(arena, &place, error);

    if (r < 0)
        return r;
    path = em_path_join(arena, place, part);
    r = path ? make_place(arena, path, error) : EM_NO_MEMORY;
    if (r < 0)
        return r;
    /* Looked at once more, now that it is there: in /tmp somebody may have been faster. */
    resolved = realpath(path, NULL);
    if (!resolved)
        return em_fail_errno(error, path, "cannot be used as a cache");
    *directory = em_arena_strdup(arena, resolved);
    if (!*directory)
        return EM_NO_MEMORY;
    r = check_ours(*directory, error);
    return r < 0 ? r : check_above(arena, *directory, error);
}

/* ---- what is gone with the process ---- */

static char private_place[PATH_MAX];
static pid_t private_owner;

/* A fork has it from its parent. */
static void remove_private(void)
{
    if (getpid() == private_owner)
        em_cache_remove(private_place);
}

int em_cache_private(struct em_arena *arena, const char **directory, struct em_error *error)
{
    const char *wanted = getenv("TMPDIR"), *name, *path;
    em_cleanup_free char *above = realpath(wanted && wanted[0] == '/' ? wanted : "/tmp", NULL);
    int r;

    *directory = private_place;
    if (private_place[0])
        return EM_OK;
    if (!above)
        return em_fail_errno(error, wanted ? wanted : "/tmp", "cannot be used for temporary files");
    r = check_above(arena, above, error);
    if (r < 0)
        return r;
    name = em_random_name(arena, "elfmend-");
    path = name ? em_path_join(arena, above, name) : NULL;
    if (!path)
        return EM_NO_MEMORY;
    if (strlen(path) >= sizeof private_place || mkdir(path, 0700) < 0)
        return em_fail_errno(error, path, "cannot be made");
    strcpy(private_place, path);
    private_owner = getpid();
    return atexit(remove_private) == 0 ? EM_OK : EM_NO_MEMORY;
}

/* ---- removing ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    remove(path);
    return 0;
}

void em_cache_remove(const char *directory)
{
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
