#include "base/cache.h"

#include "base/files.h"
#include "base/path.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define PRIVATE "elfmend-"
#define PART "sources"
/* Another run may take a directory for a dead one's between its making and its lock; then we make the next. */
#define TRIES 16

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

static char private_place[PATH_MAX], private_part[PATH_MAX];
static int private_lock = -1; /* held as long as we live */
static pid_t private_owner;

/* A fork has it from its parent. */
static void remove_private(void)
{
    if (getpid() == private_owner)
        em_cache_remove(private_place);
}

/* What a killed run has left: a directory of ours alone that nobody holds. Its maker locks it while it lives. */
static void remove_dead(struct em_arena *arena, const char *above, const char *name)
{
    const char *path = em_is_random_name(name, PRIVATE) ? em_path_join(arena, above, name) : NULL;
    em_cleanup_fd int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        em_cache_remove(path);
}

static void remove_all_dead(struct em_arena *arena, const char *above)
{
    DIR *stream = opendir(above);
    const struct dirent *entry;

    while (stream && (entry = readdir(stream)))
        remove_dead(arena, above, entry->d_name);
    if (stream)
        closedir(stream);
}

/* 1: it was removed before we had its lock. Where there are no locks nobody removes it. */
static int make_private(const char *path, struct em_error *error)
{
    struct stat by_fd, by_name;
    int r;

    if (mkdir(path, 0700) < 0)
        return em_fail_errno(error, path, "cannot be made");
    private_lock = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (private_lock < 0 && errno != ENOENT) {
        r = em_fail_errno(error, path, "cannot be opened");
        rmdir(path);
        return r;
    }
    if (private_lock >= 0 && (flock(private_lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
        fstat(private_lock, &by_fd) == 0 && lstat(path, &by_name) == 0 && by_fd.st_ino == by_name.st_ino)
        return EM_OK;
    em_closep(&private_lock);
    return 1;
}

int em_cache_private(struct em_arena *arena, const char **directory, struct em_error *error)
{
    const char *wanted = getenv("TMPDIR"), *name, *path = NULL;
    em_cleanup_free char *above = realpath(wanted && wanted[0] == '/' ? wanted : "/tmp", NULL);
    int r;

    *directory = private_part;
    if (private_place[0])
        return EM_OK;
    if (!above)
        return em_fail_errno(error, wanted ? wanted : "/tmp", "cannot be used for temporary files");
    r = check_above(arena, above, error);
    if (r < 0)
        return r;
    remove_all_dead(arena, above);
    r = 1;
    for (int i = 0; r == 1 && i < TRIES; i++) {
        name = em_random_name(arena, PRIVATE);
        path = name ? em_path_join(arena, above, name) : NULL;
        if (!path)
            return EM_NO_MEMORY;
        if (snprintf(private_part, sizeof private_part, "%s/" PART, path) >= (int)sizeof private_part)
            return em_fail(error, EM_LIMIT, path, "is longer than a path may be");
        r = make_private(path, error);
    }
    if (r == 1)
        r = em_fail(error, EM_BUSY, above, "has a directory of ours that somebody removes time and again");
    if (r < 0)
        return r;
    strcpy(private_place, path);
    private_owner = getpid();
    if (atexit(remove_private) != 0)
        return EM_NO_MEMORY;
    /* Who works in a cache locks it, for as long as that takes; ours is not that lock. */
    return mkdir(private_part, 0700) < 0 ? em_fail_errno(error, private_part, "cannot be made") : EM_OK;
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
