#include "bundle/source/inside.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* What nobody has asked for in so many seconds is not kept: libraries take gigabytes, and unpacking them again takes seconds. */
#define KEPT_FOR ((time_t)30 * 24 * 3600)

/* Each use is noted in the directory's own time, so that what is in use is never old. */
void em_cache_note_use(const char *directory)
{
    (void)utimensat(AT_FDCWD, directory, NULL, 0);
}

/* With what a run that was cut off left behind. What cannot be removed is not missed. */
void em_cache_remove_old(struct em_arena *arena, const char *cache)
{
    DIR *listing = opendir(cache);
    const struct dirent *entry;

    while (listing && (entry = readdir(listing))) {
        const char *path = entry->d_name[0] == '.' ? NULL : em_path_join(arena, cache, entry->d_name);
        struct stat st;

        if (path && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_mtim.tv_sec < time(NULL) - KEPT_FOR)
            em_cache_remove(path);
    }
    if (listing)
        closedir(listing);
}

int em_cache_scratch(struct em_arena *arena, const char **directory, struct em_error *error)
{
    const char *cache = NULL, *name;
    int r = em_cache_directory(arena, "sources", &cache, error);

    if (r < 0)
        return r;
    name = em_random_name(arena, "unpacking-");
    *directory = name ? em_path_join(arena, cache, name) : NULL;
    if (!*directory)
        return EM_NO_MEMORY;
    return mkdir(*directory, 0700) < 0 ? em_fail_errno(error, *directory, "cannot be made") : EM_OK;
}

int em_cache_keep(struct em_arena *arena, const char *scratch, const char *thing, const char **directory,
                  struct em_error *error)
{
    const struct em_bytes bytes = { (const uint8_t *)thing, strlen(thing) };
    const char *cache = em_path_dirname(arena, scratch);
    struct em_reader reader = em_reader_memory(&bytes, thing);
    char key[EM_XXH3_HEX_SIZE];
    struct em_xxh3 digest;
    int r = em_hash_reader(&reader, NULL, &digest, error);

    if (r < 0)
        return r;
    em_xxh3_hex(&digest, key);
    *directory = cache ? em_arena_printf(arena, "%s/%s-fetched", cache, key) : NULL;
    if (!*directory)
        return EM_NO_MEMORY;
    em_cache_remove(*directory);
    return rename(scratch, *directory) < 0 ? em_fail_errno(error, *directory, "cannot be made") : EM_OK;
}
