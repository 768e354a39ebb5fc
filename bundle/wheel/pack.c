#include "bundle/wheel/pack.h"

#include <string.h>

#define ONES32 0xffffffffu
#define PIECE ((size_t)256 << 10)

static void put(struct em_text *text, uint64_t value, unsigned bytes)
{
    uint8_t data[8];

    for (unsigned i = 0; i < bytes; i++)
        data[i] = (uint8_t)(value >> 8 * i);
    em_text_add_bytes(text, data, bytes);
}

static uint64_t fit32(uint64_t value)
{
    return value >= ONES32 ? ONES32 : value;
}

static bool is_ascii(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name >= 0x80)
            return false;
    return true;
}

/* What local and central header have in common, from "version needed" to the sizes (APPNOTE 4.3.7, 4.3.12). */
static void put_common(struct em_text *text, const struct em_pack_member *member, bool zip64)
{
    put(text, zip64 ? 45 : 20, 2);
    put(text, is_ascii(member->name) ? 0 : 0x800, 2);
    put(text, member->method, 2);
    put(text, member->dos_time, 2);
    put(text, member->dos_date, 2);
    put(text, member->crc, 4);
}

static bool is_large(const struct em_pack_member *member)
{
    return member->size >= ONES32 || member->packed >= ONES32;
}

static int write_text(struct em_pack *pack, const struct em_text *text, struct em_error *error)
{
    int r;

    if (text->failed)
        return EM_NO_MEMORY;
    r = em_pwrite_all(pack->fd, text->data, text->size, pack->at, pack->label, error);
    pack->at += text->size;
    return r;
}

static int begin(struct em_pack *pack, const struct em_pack_member *member, struct em_error *error)
{
    em_cleanup_text struct em_text text = { 0 };
    struct em_pack_member added = *member;
    bool large = is_large(member);

    added.header = pack->at;
    if (em_vec_push(pack->arena, &pack->members, added) < 0)
        return EM_NO_MEMORY;
    put(&text, 0x04034b50, 4);
    put_common(&text, member, large);
    /* A local ZIP64 field has both sizes, so both are all ones. */
    put(&text, large ? ONES32 : member->packed, 4);
    put(&text, large ? ONES32 : member->size, 4);
    put(&text, strlen(member->name), 2);
    put(&text, large ? 20 : 0, 2);
    em_text_add(&text, member->name);
    if (large) {
        put(&text, 1, 2);
        put(&text, 16, 2);
        put(&text, member->size, 8);
        put(&text, member->packed, 8);
    }
    return write_text(pack, &text, error);
}

int em_pack_add(struct em_pack *pack, const struct em_pack_member *member, struct em_reader *stream, struct em_error *error)
{
    em_cleanup_free uint8_t *piece = malloc(PIECE);
    int r = begin(pack, member, error);

    if (!piece)
        return EM_NO_MEMORY;
    for (uint64_t at = 0; r == EM_OK && at < member->packed;) {
        size_t size = member->packed - at < PIECE ? (size_t)(member->packed - at) : PIECE;

        r = em_read_at(stream, piece, size, at, error);
        if (r == EM_OK)
            r = em_pwrite_all(pack->fd, piece, size, pack->at, pack->label, error);
        pack->at += size;
        at += size;
    }
    return r;
}

int em_pack_copy(struct em_pack *pack, const struct em_pack_member *member, int fd, uint64_t at, struct em_error *error)
{
    struct em_reader rest;
    em_cleanup_free uint8_t *piece = NULL;
    uint64_t left = member->packed;
    int r = begin(pack, member, error);

    while (r == EM_OK && left > PIECE) {
        off_t from = (off_t)at, to = (off_t)pack->at;
        ssize_t done = copy_file_range(fd, &from, pack->fd, &to, left < (1u << 30) ? (size_t)left : 1u << 30, 0);

        /* Another file system, or a kernel without it: read and write. A full disk shows there too. */
        if (done <= 0)
            break;
        at += (uint64_t)done;
        pack->at += (uint64_t)done;
        left -= (uint64_t)done;
    }
    rest = em_reader_fd(fd, at + left, pack->label);
    piece = r == EM_OK ? malloc(PIECE) : NULL;
    if (r == EM_OK && !piece)
        return EM_NO_MEMORY;
    while (r == EM_OK && left > 0) {
        size_t size = left < PIECE ? (size_t)left : PIECE;

        r = em_read_at(&rest, piece, size, at, error);
        if (r == EM_OK)
            r = em_pwrite_all(pack->fd, piece, size, pack->at, pack->label, error);
        at += size;
        pack->at += size;
        left -= size;
    }
    return r;
}

static void put_central(struct em_text *text, const struct em_pack_member *member)
{
    unsigned fields = (member->size >= ONES32) + (member->packed >= ONES32) + (member->header >= ONES32);

    put(text, 0x02014b50, 4);
    put(text, 3 << 8 | (fields ? 45 : 20), 2);
    put_common(text, member, fields > 0);
    put(text, fit32(member->packed), 4);
    put(text, fit32(member->size), 4);
    put(text, strlen(member->name), 2);
    put(text, fields ? 4 + 8 * fields : 0, 2);
    put(text, 0, 6); /* comment, disk, internal attributes */
    put(text, (uint64_t)member->mode << 16, 4);
    put(text, fit32(member->header), 4);
    em_text_add(text, member->name);
    if (fields) {
        put(text, 1, 2);
        put(text, 8 * fields, 2);
    }
    if (member->size >= ONES32)
        put(text, member->size, 8);
    if (member->packed >= ONES32)
        put(text, member->packed, 8);
    if (member->header >= ONES32)
        put(text, member->header, 8);
}

int em_pack_finish(struct em_pack *pack, struct em_error *error)
{
    em_cleanup_text struct em_text text = { 0 };
    uint64_t start = pack->at, size, count = pack->members.count;

    em_vec_each (const struct em_pack_member, member, &pack->members)
        put_central(&text, member);
    size = text.size;
    if (count > 0xfffe || start >= ONES32 || size >= ONES32) {
        put(&text, 0x06064b50, 4);
        put(&text, 44, 8);
        put(&text, 3 << 8 | 45, 2);
        put(&text, 45, 2);
        put(&text, 0, 8); /* disks */
        put(&text, count, 8);
        put(&text, count, 8);
        put(&text, size, 8);
        put(&text, start, 8);
        put(&text, 0x07064b50, 4);
        put(&text, 0, 4);
        put(&text, start + size, 8);
        put(&text, 1, 4);
    }
    put(&text, 0x06054b50, 4);
    put(&text, 0, 4);
    put(&text, count > 0xfffe ? 0xffff : count, 2);
    put(&text, count > 0xfffe ? 0xffff : count, 2);
    put(&text, fit32(size), 4);
    put(&text, fit32(start), 4);
    put(&text, 0, 2);
    return write_text(pack, &text, error);
}
