/* zip.h: a zip archive that cannot be trusted, read in place.
 *
 *     r = em_zip_open(&zip, "x.whl", error)            every rule below is checked before a member can be asked for
 *     em_zip_close(zip)
 *     member = em_zip_find(zip, name); zip->members    in the order of the central directory
 *     r = em_zip_read(zip, member, arena, limit, &bytes, error)      a small member whole, size and CRC checked
 *     r = em_zip_stream(zip, member, sink, context, error)           any member in pieces, size and CRC checked at the end
 *     r = em_zip_reader(zip, member, &reader, error)                 bytes at a place: what a tree hands out
 *
 * What is read at a place is read where it lies if it is stored. What is deflated is inflated from the nearest point at which an
 * inflater can be entered; such points are learned by whatever goes through the member first, be it a check of all of it or a
 * question for its end, one in a megabyte, and more where something is asked. A point needs the 32 KiB before it, which lie in an
 * unlinked temporary file (in TMPDIR; a thirtieth of what was inflated), and with them the chunks that were asked for: memory stays flat in the size of the
 * archive, and what is asked again is not inflated again.
 *
 * Refused when it is opened, EM_BAD_ZIP with the offset (APPNOTE 6.3.10, and what PyPI's and uv's validators refuse): no end
 * record, bytes before the first member or behind the end record, several disks, counts, sizes and ZIP64 numbers that lie, members
 * that overlap, a local header of another name or method, names that are empty, absolute, climb, hold NUL, control characters or a
 * backslash or are not UTF-8, or are longer than a path can be, the same name twice or as file and directory, links and devices, encryption, a ratio above
 * EM_MAX_ZIP_RATIO. Methods other than stored and deflated are EM_UNSUPPORTED.
 * Not refused here, since only the whole data shows it or only a rewriter minds: a CRC or a size that the data does not have (when
 * it is read), a local header whose size or CRC differs from the central directory (member->local_differs).
 *
 * Threads: an open archive may be read by several at once.
 */
#ifndef EM_BUNDLE_TREE_ZIP_H
#define EM_BUNDLE_TREE_ZIP_H

#include "base/base.h"
#include "bundle/tree/inflate.h"

#define EM_ZIP_STORED 0
#define EM_ZIP_DEFLATED 8

/* What going through a deflated member once has taught. Only members of more than a chunk have one. */
#define EM_ZIP_CHUNK ((uint64_t)256 << 10)
struct em_zip_chunk_crcs {
    EM_VEC(uint32_t);
};
struct em_zip_index {
    struct em_blocks blocks;
    struct em_zip_chunk_crcs crcs; /* of each EM_ZIP_CHUNK bytes, the last one shorter */
};

struct em_zip_member {
    const char *name;      /* as the archive has it; a directory's ends in "/" */
    uint64_t size, packed; /* bytes once inflated, bytes in the archive */
    uint64_t header, data; /* offsets of the local header and of what follows it */
    uint32_t crc;
    uint16_t method, flags; /* flags: general purpose bits */
    uint16_t dos_time, dos_date;
    uint32_t mode; /* st_mode where it was made on Unix, type bits included if they were given; else 0 */
    bool directory;
    bool has_extras;                /* in either header, ZIP64 fields that are needed aside */
    bool local_differs;             /* the local header has another size or CRC */
    struct em_zip_learned *learned; /* NULL: nothing so far */
};

/* What an archive may have and a validator minds (PyPI's, uv's): whoever writes it anew leaves it out, and says so. */
struct em_zip_oddities {
    size_t directories, descriptors, extras, comments; /* members that are, or have, such */
    size_t modes;                                      /* files whose mode is not that of a file with rights 0644 or 0755 */
    uint64_t hidden;                                   /* bytes between members, which belong to none */
    bool comment;                                      /* of the archive */
};

struct em_zip;

struct em_zip_members {
    EM_VEC(struct em_zip_member);
};

int em_zip_open(struct em_zip **zip, const char *path, struct em_error *error);
void em_zip_close(struct em_zip *zip); /* NULL is fine */

