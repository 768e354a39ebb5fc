#include "bundle/wheel/metadata.h"
#include "bundle/wheel/repack.h"

#include <pthread.h>
#include <string.h>

/* Each takes a third of a megabyte: with more of them memory would not be the same on every machine. */
#define MOST_INFLATERS 16u

static int bad(const struct em_wheel *wheel, struct em_error *error, const char *sentence)
{
    return em_fail(error, EM_BAD_RECORD, wheel->given, "%s", sentence);
}

bool em_is_data_directory(const char *name, size_t length)
{
    return length > 5 && name[length] == '/' && memcmp(name + length - 5, ".data", 5) == 0;
}

/* "pkg-1.0.dist-info" of a file that is called otherwise is what pip and PyPI refuse; another spelling of the same is made the file's.
 * Of another "x-1.data" some installers make files of this distribution, and others a directory of that name. */
static int check_directory(const struct em_wheel *wheel, struct em_arena *arena, const char *directory, const char *suffix,
                           struct em_error *error)
{
    const char *end = directory + strlen(directory) - strlen(suffix);
    const char *dash = memrchr(directory, '-', (size_t)(end - directory));
    char *name, *version, *wanted = em_normalize_name(arena, wheel->name);

    if (!dash)
        return em_fail(error, EM_BAD_RECORD, wheel->given, "has a %s directory that is not NAME-VERSION: %s", suffix,
                       directory);
    name = em_arena_strndup(arena, directory, (size_t)(dash - directory));
    name = name ? em_normalize_name(arena, name) : NULL;
    version = em_arena_strndup(arena, dash + 1, (size_t)(end - dash - 1));
    if (!wanted || !name || !version)
        return EM_NO_MEMORY;
    if (strcmp(name, wanted) != 0 || !em_metadata_is_same_version(version, wheel->version))
        return em_fail(error, EM_BAD_RECORD, wheel->given, "is the wheel of another distribution by its directory: %s",
                       directory);
    return EM_OK;
}

static int check_directories(const struct em_wheel *wheel, struct em_arena *arena, struct em_error *error)
{
    const char *last = "";
    int r = check_directory(wheel, arena, wheel->dist_info, ".dist-info", error);

    em_vec_each (const struct em_zip_member, member, em_zip_members(wheel->zip)) {
        const size_t length = strcspn(member->name, "/");

        if (r < 0 || !em_is_data_directory(member->name, length) ||
            (strlen(last) == length && memcmp(member->name, last, length) == 0))
            continue;
        last = em_arena_strndup(arena, member->name, length);
        r = last ? check_directory(wheel, arena, last, ".data", error) : EM_NO_MEMORY;
    }
    return r;
}

static int check_metadata(const struct em_wheel *wheel, struct em_arena *arena, struct em_error *error)
{
    const char *name, *version, *normalized, *wanted = em_normalize_name(arena, wheel->name);
    struct em_bytes bytes;
    int r = em_zip_read(wheel->zip, em_wheel_part(wheel, arena, "METADATA"), arena, EM_MAX_METADATA, &bytes, error);

    if (r == EM_OK)
        r = em_metadata_check(bytes, wheel->given, error);
    if (r == EM_OK)
        r = em_metadata_header(&name, arena, bytes, "Name");
    if (r == EM_OK)
        r = em_metadata_header(&version, arena, bytes, "Version");
    if (r < 0)
        return r;
    normalized = em_normalize_name(arena, name);
    if (!wanted || !normalized)
        return EM_NO_MEMORY;
    if (strcmp(normalized, wanted) != 0 || !em_metadata_is_same_version(version, wheel->version))
        return em_fail(error, EM_BAD_RECORD, wheel->given, "is the wheel of another distribution by its METADATA: %s %s", name,
                       version);
    return EM_OK;
}

/* Binary distribution format, "File contents": who does not know the major must not install it, nor rewrite it. */
static int check_wheel_version(const struct em_wheel *wheel, struct em_arena *arena, struct em_error *error)
{
    const char *version;
    struct em_bytes bytes;
    int r = em_zip_read(wheel->zip, em_wheel_part(wheel, arena, "WHEEL"), arena, EM_MAX_METADATA, &bytes, error);

    if (r == EM_OK)
        r = em_metadata_header(&version, arena, bytes, "Wheel-Version");
    if (r < 0)
        return r;
    if (!version)
        return bad(wheel, error, "has a WHEEL without a Wheel-Version");
    if (strncmp(version, "1.", 2) != 0)
        return em_fail(error, EM_UNSUPPORTED, wheel->given, "has Wheel-Version %s, and only 1.x is known here", version);
    return EM_OK;
}

