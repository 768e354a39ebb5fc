#include "bundle/wheel/splice.h"

#include <string.h>
#include <zlib.h>

#define WINDOW ((uint64_t)EM_INFLATE_WINDOW)
#define PIECE ((size_t)65536)
#define LEVEL 6

/* ---- the new stream, while it is written ---- */

struct writer {
    struct em_spliced *spliced;
    struct em_arena *arena;
    struct em_reader *packed, *plain;
    struct em_scratch *scratch;
    struct em_error *error;
    uint8_t buffer[PIECE]; /* of what goes to the scratch file */
    size_t fill;
    unsigned bits; /* in partial: less than eight, lowest first */
    unsigned partial;
    uint8_t in[PIECE], out[PIECE];
};

static int flush(struct writer *writer)
{
    int r = em_pwrite_all(writer->scratch->fd, writer->buffer, writer->fill, writer->scratch->end, "temporary file",
                          writer->error);

    writer->scratch->end += writer->fill;
    writer->fill = 0;
    return r;
}

static int add_piece(struct writer *writer, bool packed, uint64_t offset, uint64_t size)
{
    struct em_pieces *pieces = &writer->spliced->pieces;
    struct em_piece *last = pieces->count ? &pieces->items[pieces->count - 1] : NULL;

    if (size == 0)
        return EM_OK;
    writer->spliced->packed_size += size;
    if (last && last->packed == packed && last->offset + last->size == offset) {
        last->size += size;
        return EM_OK;
    }
    return em_vec_push(writer->arena, pieces, ((struct em_piece){ packed, offset, size }));
}

static int put_bytes(struct writer *writer, const uint8_t *bytes, size_t size)
{
    int r = add_piece(writer, false, writer->scratch->end + writer->fill, size);

    while (r == EM_OK && size > 0) {
        size_t part = PIECE - writer->fill < size ? PIECE - writer->fill : size;

        memcpy(writer->buffer + writer->fill, bytes, part);
        writer->fill += part;
        bytes += part;
        size -= part;
        if (writer->fill == PIECE)
            r = flush(writer);
    }
    return r;
}

static int put_bits(struct writer *writer, unsigned value, unsigned count)
{
    int r = EM_OK;

    for (; r == EM_OK && count > 0; count--, value >>= 1) {
        writer->partial |= (value & 1) << writer->bits++;
        if (writer->bits == 8) {
            uint8_t byte = (uint8_t)writer->partial;

            writer->bits = writer->partial = 0;
            r = put_bytes(writer, &byte, 1);
        }
    }
    return r;
}

/* An empty block with dynamic codes, 95 bits: an odd number, which static blocks of 10 never make up. Both codes are complete:
 * literal/length 0 and 256 with one bit each, distances 0 and 1 with one bit each. */
static int put_dynamic_filler(struct writer *writer)
{
    /* Lengths of the code length code in the order of RFC 1951, 3.2.7: 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 15. Symbols
     * 1 and 18 have one bit: 1 is code 0, 18 is code 1. One more than needed are sent: that makes the number odd. */
    static const uint8_t lengths[19] = { [2] = 1, [17] = 1 };
    int r = put_bits(writer, 0, 1); /* BFINAL */

    if (r == EM_OK)
        r = put_bits(writer, 2, 2); /* BTYPE: dynamic */
    if (r == EM_OK)
        r = put_bits(writer, 0, 5); /* HLIT: 257 */
    if (r == EM_OK)
        r = put_bits(writer, 1, 5); /* HDIST: 2 */
    if (r == EM_OK)
        r = put_bits(writer, 15, 4); /* HCLEN: 19 */
    for (size_t i = 0; r == EM_OK && i < sizeof lengths; i++)
        r = put_bits(writer, lengths[i], 3);
    /* Symbol 0 has one bit; 138 and 117 zeros; 256 has one bit; the two distances have one each. */
    if (r == EM_OK)
        r = put_bits(writer, 0, 1);
    if (r == EM_OK)
        r = put_bits(writer, 1 | (138 - 11) << 1, 8);
    if (r == EM_OK)
        r = put_bits(writer, 1 | (117 - 11) << 1, 8);
    if (r == EM_OK)
        r = put_bits(writer, 0, 3);
    /* End of block: the second of two codes of one bit. */
    return r < 0 ? r : put_bits(writer, 1, 1);
}

#define DYNAMIC_FILLER_BITS (1 + 2 + 5 + 5 + 4 + 19 * 3 + 1 + 8 + 8 + 3 + 1)

