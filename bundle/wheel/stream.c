#include "bundle/wheel/splice.h"

#include <string.h>
#include <zlib.h>

#define PIECE ((size_t)65536)

/* An inflater over a reader, which is told of each end of a block. */
struct walker {
    z_stream stream;
    struct em_reader *packed;
    struct em_error *error;
    uint64_t fed;
    uint8_t in[PIECE], out[PIECE];
};

/* *got bytes are in walker->out; *edge: a block has just ended behind them, *done: it was the last one. */
static int walk(struct walker *walker, int how, size_t *got, bool *edge, bool *done)
{
    z_stream *stream = &walker->stream;
    int status, r;

    *got = 0;
    *edge = *done = false;
    stream->next_out = walker->out;
    stream->avail_out = PIECE;
    while (stream->avail_out > 0 && !*edge && !*done) {
        uint64_t left = walker->packed->size - walker->fed;

        if (stream->avail_in == 0 && left > 0) {
            stream->next_in = walker->in;
            stream->avail_in = (uInt)(left < PIECE ? left : PIECE);
            r = em_read_at(walker->packed, walker->in, stream->avail_in, walker->fed, walker->error);
            if (r < 0)
                return r;
            walker->fed += stream->avail_in;
        }
        status = inflate(stream, how);
        if (status == Z_MEM_ERROR)
            return EM_NO_MEMORY;
        /* zlib may hold the last bits itself: only when it can do nothing without input is there too little of it. */
        if (status == Z_BUF_ERROR && stream->avail_in == 0 && left == 0)
            return em_fail_at(walker->error, EM_BAD_ZIP, walker->packed->name, walker->fed, "breaks off");
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return em_fail_at(walker->error, EM_BAD_ZIP, walker->packed->name, walker->fed - stream->avail_in,
                              "is a broken deflate stream");
        *edge = how == Z_BLOCK && status == Z_OK && stream->data_type & 128;
        *done = status == Z_STREAM_END;
    }
    *got = PIECE - stream->avail_out;
    return EM_OK;
}

static int index_with(struct walker *walker, struct em_blocks *blocks, struct em_arena *arena, em_splice_sink *sink,
                      void *context)
{
    bool edge, done = false;
    size_t got;
    int r = em_vec_push(arena, blocks, ((struct em_block){ 0 }));

    while (r == EM_OK && !done) {
        r = walk(walker, Z_BLOCK, &got, &edge, &done);
        if (r == EM_OK && got > 0 && sink)
            r = sink(context, walker->out, got);
        if (r < 0)
            return r;
        blocks->size += got;
        if (!edge)
            continue;
        /* zlib keeps back the bits of the last byte that belong to the next block. At the very end it has dropped them, so that
         * the end of the last block is taken here too, by its flag. */
        blocks->end_bit = (uint64_t)walker->stream.total_in * 8 - (unsigned)(walker->stream.data_type & 7);
        if (!(walker->stream.data_type & 64))
            r = em_vec_push(arena, blocks, ((struct em_block){ blocks->end_bit, blocks->size }));
    }
    if (r == EM_OK && (walker->stream.avail_in > 0 || walker->fed < walker->packed->size))
        return em_fail_at(walker->error, EM_BAD_ZIP, walker->packed->name, walker->fed - walker->stream.avail_in,
                          "has bytes behind its last block");
    return r;
}

int em_splice_index(struct em_blocks *blocks, struct em_arena *arena, struct em_reader *packed, em_splice_sink *sink,
                    void *context, struct em_error *error)
{
    em_cleanup_free struct walker *walker = calloc(1, sizeof *walker);
    int r;

    *blocks = (struct em_blocks){ 0 };
    if (!walker || inflateInit2(&walker->stream, -15) != Z_OK)
        return EM_NO_MEMORY;
    walker->packed = packed;
    walker->error = error;
    r = index_with(walker, blocks, arena, sink, context);
    inflateEnd(&walker->stream);
    return r;
}

/* ---- the stream that pieces make ---- */

static int64_t read_pieces(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    struct em_pieced *pieced = context;
    const struct em_piece *piece;
    uint64_t inside;
    ssize_t got;
    int r;

    if (offset < pieced->at_begin)
        pieced->at = 0, pieced->at_begin = 0;
    while (pieced->at < pieced->pieces->count && offset - pieced->at_begin >= pieced->pieces->items[pieced->at].size)
        pieced->at_begin += pieced->pieces->items[pieced->at++].size;
    if (pieced->at == pieced->pieces->count)
        return 0;
    piece = &pieced->pieces->items[pieced->at];
    inside = offset - pieced->at_begin;
    if (length > piece->size - inside)
        length = (size_t)(piece->size - inside);
    if (piece->packed) {
        r = em_read_at(pieced->packed, buffer, length, piece->offset + inside, error);
        return r < 0 ? r : (int64_t)length;
    }
    do
        got = pread(pieced->scratch->fd, buffer, length, (off_t)(piece->offset + inside));
    while (got < 0 && errno == EINTR);
    return got < 0 ? em_fail_errno(error, "temporary file", "cannot be read back") : got;
}

struct em_reader em_pieces_reader(struct em_pieced *pieced, uint64_t size)
{
    return (struct em_reader){ .read = read_pieces, .context = pieced, .size = size, .name = "spliced stream" };
}

/* ---- the check ---- */

static int check_with(struct walker *walker, struct em_reader *plain, uint8_t *wanted, struct em_hasher *hasher, uint32_t *crc)
{
    uint64_t at = 0;
    bool edge, done = false;

    while (!done) {
        size_t got;
        int r = walk(walker, Z_NO_FLUSH, &got, &edge, &done);

        if (r < 0)
            return r;
        if (got > plain->size - at)
            return em_fail(walker->error, EM_BAD_ZIP, plain->name, "was compressed into something longer");
        r = em_read_at(plain, wanted, got, at, walker->error);
        if (r < 0)
            return r;
        if (memcmp(wanted, walker->out, got) != 0)
            return em_fail_at(walker->error, EM_BAD_ZIP, plain->name, at, "was compressed into something else");
        em_hasher_add(hasher, wanted, got);
        *crc = (uint32_t)crc32(*crc, wanted, (uInt)got);
        at += got;
    }
    if (at != plain->size || walker->stream.avail_in > 0 || walker->fed < walker->packed->size)
        return em_fail(walker->error, EM_BAD_ZIP, plain->name, "was compressed into something shorter");
    return EM_OK;
}

int em_splice_check(struct em_reader *stream, struct em_reader *plain, struct em_sha256 *sha256, uint32_t *crc,
                    struct em_error *error)
{
    em_cleanup_free struct walker *walker = calloc(1, sizeof *walker);
    em_cleanup_free uint8_t *wanted = malloc(PIECE);
    em_cleanup_hasher struct em_hasher *hasher = em_hasher_new();
    int r;

    if (!walker || !wanted || !hasher || inflateInit2(&walker->stream, -15) != Z_OK)
        return EM_NO_MEMORY;
    walker->packed = stream;
    walker->error = error;
    *crc = 0;
    r = check_with(walker, plain, wanted, hasher, crc);
    inflateEnd(&walker->stream);
    em_hasher_end(hasher, sha256);
    return r;
}
