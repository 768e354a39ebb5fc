#include "bundle/tree/zip_room.h"

#include <string.h>
#include <time.h>

/* APPNOTE 4.3.7 */
#define LOCAL_MAGIC 0x04034b50u
#define LOCAL_SIZE 30u
/* APPNOTE 4.3.9: with a signature, and two sizes of eight bytes. */
#define LONGEST_DESCRIPTOR 24u

/* ---- the members against each other and against their local headers ---- */

/* Each directory above a member, and what was put there first. They are as many as the members or more: a few thousand long names
 * in as many directories would make gigabytes of them. */
struct folders {
    struct em_map map;
    uint64_t bytes;
};

/* path is written over. */
static int add_folders(struct em_zip *zip, struct folders *folders, char *path, struct em_zip_member *member,
                       struct em_error *error)
{
    for (char *end = path + strlen(path); end; end = strrchr(path, '/')) {
        const char *copy;

        *end = '\0';
        if (em_map_get(&folders->map, path))
            return EM_OK;
        folders->bytes += (uint64_t)(end - path);
        if (folders->bytes > EM_MAX_ZIP_FOLDERS)
            return em_fail(error, EM_BAD_ZIP, zip->path,
                           "has directories whose names take more than %llu bytes, which no package has",
                           (unsigned long long)EM_MAX_ZIP_FOLDERS);
        copy = em_arena_strdup(folders->map.arena, path);
        if (!copy || em_map_put(&folders->map, copy, member) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int check_names(struct em_zip *zip, struct em_arena *scratch, struct em_error *error)
{
    struct folders folders = { .map = { .arena = scratch } };
    char above[EM_MAX_ZIP_NAME + 1];
    int r;

    zip->by_name = (struct em_map){ .arena = zip->arena };
    em_vec_each (struct em_zip_member, member, &zip->members) {
        char *slash;

        if (em_map_get(&zip->by_name, member->name))
            return em_fail_at(error, EM_BAD_ZIP, zip->path, member->header, "has a member twice: %s", member->name);
        if (em_map_put(&zip->by_name, member->name, member) < 0)
            return EM_NO_MEMORY;
        memcpy(above, member->name, strlen(member->name) + 1);
        slash = strrchr(above, '/');
        if (!slash)
            continue;
        *slash = '\0';
        r = add_folders(zip, &folders, above, member, error);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < folders.map.count; i++)
        if (em_map_get(&zip->by_name, folders.map.entries[i].key))
            return em_fail(error, EM_BAD_ZIP, zip->path, "has a member that is a file and a directory: %s",
                           folders.map.entries[i].key);
    return EM_OK;
}

/* buffer: room for the longest local header with its name. */
static int check_local(struct em_zip *zip, struct em_zip_member *member, uint8_t *buffer, struct em_error *error)
{
    struct em_reader reader = em_reader_fd(zip->fd, zip->size, zip->path);
    size_t name_size = strlen(member->name);
    struct em_bytes header = { buffer, LOCAL_SIZE + name_size };
    bool later;
    int r;

    if (zip->size - member->header < LOCAL_SIZE + name_size)
        return em_zip_bad(zip, error, member->header, "has a member whose local header leads out of the file");
    r = em_read_at(&reader, buffer, header.size, member->header, error);
    if (r < 0)
        return r;
    if (em_zip_get32(header, 0) != LOCAL_MAGIC)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, member->header,
                          "has no local header where the directory has one for %s", member->name);
    if (em_zip_get16(header, 26) != name_size || memcmp(header.data + LOCAL_SIZE, member->name, name_size) != 0)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, member->header,
                          "has a member with another name in its local header than in the directory: %s", member->name);
    if (em_zip_get16(header, 8) != member->method ||
        (em_zip_get16(header, 6) ^ member->flags) & (EM_ZIP_ENCRYPTED | EM_ZIP_DESCRIPTOR))
        return em_fail_at(error, EM_BAD_ZIP, zip->path, member->header,
                          "has a member whose local header contradicts the directory: %s", member->name);
    member->data = member->header + LOCAL_SIZE + name_size + em_zip_get16(header, 28);
    member->has_extras = member->has_extras || (em_zip_get16(header, 28) > 0 && member->size < 0xffffffff);
    zip->odd.extras += member->has_extras;
    /* With a descriptor the sizes follow the data, and the local ones may be zero; in a ZIP64 local header they are all ones. */
    later = member->flags & EM_ZIP_DESCRIPTOR;
    member->local_differs = (em_zip_get32(header, 14) != member->crc && !(later && em_zip_get32(header, 14) == 0)) ||
                            (em_zip_get32(header, 18) != (uint32_t)member->packed && em_zip_get32(header, 18) != 0xffffffff &&
                             !(later && em_zip_get32(header, 18) == 0)) ||
                            (em_zip_get32(header, 22) != (uint32_t)member->size && em_zip_get32(header, 22) != 0xffffffff &&
                             !(later && em_zip_get32(header, 22) == 0));
    return EM_OK;
}

static int by_place(const void *left, const void *right)
{
    const struct em_zip_member *a = *(struct em_zip_member *const *)left, *b = *(struct em_zip_member *const *)right;

    return a->header < b->header ? -1 : a->header > b->header;
}

/* No byte belongs to two members: overlapping ones are how a small file unpacks to petabytes. And none stands before the first. */
static int check_places(struct em_zip *zip, struct em_arena *scratch, uint64_t directory, struct em_error *error)
{
    struct em_zip_member **sorted = em_arena_array(scratch, zip->members.count + 1, sizeof *sorted);
    uint64_t end = 0, descriptor = 0;
    size_t count = 0;

    if (!sorted)
        return EM_NO_MEMORY;
    em_vec_each (struct em_zip_member, member, &zip->members)
        sorted[count++] = member;
    qsort(sorted, count, sizeof *sorted, by_place);
    if ((count ? sorted[0]->header : directory) != 0)
        return em_zip_bad(zip, error, 0, "has bytes before its first member");
    for (size_t i = 0; i < count; i++) {
        if (sorted[i]->header > end + descriptor)
            zip->odd.hidden += sorted[i]->header - end;
        if (sorted[i]->header < end)
            return em_fail_at(error, EM_BAD_ZIP, zip->path, sorted[i]->header, "has members that overlap: %s", sorted[i]->name);
        if (sorted[i]->data > directory || sorted[i]->packed > directory - sorted[i]->data)
            return em_fail_at(error, EM_BAD_ZIP, zip->path, sorted[i]->header,
                              "has a member that leads into the central directory: %s", sorted[i]->name);
        end = sorted[i]->data + sorted[i]->packed;
        descriptor = sorted[i]->flags & EM_ZIP_DESCRIPTOR ? LONGEST_DESCRIPTOR : 0;
    }
    if (directory > end + descriptor)
        zip->odd.hidden += directory - end;
    return EM_OK;
}

static int read_archive(struct em_zip *zip, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    em_cleanup_free uint8_t *buffer = malloc(LOCAL_SIZE + 0x10000);
    struct stat st;
    uint64_t directory;
    int r;

    if (!scratch || !buffer)
        return EM_NO_MEMORY;
    if (fstat(zip->fd, &st) < 0)
        return em_fail_errno(error, zip->path, "cannot be examined");
    if (!S_ISREG(st.st_mode))
        return em_fail(error, EM_UNSUPPORTED, zip->path, "is no regular file");
    zip->size = (uint64_t)st.st_size;
    zip->stamp = em_stamp_of(&st);
    zip->is_fresh = em_stamp_is_fresh(&zip->stamp);
    r = em_zip_read_directory(zip, scratch, &directory, error);
    if (r == EM_OK)
        r = check_names(zip, scratch, error);
    em_vec_each (struct em_zip_member, member, &zip->members)
        if (r == EM_OK)
            r = check_local(zip, member, buffer, error);
    return r < 0 ? r : check_places(zip, scratch, directory, error);
}

int em_zip_open(struct em_zip **result, const char *path, struct em_error *error)
{
    em_cleanup_zip struct em_zip *zip = calloc(1, sizeof *zip);
    int r;

    *result = NULL;
    if (!zip)
        return EM_NO_MEMORY;
    zip->fd = zip->windows = -1;
    pthread_mutex_init(&zip->kept_lock, NULL);
    pthread_mutex_init(&zip->lock, NULL);
    pthread_cond_init(&zip->idle, NULL);
    zip->arena = em_arena_new();
    zip->path = zip->arena ? em_arena_strdup(zip->arena, path) : NULL;
    if (!zip->path)
        return EM_NO_MEMORY;
    zip->fd = em_open_at(AT_FDCWD, path, O_RDONLY, 0, error);
    if (zip->fd < 0)
        return zip->fd;
    r = read_archive(zip, error);
    if (r < 0)
        return r;
    *result = zip;
    zip = NULL;
    return EM_OK;
}

void em_zip_close(struct em_zip *zip)
{
    if (!zip)
        return;
    em_zip_forget(zip);
    em_closep(&zip->fd);
    em_closep(&zip->windows);
    pthread_cond_destroy(&zip->idle);
    pthread_mutex_destroy(&zip->lock);
    pthread_mutex_destroy(&zip->kept_lock);
    em_arena_free(zip->arena);
    free(zip);
}

const char *em_zip_path(const struct em_zip *zip)
{
    return zip->path;
}

int em_zip_fd(const struct em_zip *zip)
{
    return zip->fd;
}

uint64_t em_zip_size(const struct em_zip *zip)
{
    return zip->size;
}

struct em_zip_members *em_zip_members(struct em_zip *zip)
{
    return &zip->members;
}

const struct em_zip_oddities *em_zip_oddities(const struct em_zip *zip)
{
    return &zip->odd;
}

struct em_zip_member *em_zip_find(struct em_zip *zip, const char *name)
{
    return em_map_get(&zip->by_name, name);
}

int64_t em_zip_dos_seconds(uint16_t dos_date, uint16_t dos_time)
{
    struct tm tm = { .tm_year = (dos_date >> 9) + 80,
                     .tm_mon = ((dos_date >> 5) & 15) - 1,
                     .tm_mday = dos_date & 31,
                     .tm_hour = dos_time >> 11,
                     .tm_min = (dos_time >> 5) & 63,
                     .tm_sec = (dos_time & 31) * 2 };

    return tm.tm_mon < 0 || tm.tm_mday == 0 ? 0 : (int64_t)timegm(&tm);
}
