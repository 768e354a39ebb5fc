#include "bundle/tree/zip_room.h"

#include <string.h>

/* APPNOTE 4.3.12, 4.3.14 to 4.3.16. */
#define CENTRAL_MAGIC 0x02014b50u
#define END_MAGIC 0x06054b50u
#define END64_MAGIC 0x06064b50u
#define LOCATOR_MAGIC 0x07064b50u
#define CENTRAL_SIZE 46u
#define END_SIZE 22u
#define END64_SIZE 56u
#define LOCATOR_SIZE 20u
#define ZIP64_EXTRA 0x0001u

#define HOST_UNIX 3

/* Where the central directory is, by the end records. */
struct end {
    uint64_t count, offset, size;
    uint64_t at; /* of the first end record: the directory ends here */
};

int em_zip_bad(const struct em_zip *zip, struct em_error *error, uint64_t at, const char *sentence)
{
    return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "%s", sentence);
}

static int read_piece(struct em_zip *zip, struct em_arena *arena, uint64_t at, uint64_t size, struct em_bytes *bytes,
                      struct em_error *error)
{
    struct em_reader reader = em_reader_fd(zip->fd, zip->size, zip->path);

    return em_read_bytes(&reader, arena, at, size, bytes, error);
}

/* ---- the end records ---- */

/* APPNOTE 4.3.14: a field of the old record that is not all ones counts, and must say the same. */
static bool agrees(uint64_t old, uint64_t ones, uint64_t value)
{
    return old == ones || old == value;
}

static int read_end64(struct em_zip *zip, struct em_arena *scratch, uint64_t end_at, struct em_bytes old, struct end *end,
                      struct em_error *error)
{
    struct em_bytes locator, record;
    uint64_t at;
    int r = read_piece(zip, scratch, end_at - LOCATOR_SIZE, LOCATOR_SIZE, &locator, error);

    if (r < 0)
        return r;
    at = em_zip_get64(locator, 8);
    if (em_zip_get32(locator, 4) != 0 || em_zip_get32(locator, 16) != 1)
        return em_zip_bad(zip, error, end_at - LOCATOR_SIZE, "its ZIP64 locator speaks of several disks");
    /* No extensible data: nothing stands between the record and the locator. */
    if (at > end_at - LOCATOR_SIZE || end_at - LOCATOR_SIZE - at != END64_SIZE)
        return em_zip_bad(zip, error, end_at - LOCATOR_SIZE, "its ZIP64 locator does not point at an end record before it");
    r = read_piece(zip, scratch, at, END64_SIZE, &record, error);
    if (r < 0)
        return r;
    if (em_zip_get32(record, 0) != END64_MAGIC || em_zip_get64(record, 4) != END64_SIZE - 12)
        return em_zip_bad(zip, error, at, "has no ZIP64 end record where the locator points");
    end->count = em_zip_get64(record, 32);
    end->size = em_zip_get64(record, 40);
    end->offset = em_zip_get64(record, 48);
    end->at = at;
    if (em_zip_get32(record, 16) != 0 || em_zip_get32(record, 20) != 0 || em_zip_get64(record, 24) != end->count)
        return em_zip_bad(zip, error, at, "its ZIP64 end record speaks of several disks");
    if (!agrees(em_zip_get16(old, 10), 0xffff, end->count) || !agrees(em_zip_get32(old, 12), 0xffffffff, end->size) ||
        !agrees(em_zip_get32(old, 16), 0xffffffff, end->offset))
        return em_zip_bad(zip, error, at, "its two end records contradict each other");
    return EM_OK;
}