static int check_form(const struct em_wheel *wheel, struct em_arena *arena, struct em_error *error)
{
    static const char *const parts[] = { "METADATA", "WHEEL", "RECORD" };
    int r;

    if (!wheel->name)
        return bad(wheel, error, "has a file name that is not NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl");
    if (wheel->dist_infos != 1)
        return bad(wheel, error, wheel->dist_infos ? "has several .dist-info directories" : "has no .dist-info directory");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!em_wheel_part(wheel, arena, parts[i]))
            return em_fail(error, EM_BAD_RECORD, wheel->given, "has no %s/%s", wheel->dist_info, parts[i]);
    em_vec_each (const struct em_zip_member, member, em_zip_members(wheel->zip))
        if (member->local_differs)
            return em_fail_at(error, EM_BAD_ZIP, wheel->given, member->header,
                              "has a member whose local header has another size or CRC than the directory: %s", member->name);
    r = check_directories(wheel, arena, error);
    if (r == EM_OK)
        r = check_metadata(wheel, arena, error);
    return r < 0 ? r : check_wheel_version(wheel, arena, error);
}

static int read_record(struct em_record *record, const struct em_wheel *wheel, struct em_arena *arena, struct em_error *error)
{
    struct em_zip_member *member = em_wheel_part(wheel, arena, "RECORD");
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_bytes bytes;
    int r = scratch ? em_zip_read(wheel->zip, member, scratch, EM_MAX_RECORD, &bytes, error) : EM_NO_MEMORY;

    if (r == EM_OK)
        r = em_record_read(record, arena, bytes, em_arena_printf(arena, "%s: %s", wheel->given, member->name), error);
    if (r < 0)
        return r;
    if (record->contradiction)
        return em_fail(error, EM_BAD_RECORD, wheel->given,
                       "has a RECORD whose line %u has another digest for a path that an earlier line lists",
                       record->contradiction);
    em_vec_each (const struct em_record_row, row, &record->rows) {
        if (!em_path_is_contained(row->path))
            return em_fail(error, EM_BAD_RECORD, wheel->given, "has a RECORD with a path that leads out of the wheel: %s",
                           row->path);
        if (!em_zip_find(wheel->zip, row->path) && !em_is_signature(row->path))
            return em_fail(error, EM_BAD_RECORD, wheel->given, "has a RECORD that lists what is not there: %s", row->path);
    }
    return EM_OK;
}

/* ---- the bytes ---- */

struct check {
    struct em_wheel *wheel;
    const struct em_record *record;
    pthread_mutex_t lock;
    size_t failed; /* lowest index of a member that is not what it should be */
    struct em_error error;
};

static int check_member(struct em_wheel *wheel, struct em_zip_member *member, const struct em_record *record,
                        struct em_error *error)
{
    const struct em_record_row *row = em_record_find(record, member->name);
    struct em_sha256 sha256;
    int r;

    if (member->directory || em_is_signature(member->name))
        return EM_OK;
    if (!row)
        return em_fail(error, EM_BAD_RECORD, wheel->given, "has a member that its RECORD does not list: %s", member->name);
    if (member == em_zip_find(wheel->zip, row->path) && strcmp(em_path_basename(member->name), "RECORD") == 0 && !row->hash[0])
        return EM_OK;
    if (!row->has_sha256)
        return em_fail(error, EM_BAD_RECORD, wheel->given, "has a RECORD without a SHA-256 for %s", member->name);
    if (row->has_size && row->size != member->size)
        return em_fail(error, EM_CHANGED, wheel->given, "has a member of %llu bytes where its RECORD says %llu: %s",
                       (unsigned long long)member->size, (unsigned long long)row->size, member->name);
    r = em_zip_hash(wheel->zip, member, NULL, NULL, &sha256, error);
    if (r < 0)
        return r;
    if (!em_sha256_equal(&sha256, &row->sha256))
        return em_fail(error, EM_CHANGED, wheel->given, "has a member that is not what its RECORD says (SHA-256 differs): %s",
                       member->name);
    return EM_OK;
}

static int check_one(void *context, size_t index)
{
    struct check *check = context;
    struct em_error error = EM_ERROR_INIT;
    int r = check_member(check->wheel, &em_zip_members(check->wheel->zip)->items[index], check->record, &error);

    if (r < 0) {
        pthread_mutex_lock(&check->lock);
        if (index < check->failed) {
            check->failed = index;
            check->error = error;
        }
        pthread_mutex_unlock(&check->lock);
    }
    return r;
}

int em_wheel_check(struct em_wheel *wheel, struct em_arena *arena, unsigned jobs, struct em_record *record,
                   struct em_error *error)
{
    struct check check = { .wheel = wheel, .record = record, .failed = SIZE_MAX, .error = EM_ERROR_INIT };
    int r = check_form(wheel, arena, error);

    if (r == EM_OK)
        r = read_record(record, wheel, arena, error);
    /* Found to be what RECORD says before, and not written to since. */
    if (r < 0 || em_zip_recall(wheel->zip))
        return r;
    pthread_mutex_init(&check.lock, NULL);
    if (jobs == 0)
        jobs = em_pool_cores();
    r = em_pool_each(jobs < MOST_INFLATERS ? jobs : MOST_INFLATERS, em_zip_members(wheel->zip)->count, check_one, &check);
    pthread_mutex_destroy(&check.lock);
    if (r == EM_OK)
        em_zip_vouch(wheel->zip);
    if (r < 0 && error)
        *error = check.error;
    return r;
}
