#include "bundle/source/unpack.h"

#include <dirent.h>
#include <ftw.h>
#include <string.h>
#include <time.h>

/* Of what is taken from a container: counted up when that changes, so that what an older version unpacked is not taken for whole. */
#define UNPACKED "-2"

#define PIECE ((size_t)256 * 1024)

/* Libraries compress to a third, static data of theirs to a fiftieth; who promises this much more is a bomb. */
#define MOST_GROWTH 200u
#define FREE_GROWTH ((uint64_t)64 << 20)

/* ---- reading containers ---- */

/* Only what is ours to read: libarchive would start programs for some formats. */
static struct archive *new_archive(void)
{
    struct archive *archive = em_la.archive_read_new();

    if (!archive)
        return NULL;
    em_la.archive_read_support_filter_gzip(archive);
    em_la.archive_read_support_filter_bzip2(archive);
    em_la.archive_read_support_filter_xz(archive);
    em_la.archive_read_support_filter_zstd(archive);
    em_la.archive_read_support_filter_rpm(archive);
    em_la.archive_read_support_format_zip_seekable(archive); /* by its end record: without it, it is no zip */
    em_la.archive_read_support_format_tar(archive);
    em_la.archive_read_support_format_ar(archive);
    em_la.archive_read_support_format_cpio(archive);
    return archive;
}

static int broken(struct em_unpack *unpack, struct archive *archive)
{
    const char *why = em_la.archive_error_string(archive);

    return em_fail(unpack->error, EM_BAD_ZIP, unpack->label, "is no archive that can be read: %s", why ? why : "damaged");
}

/* A member that is itself an archive, read as it comes. */
struct inner {
    struct archive *outer;
    char piece[PIECE];
};

static la_ssize_t read_inner(struct archive *archive, void *context, const void **bytes)
{
    struct inner *inner = context;
    la_ssize_t got = em_la.archive_read_data(inner->outer, inner->piece, sizeof inner->piece);

    *bytes = inner->piece;
    if (got < 0)
        em_la.archive_set_error(archive, em_la.archive_errno(inner->outer), "%s", em_la.archive_error_string(inner->outer));
    return got;
}

static int unpack_all(struct em_unpack *unpack, struct archive *archive, bool is_inner);

static int unpack_inner(struct em_unpack *unpack, struct archive *outer)
{
    struct inner *inner = malloc(sizeof *inner);
    struct archive *archive = new_archive();
    int r = EM_NO_MEMORY;

    if (inner && archive) {
        inner->outer = outer;
        r = em_la.archive_read_open(archive, inner, NULL, read_inner, NULL) == ARCHIVE_OK ? unpack_all(unpack, archive, true)
                                                                                          : broken(unpack, archive);
    }
    em_la.archive_read_free(archive);
    free(inner);
    return r;
}

/* A .deb is an ar with data.tar in it (deb(5)), a .conda a zip with pkg-NAME.tar.zst and info-NAME.tar.zst (conda's package format 2). */
static bool holds_archive(struct archive *archive, const char *name)
{
    size_t length = name ? strlen(name) : 0;
    int format = em_la.archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK;

    if (format == ARCHIVE_FORMAT_AR)
        return name && strncmp(name, "data.tar", 8) == 0;
    return format == ARCHIVE_FORMAT_ZIP && length > 8 && strcmp(name + length - 8, ".tar.zst") == 0 && !strchr(name, '/') &&
           (strncmp(name, "pkg-", 4) == 0 || strncmp(name, "info-", 5) == 0);
}