/* The record is the last thing in the file, but for a comment whose length it tells. */
static int find_end(struct em_zip *zip, struct em_arena *scratch, struct em_bytes *record, uint64_t *at, struct em_error *error)
{
    uint64_t most = zip->size < END_SIZE + 0xffff ? zip->size : END_SIZE + 0xffff, start = zip->size - most;
    struct em_bytes tail;
    int r;

    if (zip->size < END_SIZE)
        return em_zip_bad(zip, error, 0, "is no zip archive: too short for an end record");
    r = read_piece(zip, scratch, start, most, &tail, error);
    if (r < 0)
        return r;
    for (uint64_t i = most - END_SIZE + 1; i-- > 0;) {
        if (em_zip_get32(tail, i) != END_MAGIC)
            continue;
        *at = start + i;
        em_bytes_slice(tail, i, END_SIZE, record);
        zip->odd.comment = em_zip_get16(tail, i + 20) > 0;
        if (i + END_SIZE + em_zip_get16(tail, i + 20) == most)
            return EM_OK;
        /* An end record in a comment is one trick, bytes behind the comment another. */
        return em_zip_bad(zip, error, *at, "has bytes behind its end record that its comment does not account for");
    }
    return em_zip_bad(zip, error, start, "is no zip archive, or was cut off: there is no end record");
}

static int read_end(struct em_zip *zip, struct em_arena *scratch, struct end *end, struct em_error *error)
{
    struct em_bytes record, locator;
    uint64_t at = 0;
    int r = find_end(zip, scratch, &record, &at, error);

    if (r < 0)
        return r;
    if (em_zip_get16(record, 4) != 0 || em_zip_get16(record, 6) != 0 || em_zip_get16(record, 8) != em_zip_get16(record, 10))
        return em_zip_bad(zip, error, at, "its end record speaks of several disks");
    *end = (struct end){
        .count = em_zip_get16(record, 10), .size = em_zip_get32(record, 12), .offset = em_zip_get32(record, 16), .at = at
    };
    if (at >= LOCATOR_SIZE + END64_SIZE) {
        r = read_piece(zip, scratch, at - LOCATOR_SIZE, LOCATOR_SIZE, &locator, error);
        if (r < 0)
            return r;
        if (em_zip_get32(locator, 0) == LOCATOR_MAGIC)
            r = read_end64(zip, scratch, at, record, end, error);
        if (r < 0)
            return r;
    }
    if (end->size > EM_MAX_ZIP_DIRECTORY || end->count > EM_MAX_ZIP_MEMBERS)
        return em_fail_at(error, EM_LIMIT, zip->path, at,
                          "promises %llu members in a directory of %llu bytes, which is too much",
                          (unsigned long long)end->count, (unsigned long long)end->size);
    if (end->offset > end->at || end->at - end->offset != end->size)
        return em_zip_bad(zip, error, at, "its end record lies about the place or size of the central directory");
    return EM_OK;
}

/* ---- names ---- */

/* UTF-8, and nothing that a terminal or a path would stumble over. */
static bool is_clean_text(const uint8_t *at, size_t size)
{
    for (size_t i = 0, step; i < size; i += step) {
        step = em_utf8_size(at + i, size - i);
        if (step == 0 || at[i] < 0x20 || at[i] == 0x7f || at[i] == '\\')
            return false;
    }
    return true;
}

static int take_name(struct em_zip *zip, struct em_bytes name, uint64_t at, struct em_zip_member *member,
                     struct em_error *error)
{
    char *path;

    if (name.size == 0)
        return em_zip_bad(zip, error, at, "has a member without a name");
    if (name.size > EM_MAX_ZIP_NAME)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has a member whose name has %zu bytes, more than a path can have",
                          name.size);
    if (!is_clean_text(name.data, name.size))
        return em_zip_bad(zip, error, at,
                          "has a member whose name holds NUL, a control character or a backslash, or is not UTF-8");
    path = em_arena_strndup(zip->arena, (const char *)name.data, name.size);
    if (!path)
        return EM_NO_MEMORY;
    member->name = path;
    member->directory = path[name.size - 1] == '/';
    if (member->directory) {
        path = em_arena_strndup(zip->arena, path, name.size - 1);
        if (!path)
            return EM_NO_MEMORY;
    }
    if (!em_path_is_contained(path))
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has a member that does not stay where it is unpacked: %s",
                          member->name);
    return EM_OK;
}

