#include "bundle/tree/zip_room.h"

#include <libdeflate.h>
#include <string.h>

#define PIECE ((size_t)128 << 10)

/* ---- from the beginning to the end ---- */

static int stream_stored(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context,
                         struct em_error *error)
{
    struct em_reader reader = em_reader_fd(zip->fd, zip->size, zip->path);
    em_cleanup_free uint8_t *piece = malloc(PIECE);
    uint32_t crc = 0;
    int r;

    if (!piece)
        return EM_NO_MEMORY;
    for (uint64_t at = 0; at < member->size;) {
        size_t size = member->size - at < PIECE ? (size_t)(member->size - at) : PIECE;

        r = em_read_at(&reader, piece, size, member->data + at, error);
        if (r < 0)
            return r;
        crc = libdeflate_crc32(crc, piece, size);
        r = sink(context, piece, size);
        if (r < 0)
            return r;
        at += size;
    }
    return crc == member->crc ? EM_OK
                              : em_fail_at(error, EM_BAD_ZIP, zip->path, member->data,
                                           "has a member whose CRC is not that of its data: %s", member->name);
}

struct stream {
    em_zip_sink *sink;
    void *context;
};

static int pass_on(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    const struct stream *stream = context;

    (void)at;
    return stream->sink(stream->context, bytes, size);
}

int em_zip_stream(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context, struct em_error *error)
{
    struct stream stream = { sink, context };

    return member->method == EM_ZIP_STORED ? stream_stored(zip, member, sink, context, error)
                                           : em_zip_walk(zip, member, 0, member->size, pass_on, &stream, error);
}

struct hash {
    struct em_zip_member *member;
    em_zip_sink *sink; /* NULL: none */
    void *context;
    struct em_hasher *hasher;
    uint64_t at;
};

/* Chunk by chunk: where the digest stands between them is kept, for a stream that begins as this one does. */
static int hash_piece(void *context, const uint8_t *bytes, size_t size)
{
    struct hash *hash = context;
    const uint8_t *at = bytes;

    for (size_t left = size; left > 0;) {
        const uint64_t room = EM_ZIP_CHUNK - hash->at % EM_ZIP_CHUNK;
        const size_t part = left < room ? left : (size_t)room;

        em_hasher_add(hash->hasher, at, part);
        hash->at += part;
        at += part;
        left -= part;
        if (hash->at % EM_ZIP_CHUNK == 0 && em_zip_keep_state(hash->member, hash->at / EM_ZIP_CHUNK, hash->hasher) < 0)
            return EM_NO_MEMORY;
    }
    return hash->sink ? hash->sink(hash->context, bytes, size) : EM_OK;
}

int em_zip_hash(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context, struct em_sha256 *sha256,
                struct em_error *error)
{
    em_cleanup_hasher struct em_hasher *hasher = NULL;
    struct hash hash = { member, sink, context, NULL, 0 };
    int r;

    if (!sink && em_zip_kept_digest(zip, member, sha256))
        return EM_OK;
    r = em_hasher_new(&hasher, error);
    hash.hasher = hasher;
    if (r == EM_OK)
        r = em_zip_stream(zip, member, hash_piece, &hash, error);
    if (r < 0)
        return r;
    em_hasher_end(hasher, sha256);
    em_zip_keep_digest(zip, member, sha256);
    return EM_OK;
}

struct collect {
    uint8_t *at;
};

static int collect(void *context, const uint8_t *bytes, size_t size)
{
    struct collect *into = context;

    memcpy(into->at, bytes, size);
    into->at += size;
    return EM_OK;
}

int em_zip_read(struct em_zip *zip, struct em_zip_member *member, struct em_arena *arena, uint64_t limit,
                struct em_bytes *bytes, struct em_error *error)
{
    struct collect into;
    uint8_t *buffer;

    if (member->size > limit)
        return em_fail(error, EM_LIMIT, zip->path,
                       "has a member of %llu bytes, more than the %llu that such a file may have: %s",
                       (unsigned long long)member->size, (unsigned long long)limit, member->name);
    buffer = em_arena_alloc(arena, (size_t)member->size + 1);
    if (!buffer)
        return EM_NO_MEMORY;
    into.at = buffer;
    *bytes = (struct em_bytes){ buffer, (size_t)member->size };
    return em_zip_stream(zip, member, collect, &into, error);
}

/* ---- at a place ---- */

/* One chunk of a member, while it is inflated. */
struct cut {
    uint8_t *bytes;
    uint64_t begin, end;
};

static int cut_out(void *context, uint64_t at, const uint8_t *bytes, size_t size)
{
    const struct cut *cut = context;
    uint64_t begin = at < cut->begin ? cut->begin : at, end = at + size < cut->end ? at + size : cut->end;

    if (begin < end)
        memcpy(cut->bytes + (begin - cut->begin), bytes + (begin - at), (size_t)(end - begin));
    return EM_OK;
}