static int unpack_all(struct em_unpack *unpack, struct archive *archive, bool is_inner)
{
    struct archive_entry *entry;
    int r = EM_OK, status;

    while ((status = em_la.archive_read_next_header(archive, &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
        if (em_la.archive_entry_is_encrypted(entry) > 0)
            return em_fail(unpack->error, EM_REFUSED, unpack->label, "is encrypted");
        unpack->is_image = unpack->is_image || em_la.archive_filter_code(archive, 0) == ARCHIVE_FILTER_RPM ||
                           (em_la.archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_AR;
        r = !is_inner && holds_archive(archive, em_la.archive_entry_pathname(entry)) ? unpack_inner(unpack, archive)
                                                                                     : em_unpack_member(unpack, archive, entry);
        if (r < 0)
            return r;
    }
    return status == ARCHIVE_EOF ? EM_OK : broken(unpack, archive);
}

static int unpack_file(struct em_unpack *unpack, int fd)
{
    int r = em_libarchive_open(unpack->error);
    struct archive *archive = r < 0 ? NULL : new_archive();

    if (!archive)
        return r < 0 ? r : EM_NO_MEMORY;
    if (lseek(fd, 0, SEEK_SET) < 0 || em_la.archive_read_open_fd(archive, fd, PIECE) != ARCHIVE_OK)
        r = broken(unpack, archive);
    else
        r = unpack_all(unpack, archive, false);
    em_la.archive_read_free(archive);
    if (r == EM_OK)
        r = em_unpack_end(unpack);
    if (r == EM_OK)
        r = em_unpack_conda(unpack->arena, unpack->root, unpack->label, unpack->error);
    if (r == EM_OK && unpack->libraries == 0)
        return em_fail(unpack->error, EM_UNSUPPORTED, unpack->label, "holds no library that could be copied");
    return r;
}

/* ---- the cache ---- */

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
static void note_use(const char *directory)
{
    (void)utimensat(AT_FDCWD, directory, NULL, 0);
}

/* With what a run that was cut off left behind. What cannot be removed is not missed. */
static void remove_old(struct em_arena *arena, const char *cache)
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

static bool is_wheel_name(const char *place)
{
    size_t length = strlen(place);

    return length > 4 && strcmp(place + length - 4, ".whl") == 0;
}

static int fill(struct em_arena *arena, const char *place, int fd, uint64_t size, const char *directory, struct em_error *error)
{
    em_cleanup_fd int root = em_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, error);
    struct em_unpack unpack = {
        .arena = arena,
        .error = error,
        .label = place,
        .root = root,
        .is_wheel = is_wheel_name(place),
        .limit = size < (UINT64_MAX - FREE_GROWTH) / MOST_GROWTH ? size * MOST_GROWTH + FREE_GROWTH : UINT64_MAX,
    };

    return root < 0 ? root : unpack_file(&unpack, fd);
}

/* The directory appears under its name when it is complete: what is there under a key is what such a file gives. The key is of the
 * content, so that a file that changed is another one. */
int em_source_unpack(struct em_arena *arena, const char *place, const char **directory, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, place, O_RDONLY, 0, error);
    const char *cache = NULL, *made;
    char key[EM_XXH3_HEX_SIZE];
    struct em_reader reader;
    struct em_xxh3 digest;
    struct stat st;
    int r;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, place, "cannot be examined");
    reader = em_reader_fd(fd, (uint64_t)st.st_size, place);
    r = em_hash_reader(&reader, NULL, &digest, error);
    if (r == EM_OK)
        r = em_cache_directory(arena, "sources", &cache, error);
    if (r < 0)
        return r;
    em_xxh3_hex(&digest, key);
    /* A wheel is held to stricter rules than the same bytes under another name. */
    *directory = em_arena_printf(arena, "%s/%s%s" UNPACKED, cache, key, is_wheel_name(place) ? "-wheel" : "");
    if (!*directory)
        return EM_NO_MEMORY;
    if (access(*directory, F_OK) == 0) {
        note_use(*directory);
        return EM_OK;
    }
    remove_old(arena, cache);
    r = em_cache_scratch(arena, &made, error);
    if (r < 0)
        return r;
    r = fill(arena, place, fd, (uint64_t)st.st_size, made, error);
    /* Somebody else may have been faster with the same. */
    if (r == EM_OK && rename(made, *directory) < 0 && errno != EEXIST && errno != ENOTEMPTY)
        r = em_fail_errno(error, *directory, "cannot be made");
    em_cache_remove(made);
    return r;
}