/* ---- the central directory ---- */

/* The ZIP64 extra has, in this order, those of size, packed size and offset that are all ones in the header (APPNOTE 4.5.3). */
static int take_zip64(struct em_zip *zip, struct em_bytes extra, uint64_t at, struct em_zip_member *member,
                      struct em_error *error)
{
    uint64_t *fields[] = { member->size == 0xffffffff ? &member->size : NULL,
                           member->packed == 0xffffffff ? &member->packed : NULL,
                           member->header == 0xffffffff ? &member->header : NULL };
    bool wanted = fields[0] || fields[1] || fields[2], found = false;

    for (uint64_t i = 0; i < extra.size;) {
        uint16_t id, size;
        struct em_bytes body;
        uint64_t used = 0;

        if (!em_bytes_u16(extra, i, false, &id) || !em_bytes_u16(extra, i + 2, false, &size) ||
            !em_bytes_slice(extra, i + 4, size, &body))
            return em_zip_bad(zip, error, at, "has a member whose extra field is cut off");
        i += 4 + (uint64_t)size;
        member->has_extras = member->has_extras || id != ZIP64_EXTRA || !wanted;
        if (id != ZIP64_EXTRA)
            continue;
        if (found)
            return em_zip_bad(zip, error, at, "has a member with two ZIP64 fields");
        found = true;
        for (size_t f = 0; f < 3; f++) {
            if (!fields[f])
                continue;
            if (!em_bytes_u64(body, used, false, fields[f]))
                return em_zip_bad(zip, error, at, "has a member whose ZIP64 field is too short");
            used += 8;
        }
    }
    return wanted && !found ? em_zip_bad(zip, error, at, "has a member that promises a ZIP64 field and has none") : EM_OK;
}

static int check_kind(struct em_zip *zip, const struct em_zip_member *member, uint64_t at, struct em_error *error)
{
    uint32_t type = member->mode & S_IFMT;

    if (member->flags & (EM_ZIP_ENCRYPTED | EM_ZIP_STRONG | EM_ZIP_MASKED))
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has an encrypted member: %s", member->name);
    if (type != 0 && type != S_IFREG && type != S_IFDIR)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has a member that is %s: %s",
                          S_ISLNK(type) ? "a symbolic link" : "neither a file nor a directory", member->name);
    if (type != 0 && (type == S_IFDIR) != member->directory)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at,
                          "has a member that is a directory by its mode or by its name alone: %s", member->name);
    if (member->method != EM_ZIP_STORED && member->method != EM_ZIP_DEFLATED)
        return em_fail_at(error, EM_UNSUPPORTED, zip->path, at,
                          "has a member compressed by method %u, which a wheel must not have: %s", member->method,
                          member->name);
    if (member->directory && member->size != 0)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has a directory with content: %s", member->name);
    if (member->method == EM_ZIP_STORED && member->size != member->packed)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has a stored member of two sizes: %s", member->name);
    if (member->size > EM_ZIP_RATIO_FROM && member->size / EM_MAX_ZIP_RATIO > member->packed)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, at, "has a member of %llu bytes packed into %llu, which is a bomb: %s",
                          (unsigned long long)member->size, (unsigned long long)member->packed, member->name);
    return EM_OK;
}