const char *em_zip_path(const struct em_zip *zip);
int em_zip_fd(const struct em_zip *zip);
uint64_t em_zip_size(const struct em_zip *zip);
struct em_zip_members *em_zip_members(struct em_zip *zip);
const struct em_zip_oddities *em_zip_oddities(const struct em_zip *zip);
struct em_zip_member *em_zip_find(struct em_zip *zip, const char *name);

int em_zip_read(struct em_zip *zip, struct em_zip_member *member, struct em_arena *arena, uint64_t limit,
                struct em_bytes *bytes, struct em_error *error);

/* sink returns 0 or a negative enum em_err, which ends the stream and is handed on. */
typedef int em_zip_sink(void *context, const uint8_t *bytes, size_t size);
int em_zip_stream(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context, struct em_error *error);
/* The same, with the digest of all of it. sink NULL: the digest alone, which is known where a member of more than a chunk was hashed
 * before. */
int em_zip_hash(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context, struct em_sha256 *sha256,
                struct em_error *error);

/* What is known of a member, which is gone through if it is not known yet; *index NULL: stored, or small. As long as the archive. */
int em_zip_index(struct em_zip *zip, struct em_zip_member *member, const struct em_zip_index **index, struct em_error *error);
/* A stream that shall become a member of another archive; member says how long it and its file are. It is gone through to its end,
 * and member gets the CRC. What is learned is zip's, as if it had that member.
 *
 * If it begins as a member of zip does, by so many bytes of the stream and of the file, what whole blocks of these bytes say is known
 * already, and it is gone through from there on: em_zip_inherit gives the offset in the file, 0 if nothing is known. piece is told what
 * lies behind it. */
typedef int em_zip_piece(void *context, uint64_t at, const uint8_t *bytes, size_t size);
int em_zip_inherit(struct em_zip *zip, struct em_zip_member *member, const struct em_zip_member *of, uint64_t packed,
                   uint64_t plain, uint64_t *from);
int em_zip_learn(struct em_zip *zip, struct em_zip_member *member, struct em_reader *packed, em_zip_piece *piece, void *context,
                 struct em_sha256 *sha256, struct em_error *error);
/* The CRCs of its chunks; NULL: it has but one. */
const struct em_zip_chunk_crcs *em_zip_learned_crcs(const struct em_zip_member *member);
/* member has the same packed bytes as the one that taught this; the archive that it was learned by stays open longer. */
void em_zip_same(struct em_zip_member *member, struct em_zip_learned *learned);

/* ---- zip_memory.c: what was learned outlives the run ----
 *
 * Of members that were gone through to their ends the cache (base/cache.h, under "known/") remembers where their blocks begin, the CRCs
 * of their chunks, their digests and what these were between chunks, and the points before what was asked for; and of the archive whether somebody found it sound in
 * every byte: some megabytes for one of gigabytes. The next who opens the same file has all that without going through it again. The
 * same is who has the same device, inode, size, mtime and ctime, none of them
 * younger than the longest step of a file system's clock when it was gone through: nobody can write to a file and leave its ctime as
 * it was. What is in the cache is checked as any file is, not believed where the directory is not the user's alone, and nothing is
 * ever missing where it is not there. Archives below 4 MiB are not worth it. */
bool em_zip_recall(struct em_zip *zip);         /* true: it is known, and was sound */
void em_zip_vouch(struct em_zip *zip);          /* the caller has found that it is sound */
void em_zip_remember(const struct em_zip *zip); /* does nothing where there is no news */

/* The reader is valid as long as the archive is open; nothing needs to be closed. */
struct em_zip_place {
    struct em_zip *zip;
    struct em_zip_member *member;
};
struct em_reader em_zip_reader(struct em_zip_place *place);
struct em_reader em_zip_packed_reader(const struct em_zip_place *place); /* the member's bytes as they lie in the archive */

/* Seconds since the epoch of a DOS date and time, taken as UTC; 0 for a date that is none. */
int64_t em_zip_dos_seconds(uint16_t dos_date, uint16_t dos_time);

static inline struct em_zip *em_zip_steal(struct em_zip **zip)
{
    struct em_zip *stolen = *zip;

    *zip = NULL;
    return stolen;
}
static inline void em_zip_closep(struct em_zip **zip)
{
    em_zip_close(*zip);
}
#define em_cleanup_zip __attribute__((cleanup(em_zip_closep)))

#endif
