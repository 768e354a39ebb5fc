/* zip_room.h: what zip.c, zip_directory.c, zip_member.c, zip_index.c and zip_memory.c share. */
#ifndef EM_BUNDLE_TREE_ZIP_ROOM_H
#define EM_BUNDLE_TREE_ZIP_ROOM_H

#include "bundle/tree/zip.h"

#include <pthread.h>

/* Inflated chunks of members, kept for the next question in memory; who gives way is put by in the file of windows. A diagnosis asks
 * for the same forty chunks of cuDNN's libraries five times, and so does the proof of what was written. */
#define EM_ZIP_KEPT 4u
#define EM_ZIP_MOST_PUT_BY ((uint64_t)64 << 20) /* bytes; more than that is no question but a walk through all of it */
struct em_zip_kept {
    const struct em_zip_member *member; /* NULL: free */
    uint64_t chunk, used;               /* used: when, by zip->clock */
    uint8_t *bytes;                     /* EM_ZIP_CHUNK of them, the last of a member fewer */
};

/* Where an inflater can be entered, and where the bytes before it are in the file of windows. */
#define EM_ZIP_NO_WINDOW UINT64_MAX
struct em_zip_point {
    struct em_inflate_point at;
    uint64_t window; /* EM_ZIP_NO_WINDOW: there is no point here */
    bool asked;      /* for what lies behind it */
};

struct em_zip_learned {
    struct em_zip *home; /* whose file of windows it is, and who frees it */
    struct em_zip_learned *next;
    struct em_arena *arena;
    struct em_zip_index index;
    struct {
        EM_VEC(struct em_zip_point);
    } points; /* items[i] is just before chunk i + 1 */
    struct {
        EM_VEC(struct em_sha256_state);
    } states;         /* of SHA-256, if it was hashed: items[i] is behind chunk i, which is whole */
    uint64_t *put_by; /* of each chunk that was asked for: where it is in the file of windows, plus 1; 0: it is not there */
    uint64_t have;    /* bytes that have been seen */
    uint32_t crc, chunk_crc; /* of the chunks that are whole, and of what there is of the next one */
    struct em_sha256 sha256; /* of all of them, if it was hashed */
    bool busy, complete, hashed;
    bool recalled; /* it is what was remembered, which nothing else has confirmed */
    bool news;     /* there is more to remember than there was */
    bool made;     /* of a stream of ours: its CRC is what it turns out to be */
    int failed;    /* what is wrong with the data; kept, since later parts of it are never asked for then */
    char why[256];
};

struct em_zip {
    struct em_arena *arena;
    const char *path;
    int fd;
    uint64_t size;
    struct em_stamp stamp; /* when it was opened */
    bool is_fresh;         /* then: a change may leave no trace in the stamp (base/files.h) */
    bool sound;            /* in every byte */
    bool news;             /* and nobody knew */
    struct em_zip_members members;
    struct em_map by_name;
    struct em_zip_oddities odd;

    pthread_mutex_t kept_lock; /* over what was inflated for questions; taken before the other */
    struct em_zip_kept kept[EM_ZIP_KEPT];
    uint64_t clock;

    pthread_mutex_t lock;           /* over the file of windows, and over who is busy with what is learned of a member */
    struct em_zip_learned *learned; /* all that is ours, by its next */
    pthread_cond_t idle;
    int windows; /* unlinked file; -1: not needed so far */
    uint64_t windows_end;
    uint64_t put_by; /* bytes of chunks in it */
};

/* ---- zip_directory.c: what the archive says it holds ---- */

/* General purpose bits of a member (APPNOTE 4.4.4). */
#define EM_ZIP_ENCRYPTED 0x0001u
#define EM_ZIP_DESCRIPTOR 0x0008u
#define EM_ZIP_STRONG 0x0040u
#define EM_ZIP_MASKED 0x2000u

/* End records and central directory, each member by itself; at: where the directory begins. */
int em_zip_read_directory(struct em_zip *zip, struct em_arena *scratch, uint64_t *at, struct em_error *error);
int em_zip_bad(const struct em_zip *zip, struct em_error *error, uint64_t at, const char *sentence);

/* Of what was cut to size before. */
static inline uint16_t em_zip_get16(struct em_bytes bytes, uint64_t at)
{
    uint16_t value = 0;

    em_bytes_u16(bytes, at, false, &value);
    return value;
}

static inline uint32_t em_zip_get32(struct em_bytes bytes, uint64_t at)
{
    uint32_t value = 0;

    em_bytes_u32(bytes, at, false, &value);
    return value;
}

static inline uint64_t em_zip_get64(struct em_bytes bytes, uint64_t at)
{
    uint64_t value = 0;

    em_bytes_u64(bytes, at, false, &value);
    return value;
}

/* ---- zip_index.c: what going through a member teaches ---- */

/* In the keeping of zip. Under the lock, where others know of zip. */
struct em_zip_learned *em_zip_learned_new(struct em_zip *zip);
/* The digest of a member, put there and found there. Of one that nothing is learned of, none is kept. */
void em_zip_keep_digest(struct em_zip *zip, const struct em_zip_member *member, const struct em_sha256 *sha256);
bool em_zip_kept_digest(struct em_zip *zip, const struct em_zip_member *member, struct em_sha256 *sha256);
/* Where the digest stands behind so many chunks of a member that is being gone through. */
int em_zip_keep_state(struct em_zip_member *member, uint64_t chunks, const struct em_hasher *hasher);
/* 32 KiB to and from the file of windows. */
int em_zip_keep_window(struct em_zip *zip, const uint8_t *window, uint64_t *at, struct em_error *error);
int em_zip_kept_window(const struct em_zip *zip, uint64_t at, uint8_t *window, struct em_error *error);

/* An inflated chunk to the file of windows, and from there; as long as there is room. Not being there is no error. */
void em_zip_put_by(struct em_zip_learned *learned, const struct em_zip_member *member, uint64_t chunk, const uint8_t *bytes,
                   size_t size);
bool em_zip_is_put_by(const struct em_zip_learned *learned, uint64_t chunk);
int em_zip_read_put_by(const struct em_zip_learned *learned, uint64_t offset, void *buffer, size_t size,
                       struct em_error *error);

/* Hands out the pieces of a deflated member that cover from up to end and what lies around them; at its end, size and CRC are what
 * the directory says. Learns on the way. Several may ask, also for one member. */
int em_zip_walk(struct em_zip *zip, struct em_zip_member *member, uint64_t from, uint64_t end, em_zip_piece *piece,
                void *context, struct em_error *error);
void em_zip_forget(struct em_zip *zip);

#endif