static int take_member(struct em_zip *zip, struct em_bytes directory, uint64_t *at, uint64_t base, struct em_error *error)
{
    struct em_zip_member member = { 0 };
    struct em_bytes header, name, extra;
    uint16_t name_size, extra_size, comment_size;
    uint64_t place = base + *at;
    int r;

    if (!em_bytes_slice(directory, *at, CENTRAL_SIZE, &header) || em_zip_get32(header, 0) != CENTRAL_MAGIC)
        return em_zip_bad(zip, error, place, "has fewer members than its end record promises");
    name_size = em_zip_get16(header, 28);
    extra_size = em_zip_get16(header, 30);
    comment_size = em_zip_get16(header, 32);
    if (!em_bytes_slice(directory, *at + CENTRAL_SIZE, name_size, &name) ||
        !em_bytes_slice(directory, *at + CENTRAL_SIZE + name_size, extra_size, &extra) ||
        (uint64_t)CENTRAL_SIZE + name_size + extra_size + comment_size > directory.size - *at)
        return em_zip_bad(zip, error, place, "has a member whose header leads out of the central directory");
    *at += (uint64_t)CENTRAL_SIZE + name_size + extra_size + comment_size;
    member.flags = em_zip_get16(header, 8);
    member.method = em_zip_get16(header, 10);
    member.dos_time = em_zip_get16(header, 12);
    member.dos_date = em_zip_get16(header, 14);
    member.crc = em_zip_get32(header, 16);
    member.packed = em_zip_get32(header, 20);
    member.size = em_zip_get32(header, 24);
    member.header = em_zip_get32(header, 42);
    if (em_zip_get16(header, 4) >> 8 == HOST_UNIX)
        member.mode = em_zip_get32(header, 38) >> 16;
    if (em_zip_get16(header, 34) != 0 && em_zip_get16(header, 34) != 0xffff)
        return em_zip_bad(zip, error, place, "has a member on another disk");
    r = take_name(zip, name, place, &member, error);
    if (r == EM_OK)
        r = take_zip64(zip, extra, place, &member, error);
    if (r == EM_OK)
        r = check_kind(zip, &member, place, error);
    if (r == EM_OK && (member.header >= base || member.packed > base - member.header))
        r = em_fail_at(error, EM_BAD_ZIP, zip->path, place,
                       "has a member that would lie in or behind the central directory: %s", member.name);
    zip->odd.comments += comment_size > 0;
    zip->odd.directories += member.directory;
    zip->odd.descriptors += (member.flags & EM_ZIP_DESCRIPTOR) != 0;
    zip->odd.modes += !member.directory && member.mode != (S_IFREG | 0644) && member.mode != (S_IFREG | 0755);
    return r < 0 ? r : em_vec_push(zip->arena, &zip->members, member);
}

static int read_directory(struct em_zip *zip, struct em_arena *scratch, const struct end *end, struct em_error *error)
{
    struct em_bytes directory;
    uint64_t at = 0, size = 0, packed = 0;
    int r = read_piece(zip, scratch, end->offset, end->size, &directory, error);

    if (r == EM_OK && end->count <= end->size / CENTRAL_SIZE) {
        zip->members.items = em_arena_array(zip->arena, (size_t)end->count + 1, sizeof *zip->members.items);
        zip->members.capacity = zip->members.items ? (size_t)end->count + 1 : 0;
    }
    for (uint64_t i = 0; r == EM_OK && i < end->count; i++)
        r = take_member(zip, directory, &at, end->offset, error);
    if (r < 0)
        return r;
    if (at != end->size)
        return em_zip_bad(zip, error, end->offset + at, "has more in its central directory than its end record promises");
    em_vec_each (const struct em_zip_member, member, &zip->members) {
        packed += member->packed;
        if (__builtin_add_overflow(size, member->size, &size))
            return em_zip_bad(zip, error, end->offset, "has members of more bytes than there can be");
    }
    if (size > EM_ZIP_RATIO_FROM && size / EM_MAX_ZIP_RATIO > packed)
        return em_fail_at(error, EM_BAD_ZIP, zip->path, end->offset, "unpacks %llu bytes into %llu, which is a bomb",
                          (unsigned long long)packed, (unsigned long long)size);
    return EM_OK;
}

int em_zip_read_directory(struct em_zip *zip, struct em_arena *scratch, uint64_t *at, struct em_error *error)
{
    struct end end = { 0 };
    int r = read_end(zip, scratch, &end, error);

    *at = end.offset;
    return r < 0 ? r : read_directory(zip, scratch, &end, error);
}
