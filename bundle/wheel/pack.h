/* pack.h: a zip archive as every validator wants it, written forward.
 *
 *     struct em_pack pack = { .fd = fd, .arena = arena, .label = path };
 *     r = em_pack_add(&pack, &member, &stream, error)         data that is packed already, from a reader
 *     r = em_pack_copy(&pack, &member, zip_fd, at, error)     the same from a range of a file: copy_file_range
 *     r = em_pack_finish(&pack, error)                        the central directory; the file is whole then
 *
 * Sizes and CRCs are known before a member is written: no data descriptors. ZIP64 fields where a number does not fit and nowhere
 * else (APPNOTE 4.3.9.2, 4.5.3), no other extra fields, no comments, made by Unix with the type in the mode. So the bytes depend
 * on what goes in, and on nothing else: not on a library's version (libzip 1.7 and 1.11 differ in ZIP64 end records and in which
 * extra fields survive), not on the clock, not on the file system.
 */
#ifndef EM_BUNDLE_WHEEL_PACK_H
#define EM_BUNDLE_WHEEL_PACK_H

#include "base/base.h"

struct em_pack_member {
    const char *name;
    uint16_t method, dos_time, dos_date;
    uint32_t mode; /* with S_IFREG */
    uint32_t crc;
    uint64_t size, packed;
    uint64_t header; /* set by em_pack_add */
};

struct em_pack {
    int fd;
    struct em_arena *arena;
    const char *label;
    uint64_t at;
    struct {
        EM_VEC(struct em_pack_member);
    } members;
};

int em_pack_add(struct em_pack *pack, const struct em_pack_member *member, struct em_reader *stream, struct em_error *error);
int em_pack_copy(struct em_pack *pack, const struct em_pack_member *member, int fd, uint64_t at, struct em_error *error);
int em_pack_finish(struct em_pack *pack, struct em_error *error);

#endif