/* The slot that has the chunk, else the one that was not asked for the longest time. */
static struct em_zip_kept *find_kept(struct em_zip *zip, const struct em_zip_member *member, uint64_t chunk)
{
    struct em_zip_kept *oldest = zip->kept;

    for (size_t i = 0; i < EM_ZIP_KEPT; i++) {
        if (zip->kept[i].member == member && zip->kept[i].chunk == chunk)
            return &zip->kept[i];
        if (zip->kept[i].used < oldest->used)
            oldest = &zip->kept[i];
    }
    return oldest;
}

/* What was remembered leads to places in the middle, where nothing else would tell that it does not fit. */
static int check_recalled(struct em_zip *zip, const struct em_zip_member *member, const struct cut *cut, struct em_error *error)
{
    const struct em_zip_learned *learned = member->learned;
    const struct em_zip_chunk_crcs *crcs = learned && learned->recalled ? &learned->index.crcs : NULL;

    if (!crcs || libdeflate_crc32(0, cut->bytes, (size_t)(cut->end - cut->begin)) == crcs->items[cut->begin / EM_ZIP_CHUNK])
        return EM_OK;
    return em_fail_at(error, EM_BAD_ZIP, zip->path, member->data,
                      "has a member that is not what it was when it was verified: %s", member->name);
}

/* The chunk, inflated: in its slot, and put by, since diagnosis and proof ask for the same few again and again. */
static int inflate_chunk(struct em_zip *zip, struct em_zip_member *member, uint64_t chunk, struct em_zip_kept *kept,
                         struct em_error *error)
{
    struct cut cut = { NULL, chunk * EM_ZIP_CHUNK, (chunk + 1) * EM_ZIP_CHUNK };
    int r;

    if (cut.end > member->size)
        cut.end = member->size;
    free(kept->bytes);
    kept->bytes = cut.bytes = malloc((size_t)(cut.end - cut.begin));
    kept->member = NULL;
    r = cut.bytes ? em_zip_walk(zip, member, cut.begin, cut.end, cut_out, &cut, error) : EM_NO_MEMORY;
    if (r == EM_OK)
        r = check_recalled(zip, member, &cut, error);
    if (r < 0)
        return r;
    kept->member = member;
    kept->chunk = chunk;
    if (member->learned)
        em_zip_put_by(member->learned, member, chunk, cut.bytes, (size_t)(cut.end - cut.begin));
    return EM_OK;
}

/* Up to length bytes, out of one chunk. Whoever inflates holds the lock of the kept chunks, not that of the archive. */
static int64_t read_deflated(struct em_zip *zip, struct em_zip_member *member, void *buffer, size_t length, uint64_t offset,
                             struct em_error *error)
{
    uint64_t chunk = offset / EM_ZIP_CHUNK, inside = offset % EM_ZIP_CHUNK;
    struct em_zip_kept *kept;
    bool is_kept;
    int r = EM_OK;

    if (length > EM_ZIP_CHUNK - inside)
        length = (size_t)(EM_ZIP_CHUNK - inside);
    pthread_mutex_lock(&zip->kept_lock);
    kept = find_kept(zip, member, chunk);
    is_kept = kept->member == member && kept->chunk == chunk;
    if (!is_kept && em_zip_is_put_by(member->learned, chunk)) {
        r = em_zip_read_put_by(member->learned, offset, buffer, length, error);
    } else {
        r = is_kept ? EM_OK : inflate_chunk(zip, member, chunk, kept, error);
        kept->used = ++zip->clock;
        if (r == EM_OK)
            memcpy(buffer, kept->bytes + inside, length);
    }
    pthread_mutex_unlock(&zip->kept_lock);
    return r < 0 ? r : (int64_t)length;
}

static int64_t read_place(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    const struct em_zip_place *place = context;
    struct em_zip *zip = place->zip;
    struct em_zip_member *member = place->member;
    ssize_t got;

    if (offset >= member->size)
        return 0;
    if (length > member->size - offset)
        length = (size_t)(member->size - offset);
    if (member->method == EM_ZIP_DEFLATED)
        return read_deflated(zip, member, buffer, length, offset, error);
    got = em_pread(zip->fd, buffer, length, member->data + offset);
    return got < 0 ? em_fail_errno(error, zip->path, "cannot be read") : got;
}

struct em_reader em_zip_reader(struct em_zip_place *place)
{
    return (struct em_reader){ .read = read_place, .context = place, .size = place->member->size, .name = place->member->name };
}

static int64_t read_packed(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    const struct em_zip_place *place = context;
    ssize_t got = em_pread(place->zip->fd, buffer, length, place->member->data + offset);

    return got < 0 ? em_fail_errno(error, place->zip->path, "cannot be read") : got;
}

struct em_reader em_zip_packed_reader(const struct em_zip_place *place)
{
    return (struct em_reader){
        .read = read_packed, .context = (void *)(uintptr_t)place, .size = place->member->packed, .name = place->member->name
    };
}