/* Empty blocks until the next bit is one of that phase. */
static int pad_to(struct writer *writer, unsigned phase)
{
    int r = EM_OK;

    _Static_assert(DYNAMIC_FILLER_BITS % 2 == 1, "the dynamic filler must change the parity");
    if ((phase - writer->bits) % 2)
        r = put_dynamic_filler(writer);
    while (r == EM_OK && writer->bits != phase)
        r = put_bits(writer, 1 << 1, 10); /* BFINAL 0, BTYPE 1, and the code 0000000 for the end */
    return r;
}

/* ---- kept blocks ---- */

static int packed_byte(struct writer *writer, uint64_t at, uint8_t *byte)
{
    return em_read_at(writer->packed, byte, 1, at, writer->error);
}

/* Bits of the old stream, few of them: those at a seam. */
static int copy_bits(struct writer *writer, uint64_t bit, unsigned count)
{
    uint8_t byte;
    int r = EM_OK;

    for (; r == EM_OK && count > 0; bit++, count--) {
        r = packed_byte(writer, bit / 8, &byte);
        if (r == EM_OK)
            r = put_bits(writer, byte >> bit % 8 & 1, 1);
    }
    return r;
}

/* The bits from begin to end as they are. The writer stands at the same phase as begin. */
static int copy_run(struct writer *writer, uint64_t begin, uint64_t end)
{
    uint64_t whole = (begin + 7) / 8 * 8, last = end / 8 * 8;
    int r;

    if (whole >= last)
        return copy_bits(writer, begin, (unsigned)(end - begin));
    r = copy_bits(writer, begin, (unsigned)(whole - begin));
    if (r == EM_OK)
        r = add_piece(writer, true, whole / 8, (last - whole) / 8);
    return r < 0 ? r : copy_bits(writer, last, (unsigned)(end - last));
}

/* A run of kept blocks. If something follows the old last block, it must no longer say that it is the last one. */
static int keep_run(struct writer *writer, uint64_t begin, uint64_t end, bool clear, uint64_t last_block)
{
    int r = pad_to(writer, (unsigned)(begin % 8));

    if (r == EM_OK && !clear)
        return copy_run(writer, begin, end);
    if (r == EM_OK)
        r = copy_run(writer, begin, last_block);
    if (r == EM_OK)
        r = put_bits(writer, 0, 1);
    return r < 0 ? r : copy_run(writer, last_block + 1, end);
}

/* ---- new blocks ---- */

static int run_deflate(struct writer *writer, z_stream *stream, int how)
{
    int status, r;

    do {
        stream->next_out = writer->out;
        stream->avail_out = PIECE;
        status = deflate(stream, how);
        if (status == Z_STREAM_ERROR)
            return em_fail(writer->error, EM_BAD_ZIP, NULL, "the compressor refuses to go on");
        r = put_bytes(writer, writer->out, PIECE - stream->avail_out);
        if (r < 0)
            return r;
    } while (stream->avail_out == 0);
    return EM_OK;
}

static int encode_with(struct writer *writer, z_stream *stream, uint64_t begin, uint64_t end, bool last)
{
    uint64_t window = begin < WINDOW ? begin : WINDOW;
    int r = em_read_at(writer->plain, writer->in, (size_t)window, begin - window, writer->error);

    if (r < 0)
        return r;
    if (window > 0)
        deflateSetDictionary(stream, writer->in, (uInt)window);
    if (writer->bits > 0)
        deflatePrime(stream, (int)writer->bits, (int)writer->partial);
    writer->bits = writer->partial = 0;
    for (uint64_t at = begin; at < end;) {
        size_t size = end - at < PIECE ? (size_t)(end - at) : PIECE;

        r = em_read_at(writer->plain, writer->in, size, at, writer->error);
        if (r < 0)
            return r;
        stream->next_in = writer->in;
        stream->avail_in = (uInt)size;
        r = run_deflate(writer, stream, Z_NO_FLUSH);
        if (r < 0)
            return r;
        at += size;
    }
    return run_deflate(writer, stream, last ? Z_FINISH : Z_SYNC_FLUSH);
}

static int encode(struct writer *writer, uint64_t begin, uint64_t end, bool last)
{
    z_stream stream = { 0 };
    int r;

    writer->spliced->encoded += end - begin;
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return EM_NO_MEMORY;
    r = encode_with(writer, &stream, begin, end, last);
    deflateEnd(&stream);
    return r;
}

/* ---- which blocks are kept ---- */

static uint64_t block_end(const struct em_blocks *blocks, size_t i)
{
    return i + 1 < blocks->count ? blocks->items[i + 1].out : blocks->size;
}

static uint64_t block_end_bit(const struct em_blocks *blocks, size_t i)
{
    return i + 1 < blocks->count ? blocks->items[i + 1].bit : blocks->end_bit;
}

