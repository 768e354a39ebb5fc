#include "bundle/tree/zip_room.h"

#include <string.h>
#include <zlib.h>

#define PIECE_IN ((size_t)64 << 10)
#define PIECE_OUT ((size_t)128 << 10)

/* Below this a member is inflated whole at the first question: an inflater that waits costs 40 KB. */
#define WHOLE ((uint64_t)1 << 20)

static int damaged(struct em_zip *zip, const struct em_zip_member *member, struct em_error *error, const char *what)
{
    return em_fail_at(error, EM_BAD_ZIP, zip->path, member->data, "%s: %s", what, member->name);
}

/* ---- one inflater ---- */

struct inflater {
    z_stream stream;
    uint64_t taken; /* of the packed bytes */
    uint64_t made;  /* bytes that came out */
    uint32_t crc;
    bool ended;
    uint8_t in[PIECE_IN];
};

static struct inflater *inflater_new(void)
{
    struct inflater *inflater = calloc(1, sizeof *inflater);

    /* A negative window size: raw deflate, as zip has it. */
    if (inflater && inflateInit2(&inflater->stream, -15) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

static void inflater_free(struct inflater *inflater)
{
    if (inflater)
        inflateEnd(&inflater->stream);
    free(inflater);
}

static void inflater_freep(struct inflater **inflater)
{
    inflater_free(*inflater);
}

/* The next bytes of a member, at most size; *got 0 says that all are out, and then size and CRC are what the directory says.
 * Output beyond the promised size is never made: a member that lies cannot fill a disk. */
static int inflate_next(struct em_zip *zip, struct em_zip_member *member, struct inflater *inflater, uint8_t *out, size_t size,
                        size_t *got, struct em_error *error)
{
    struct em_reader reader = em_reader_fd(zip->fd, zip->size, zip->path);
    z_stream *stream = &inflater->stream;
    int status = Z_OK, r;

    *got = 0;
    if (inflater->ended)
        return EM_OK;
    if (inflater->made == member->size && size > 1)
        size = 1; /* one byte of room for the end of the stream to show, or the lie */
    stream->next_out = out;
    stream->avail_out = (uInt)size;
    while (stream->avail_out > 0 && status != Z_STREAM_END) {
        uint64_t left = member->packed - inflater->taken;
        size_t piece = left < PIECE_IN ? (size_t)left : PIECE_IN;

        if (stream->avail_in == 0 && piece > 0) {
            r = em_read_at(&reader, inflater->in, piece, member->data + inflater->taken, error);
            if (r < 0)
                return r;
            inflater->taken += piece;
            stream->next_in = inflater->in;
            stream->avail_in = (uInt)piece;
        }
        status = inflate(stream, Z_NO_FLUSH);
        if (status == Z_MEM_ERROR)
            return EM_NO_MEMORY;
        /* zlib may hold the last bits itself: only when it can do nothing without input is there too little of it. */
        if (status == Z_BUF_ERROR && stream->avail_in == 0 && left == 0)
            return damaged(zip, member, error, "has a member whose compressed data breaks off");
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return damaged(zip, member, error, "has a member whose compressed data is broken");
    }
    *got = size - stream->avail_out;
    inflater->crc = (uint32_t)crc32(inflater->crc, out, (uInt)*got);
    inflater->made += *got;
    if (inflater->made > member->size)
        return damaged(zip, member, error, "has a member that is longer than the directory says");
    if (status != Z_STREAM_END)
        return EM_OK;
    inflater->ended = true;
    if (inflater->made < member->size)
        return damaged(zip, member, error, "has a member that is shorter than the directory says");
    if (stream->avail_in > 0 || inflater->taken < member->packed)
        return damaged(zip, member, error, "has bytes behind the compressed data of a member");
    if (inflater->crc != member->crc)
        return damaged(zip, member, error, "has a member whose CRC is not that of its data");
    return EM_OK;
}

/* ---- in pieces ---- */

static int stream_stored(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context,
                         struct em_error *error)
{
    struct em_reader reader = em_reader_fd(zip->fd, zip->size, zip->path);
    em_cleanup_free uint8_t *piece = malloc(PIECE_OUT);
    uint32_t crc = 0;
    int r;

    if (!piece)
        return EM_NO_MEMORY;
    for (uint64_t at = 0; at < member->size;) {
        size_t size = member->size - at < PIECE_OUT ? (size_t)(member->size - at) : PIECE_OUT;

        r = em_read_at(&reader, piece, size, member->data + at, error);
        if (r < 0)
            return r;
        crc = (uint32_t)crc32(crc, piece, (uInt)size);
        r = sink(context, piece, size);
        if (r < 0)
            return r;
        at += size;
    }
    return crc == member->crc ? EM_OK : damaged(zip, member, error, "has a member whose CRC is not that of its data");
}

int em_zip_stream(struct em_zip *zip, struct em_zip_member *member, em_zip_sink *sink, void *context, struct em_error *error)
{
    __attribute__((cleanup(inflater_freep))) struct inflater *inflater = NULL;
    em_cleanup_free uint8_t *out = NULL;
    int r;

    if (member->method == EM_ZIP_STORED)
        return stream_stored(zip, member, sink, context, error);
    inflater = inflater_new();
    out = malloc(PIECE_OUT);
    if (!inflater || !out)
        return EM_NO_MEMORY;
    for (;;) {
        size_t got;

        r = inflate_next(zip, member, inflater, out, PIECE_OUT, &got, error);
        if (r == EM_OK && got > 0)
            r = sink(context, out, got);
        if (r < 0 || inflater->ended)
            return r;
    }
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

/* The inflated beginning of a member, in the spool from base on. */
struct em_zip_spooled {
    uint64_t base, have;
    struct inflater *inflater; /* NULL: all of it is there, or it failed */
    int failed;                /* what the inflater said; kept, since it cannot be asked twice */
    char why[256];
};

/* An unlinked file where temporary files go; it goes with us, however we end. */
static int open_spool(struct em_zip *zip, struct em_error *error)
{
    const char *directory = getenv("TMPDIR");
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    char *name;

    if (zip->spool >= 0)
        return EM_OK;
    if (!scratch)
        return EM_NO_MEMORY;
    if (!directory || !*directory)
        directory = "/tmp";
    zip->spool = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (zip->spool >= 0)
        return EM_OK;
    name = em_random_name(scratch, "elfmend-");
    name = name ? em_path_join(scratch, directory, name) : NULL;
    if (!name)
        return EM_NO_MEMORY;
    zip->spool = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (zip->spool < 0)
        return em_fail_errno(error, directory, "has no room for a temporary file (TMPDIR names another place)");
    unlink(name);
    return EM_OK;
}

/* Inflates until the first end bytes are in the spool. Under the lock. */
static int spool_to(struct em_zip *zip, struct em_zip_member *member, uint64_t end, struct em_error *error)
{
    struct em_zip_spooled *spooled = member->spooled;
    em_cleanup_free uint8_t *out = malloc(PIECE_OUT);
    int r = open_spool(zip, error);

    if (!out)
        return EM_NO_MEMORY;
    if (member->size <= WHOLE)
        end = member->size;
    while (r == EM_OK && spooled->inflater && (spooled->have < end || spooled->have == member->size)) {
        size_t got;

        r = inflate_next(zip, member, spooled->inflater, out, PIECE_OUT, &got, error);
        if (r == EM_OK && got > 0)
            r = em_pwrite_all(zip->spool, out, got, spooled->base + spooled->have, "temporary file", error);
        if (r < 0)
            break;
        spooled->have += got;
        if (spooled->inflater->ended) {
            inflater_free(spooled->inflater);
            spooled->inflater = NULL;
        }
    }
    /* Not only for broken data: after a full disk the inflater is ahead of the spool. */
    if (r < 0 && spooled->inflater) {
        inflater_free(spooled->inflater);
        spooled->inflater = NULL;
        spooled->failed = r;
        if (error)
            memcpy(spooled->why, error->sentence, sizeof spooled->why - 1);
    }
    return r;
}

static int prepare_spooled(struct em_zip *zip, struct em_zip_member *member)
{
    struct em_zip_spooled *spooled;

    if (member->spooled)
        return EM_OK;
    spooled = em_new(zip->arena, struct em_zip_spooled);
    if (!spooled)
        return EM_NO_MEMORY;
    spooled->inflater = inflater_new();
    if (!spooled->inflater)
        return EM_NO_MEMORY;
    spooled->base = zip->spool_end;
    zip->spool_end += member->size;
    member->spooled = spooled;
    return EM_OK;
}

static int64_t read_spooled(struct em_zip *zip, struct em_zip_member *member, void *buffer, size_t length, uint64_t offset,
                            struct em_error *error)
{
    struct em_zip_spooled *spooled;
    uint64_t base;
    ssize_t got;
    int r;

    pthread_mutex_lock(&zip->lock);
    r = prepare_spooled(zip, member);
    spooled = member->spooled;
    if (r == EM_OK && spooled->have < offset + length)
        r = spooled->failed ? em_fail_at(error, spooled->failed, zip->path, member->data, "%s", spooled->why)
                            : spool_to(zip, member, offset + length, error);
    base = r == EM_OK ? spooled->base : 0;
    pthread_mutex_unlock(&zip->lock);
    if (r < 0)
        return r;
    do
        got = pread(zip->spool, buffer, length, (off_t)(base + offset));
    while (got < 0 && errno == EINTR);
    return got < 0 ? em_fail_errno(error, zip->path, "cannot be read back from the temporary file") : got;
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
        return read_spooled(zip, member, buffer, length, offset, error);
    do
        got = pread(zip->fd, buffer, length, (off_t)(member->data + offset));
    while (got < 0 && errno == EINTR);
    return got < 0 ? em_fail_errno(error, zip->path, "cannot be read") : got;
}

struct em_reader em_zip_reader(struct em_zip_place *place)
{
    return (struct em_reader){ .read = read_place, .context = place, .size = place->member->size, .name = place->member->name };
}

void em_zip_drop_spools(struct em_zip *zip)
{
    em_vec_each (struct em_zip_member, member, &zip->members)
        if (member->spooled)
            inflater_free(member->spooled->inflater);
}
