#include "bundle/source/inside.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define SCRATCH "unpacking-"

/* What nobody has asked for in so many seconds is not kept: libraries take gigabytes, and unpacking them again takes seconds. */
#define KEPT_FOR ((time_t)30 * 24 * 3600)

static int use_private(struct em_source *source, const struct em_error *why, struct em_error *error)
{
    int r = em_cache_private(source->env.arena, &source->cache, error);

    if (r < 0)
        return r;
    source->warning = em_arena_printf(
        source->env.arena, "%s%s%s%s%s; what is unpacked is not kept beyond this run (ELFMEND_CACHE names a place for it)",
        why->path, why->path[0] ? ": " : "", why->sentence, why->saved_errno ? ": " : "",
        why->saved_errno ? strerror(why->saved_errno) : "");
    return source->warning ? EM_OK : EM_NO_MEMORY;
}

int em_cache_open(struct em_source *source, struct em_error *error)
{
    struct em_error why = EM_ERROR_INIT;
    int r = em_cache_directory(source->env.arena, "sources", &source->cache, &why);

    if (r == EM_OK && faccessat(AT_FDCWD, source->cache, W_OK | X_OK, AT_EACCESS) < 0)
        r = em_fail_errno(&why, source->cache, "cannot be used as a cache");
    return r == EM_OK || r == EM_NO_MEMORY ? r : use_private(source, &why, error);
}

/* Who takes a directory away from its name, or is about to use one, is alone with the names meanwhile. -1: where directories cannot be
 * locked (NFS) it is done without. */
static int lock(const char *cache)
{
    int fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (fd < 0)
        return -1;
    do
        r = flock(fd, LOCK_EX);
    while (r < 0 && errno == EINTR);
    return fd;
}

bool em_cache_use(struct em_arena *arena, const char *directory)
{
    em_cleanup_fd int held = lock(em_path_dirname(arena, directory));

    (void)held;
    return utimensat(AT_FDCWD, directory, NULL, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A name for what is to be removed, or is not whole yet. */
static const char *scratch_name(struct em_arena *arena, const char *cache)
{
    const char *name = em_random_name(arena, SCRATCH);

    return name ? em_path_join(arena, cache, name) : NULL;
}

static bool is_old(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_mtim.tv_sec < time(NULL) - KEPT_FOR;
}

/* It loses its name first, so that nobody begins to use what is being removed. */
static bool take_aside(const char *cache, const char *path, const char *aside)
{
    em_cleanup_fd int held = lock(cache);

    (void)held;
    return is_old(path) && rename(path, aside) == 0;
}

static void remove_if_old(struct em_arena *arena, const char *cache, const char *path)
{
    const char *aside = scratch_name(arena, cache);

    if (aside && take_aside(cache, path, aside))
        em_cache_remove(aside);
}

void em_cache_remove_old(struct em_arena *arena, const char *cache)
{
    DIR *listing = opendir(cache);
    const struct dirent *entry;

    while (listing && (entry = readdir(listing))) {
        const char *path = entry->d_name[0] == '.' ? NULL : em_path_join(arena, cache, entry->d_name);

        if (path && is_old(path))
            remove_if_old(arena, cache, path);
    }
    if (listing)
        closedir(listing);
}

int em_cache_scratch(struct em_arena *arena, const char *cache, const char **directory, struct em_error *error)
{
    *directory = scratch_name(arena, cache);
    if (!*directory)
        return EM_NO_MEMORY;
    return mkdir(*directory, 0700) < 0 ? em_fail_errno(error, *directory, "cannot be made") : EM_OK;
}

/* Under the lock. *rest: what nobody needs any more; NULL: nothing. */
static const char *put(const char *cache, const char *scratch, const char *directory, const char *aside,
                       em_cache_judge *is_whole, void *context, const char **rest)
{
    em_cleanup_fd int held = lock(cache);

    (void)held;
    *rest = NULL;
    if (rename(scratch, directory) == 0)
        return directory;
    if (is_whole(context, directory)) {
        (void)utimensat(AT_FDCWD, directory, NULL, AT_SYMLINK_NOFOLLOW);
        *rest = scratch;
        return directory;
    }
    if (rename(directory, aside) < 0)
        return scratch;
    *rest = aside;
    return rename(scratch, directory) == 0 ? directory : scratch;
}

const char *em_cache_put(struct em_arena *arena, const char *scratch, const char *directory, em_cache_judge *is_whole,
                         void *context)
{
    const char *cache = em_path_dirname(arena, directory), *aside = cache ? scratch_name(arena, cache) : NULL, *rest, *place;

    if (!aside)
        return NULL;
    place = put(cache, scratch, directory, aside, is_whole, context, &rest);
    if (rest)
        em_cache_remove(rest);
    return place;
}

/* ---- what lies in a directory ---- */

static int hash_below(int directory, struct em_hasher *hasher, struct em_error *error);

/* Name, kind and content: what goes into the digest cannot be read in two ways. uv may have made links into its own cache. */
static int hash_entry(int directory, const char *name, struct em_hasher *hasher, struct em_error *error)
{
    char target[PATH_MAX];
    const ssize_t length = readlinkat(directory, name, target, sizeof target);
    em_cleanup_fd int fd = length < 0 ? em_open_at(directory, name, O_RDONLY | O_NOFOLLOW, 0, error) : -1;
    struct em_reader reader;
    struct em_sha256 digest;
    struct stat st;
    int r;

    em_hasher_add(hasher, name, strlen(name) + 1);
    if (length >= 0) {
        em_hasher_add(hasher, "l", 1);
        em_hasher_add(hasher, target, (size_t)length);
        em_hasher_add(hasher, "", 1);
        return EM_OK;
    }
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, name, "cannot be examined");
    em_hasher_add(hasher, S_ISDIR(st.st_mode) ? "d" : "f", 1);
    if (S_ISDIR(st.st_mode))
        return hash_below(fd, hasher, error);
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_UNSUPPORTED, name, "is neither a file nor a directory nor a link");
    reader = em_reader_fd(fd, (uint64_t)st.st_size, name);
    r = em_hash_reader(&reader, &digest, NULL, error);
    if (r == EM_OK)
        em_hasher_add(hasher, digest.bytes, sizeof digest.bytes);
    return r;
}

/* In the order of names; the end is an empty one. */
static int hash_below(int directory, struct em_hasher *hasher, struct em_error *error)
{
    struct dirent **names;
    int count = scandirat(directory, ".", &names, NULL, alphasort), r = EM_OK;

    if (count < 0)
        return em_fail_errno(error, "cache", "cannot be listed");
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;

        if (r == EM_OK && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            r = hash_entry(directory, name, hasher, error);
        free(names[i]);
    }
    free(names);
    em_hasher_add(hasher, "", 1);
    return r;
}

int em_cache_hash(const char *directory, struct em_sha256 *digest, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, error);
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    int r = fd < 0 ? fd : em_hasher_new(&hasher, error);

    if (r == EM_OK)
        r = hash_below(fd, hasher, error);
    if (r == EM_OK)
        em_hasher_end(hasher, digest);
    return r;
}