bool em_is_changed(const struct em_changes *changes, uint64_t begin, uint64_t end)
{
    size_t low = 0, high = changes->count;

    /* The first change that ends behind begin. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (changes->items[middle].end <= begin)
            low = middle + 1;
        else
            high = middle;
    }
    return low < changes->count && changes->items[low].begin < end && begin < end;
}

/* Inflates a block, or a run of them, behind the new bytes before it and compares what comes out with the new file. Which symbols
 * it reads does not depend on those bytes, so that it ends where it did; what they copy does. */
static int try_block(struct writer *writer, const struct em_blocks *blocks, size_t i, bool *same)
{
    const struct em_block *block = &blocks->items[i];
    uint64_t at = block->out, end = block_end(blocks, i), window = at < WINDOW ? at : WINDOW;
    const struct em_inflate_point point = { .out = at, .bit = block->bit, .block_bit = block->bit };
    em_cleanup_inflater struct em_inflater *inflater = em_inflater_new(writer->packed);
    int r;

    *same = false;
    if (!inflater)
        return EM_NO_MEMORY;
    r = em_read_at(writer->plain, writer->in, (size_t)window, at - window, writer->error);
    if (r == EM_OK)
        r = em_inflater_enter(inflater, &point, writer->in, writer->error);
    while (r == EM_OK && at < end) {
        const uint8_t *made;
        size_t size;

        r = em_inflater_next(inflater, PIECE, &made, &size, writer->error);
        if (r < 0)
            return r;
        if (size > end - at)
            size = (size_t)(end - at);
        r = em_read_at(writer->plain, writer->in, size, at, writer->error);
        if (r < 0 || memcmp(writer->in, made, size) != 0)
            return r;
        at += size;
    }
    *same = r == EM_OK;
    return r;
}

static int decide(struct writer *writer, const struct em_blocks *blocks, const struct em_changes *changes, unsigned percent,
                  bool *keep)
{
    uint64_t lost = 0, size = writer->plain->size;

    for (size_t i = 0; i < blocks->count; i++) {
        uint64_t begin = blocks->items[i].out, end = block_end(blocks, i);
        uint64_t window = begin < WINDOW ? begin : WINDOW;
        int r;

        keep[i] = end <= size && !em_is_changed(changes, begin, end);
        if (keep[i] && em_is_changed(changes, begin - window, begin)) {
            r = try_block(writer, blocks, i, &keep[i]);
            if (r < 0)
                return r;
        }
        if (!keep[i] && begin < size)
            lost += (end < size ? end : size) - begin;
    }
    if (size > blocks->size)
        lost += size - blocks->size;
    writer->spliced->worth = percent >= 100 || lost <= size / 100 * percent;
    return EM_OK;
}

static int write_stream(struct writer *writer, const struct em_blocks *blocks, const bool *keep)
{
    uint64_t size = writer->plain->size;
    bool tail = size > blocks->size;
    int r;

    for (size_t i = 0; i < blocks->count;) {
        size_t end = i;

        while (end < blocks->count && keep[end] == keep[i])
            end++;
        if (keep[i]) {
            bool clear = tail && end == blocks->count;

            r = keep_run(writer, blocks->items[i].bit, block_end_bit(blocks, end - 1), clear, blocks->last_bit);
        } else {
            bool last = end == blocks->count;
            uint64_t to = last ? size : block_end(blocks, end - 1);

            r = encode(writer, blocks->items[i].out, to, last);
            tail = tail && !last;
        }
        if (r < 0)
            return r;
        i = end;
    }
    r = tail ? encode(writer, blocks->size, size, true) : EM_OK;
    if (r == EM_OK && writer->bits > 0)
        r = put_bits(writer, 0, 8 - writer->bits);
    return r < 0 ? r : flush(writer);
}

int em_splice(struct em_spliced *spliced, struct em_arena *arena, const struct em_blocks *blocks, struct em_reader *packed,
              const struct em_changes *changes, struct em_reader *plain, unsigned percent, struct em_scratch *scratch,
              struct em_error *error)
{
    em_cleanup_free struct writer *writer = calloc(1, sizeof *writer);
    em_cleanup_free bool *keep = calloc(blocks->count + 1, sizeof *keep);
    int r;

    *spliced = (struct em_spliced){ 0 };
    if (!writer || !keep)
        return EM_NO_MEMORY;
    writer->spliced = spliced;
    writer->arena = arena;
    writer->packed = packed;
    writer->plain = plain;
    writer->scratch = scratch;
    writer->error = error;
    r = decide(writer, blocks, changes, percent, keep);
    return r < 0 || !spliced->worth ? r : write_stream(writer, blocks, keep);
}
