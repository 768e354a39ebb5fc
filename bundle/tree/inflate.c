#include "bundle/tree/inflate.h"

#include "bundle/tree/inflate_codes.h"

#include <endian.h>
#include <string.h>

/* A window and the next piece, together within a second-level cache. */
#define OUT_ROOM (EM_INFLATE_WINDOW + ((size_t)192 << 10))
#define IN_ROOM ((size_t)64 << 10)
/* Behind the input: no header is longer, and a word read at the last symbol stays inside. They are zero at the stream's end. */
#define IN_SPARE ((size_t)1024)
/* Three literals, or two and a match, and the rest of the word that the match ends in. */
#define OUT_SPARE ((size_t)320)
/* Blocks that say less are told together with what follows: hostile streams have a block for each ten bits. */
#define LEAST_RUN 4096u

enum state { HEADER, CODES, STORED, ENDED };

struct em_inflater {
    struct em_reader *packed;
    uint64_t in_base; /* offset of in[0] */
    size_t in_at, in_size;
    bool in_last; /* nothing follows in */
    uint64_t bits;
    unsigned count; /* of the bits that count; the others are those that come next, or zero */

    uint64_t out_base; /* offset of out[0] in the file */
    size_t out_at;

    enum state state;
    bool final; /* the block that is being read is the last */
    uint32_t stored_left;
    uint64_t block_bit;
    const char *problem;

    struct em_blocks *blocks;
    struct em_arena *arena;

    struct em_codes codes;
    uint8_t in[IN_ROOM + IN_SPARE], out[OUT_ROOM];
};

/* The tables and the rooms are as they come: nothing in them counts before it was filled. */
struct em_inflater *em_inflater_new(struct em_reader *packed)
{
    struct em_inflater *inflater = malloc(sizeof *inflater);

    if (!inflater)
        return NULL;
    memset(inflater, 0, offsetof(struct em_inflater, codes));
    inflater->codes.fixed = false;
    inflater->packed = packed;
    return inflater;
}

void em_inflater_free(struct em_inflater *inflater)
{
    free(inflater);
}

void em_inflater_tell(struct em_inflater *inflater, struct em_blocks *blocks, struct em_arena *arena)
{
    inflater->blocks = blocks;
    inflater->arena = arena;
}

const char *em_inflater_problem(const struct em_inflater *inflater)
{
    return inflater->problem;
}

/* ---- input ---- */

static uint64_t bit_position(const struct em_inflater *inflater)
{
    return (inflater->in_base + inflater->in_at) * 8 - inflater->count;
}

uint64_t em_inflater_end(const struct em_inflater *inflater)
{
    return (bit_position(inflater) + 7) / 8;
}

static int broken(struct em_inflater *inflater, struct em_error *error)
{
    bool off = bit_position(inflater) > inflater->packed->size * 8;

    inflater->problem = off ? "breaks off" : "is broken";
    return em_fail_at(error, EM_BAD_ZIP, inflater->packed->name, bit_position(inflater) / 8, "is a deflate stream that %s",
                      inflater->problem);
}

/* At least 56 bits (as in libdeflate: the bits above count are read again, the same). */
#define REFILL()                                                                                                               \
    do {                                                                                                                       \
        uint64_t word;                                                                                                         \
        memcpy(&word, in, sizeof word);                                                                                        \
        bits |= le64toh(word) << (count & 63);                                                                                 \
        in += ~count >> 3 & 7;                                                                                                 \
        count |= 56;                                                                                                           \
    } while (0)
#define DROP(n) (bits >>= (n), count -= (n))
/* As many as an entry of the tables says. What is above its lowest byte goes into count too, where only the lowest six bits count. */
#define SKIP(entry) (bits >>= (entry)&63, count -= (entry))
#define LOW(value, n) ((value) & ~(~UINT64_C(0) << (n)))

/* Room for the longest header, or all there is and zeros behind it. */
static int fill(struct em_inflater *inflater, struct em_error *error)
{
    uint64_t at = inflater->in_base + inflater->in_size, left = inflater->packed->size - at;
    size_t kept, more;
    int r;

    if (inflater->in_last || inflater->in_size - inflater->in_at >= IN_SPARE)
        return EM_OK;
    /* Whole bytes at hand go back: a stored block begins among them. */
    inflater->in_at -= inflater->count / 8;
    inflater->count %= 8;
    inflater->bits = LOW(inflater->bits, inflater->count);
    kept = inflater->in_size - inflater->in_at;
    memmove(inflater->in, inflater->in + inflater->in_at, kept);
    inflater->in_base += inflater->in_at;
    inflater->in_at = 0;
    more = left < IN_ROOM - kept ? (size_t)left : IN_ROOM - kept;
    r = em_read_at(inflater->packed, inflater->in + kept, more, at, error);
    if (r < 0)
        return r;
    inflater->in_size = kept + more;
    inflater->in_last = more == left;
    if (inflater->in_last)
        memset(inflater->in + inflater->in_size, 0, IN_SPARE);
    return EM_OK;
}

static void seek(struct em_inflater *inflater, uint64_t byte)
{
    inflater->bits = inflater->count = 0;
    if (byte >= inflater->in_base && byte <= inflater->in_base + inflater->in_size) {
        inflater->in_at = (size_t)(byte - inflater->in_base);
        return;
    }
    inflater->in_base = byte;
    inflater->in_at = inflater->in_size = 0;
    inflater->in_last = false;
}

/* The next few bits of a header. Beyond the end they are zero, which whoever asked finds out by the position. */
static unsigned take(struct em_inflater *inflater, unsigned n)
{
    const uint8_t *in = inflater->in + inflater->in_at;
    uint64_t bits = inflater->bits;
    unsigned count = inflater->count, value;

    REFILL();
    value = (unsigned)LOW(bits, n);
    DROP(n);
    inflater->bits = bits;
    inflater->count = count;
    inflater->in_at = (size_t)(in - inflater->in);
    return value;
}

static int go_to_bit(struct em_inflater *inflater, uint64_t bit, struct em_error *error)
{
    int r;

    seek(inflater, bit / 8);
    r = fill(inflater, error);
    if (r == EM_OK && bit % 8)
        take(inflater, bit % 8);
    return r;
}

/* ---- the header of a block ---- */

/* RFC 1951, 3.2.7: the code lengths, in a code of their own. */
static bool read_codes(struct em_inflater *inflater)
{
    static const uint8_t order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
    unsigned count = take(inflater, 5) + 257, distances = take(inflater, 5) + 1, header = take(inflater, 4) + 4;
    uint8_t lengths[LENGTH_CODES + DISTANCE_CODES + 138] = { 0 }, own[19] = { 0 };
    uint32_t table[128];

    if (count > 286 || distances > 30)
        return false;
    for (unsigned i = 0; i < header; i++)
        own[order[i]] = (uint8_t)take(inflater, 3);
    if (!em_codes_build_header(table, own))
        return false;
    for (unsigned i = 0; i < count + distances;) {
        unsigned symbol, repeat;
        uint32_t entry;
        uint8_t value = 0;

        take(inflater, 0);
        entry = table[inflater->bits & 127];
        take(inflater, entry & 63);
        symbol = entry >> 16;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && i == 0)
            return false;
        if (symbol == 16)
            value = lengths[i - 1];
        repeat = symbol == 16 ? 3 + take(inflater, 2) : symbol == 17 ? 3 + take(inflater, 3) : 11 + take(inflater, 7);
        if (repeat > count + distances - i)
            return false;
        memset(lengths + i, value, repeat);
        i += repeat;
    }
    return lengths[256] > 0 && em_codes_build(&inflater->codes, lengths, count, lengths + count, distances);
}

static bool read_stored(struct em_inflater *inflater)
{
    unsigned size, complement;

    seek(inflater, em_inflater_end(inflater)); /* the rest of the byte says nothing */
    size = take(inflater, 16);
    complement = take(inflater, 16);
    inflater->stored_left = size;
    if (size != (~complement & 0xffff))
        return false;
    seek(inflater, em_inflater_end(inflater));
    return true;
}

static int read_header(struct em_inflater *inflater, struct em_error *error)
{
    int r = fill(inflater, error);
    bool good = false;

    if (r < 0)
        return r;
    inflater->block_bit = bit_position(inflater);
    inflater->final = take(inflater, 1);
    switch (take(inflater, 2)) {
    case 0:
        good = read_stored(inflater);
        inflater->state = STORED;
        break;
    case 1:
        em_codes_fix(&inflater->codes);
        good = true;
        inflater->state = CODES;
        break;
    case 2:
        good = read_codes(inflater);
        inflater->state = CODES;
        break;
    }
    return good && bit_position(inflater) <= inflater->packed->size * 8 ? EM_OK : broken(inflater, error);
}

static int tell_begin(struct em_inflater *inflater)
{
    struct em_blocks *blocks = inflater->blocks;
    struct em_block block = { inflater->block_bit, inflater->out_base + inflater->out_at };

    if (!blocks)
        return EM_OK;
    if (inflater->final)
        blocks->last_bit = block.bit;
    if (blocks->count > 0 && block.out < blocks->items[blocks->count - 1].out + LEAST_RUN)
        return EM_OK;
    return em_vec_push(inflater->arena, blocks, block);
}

static void end_block(struct em_inflater *inflater)
{
    inflater->state = inflater->final ? ENDED : HEADER;
    if (inflater->final && inflater->blocks) {
        inflater->blocks->end_bit = bit_position(inflater);
        inflater->blocks->size = inflater->out_base + inflater->out_at;
    }
}

/* ---- what a block says ---- */

static int copy_stored(struct em_inflater *inflater, size_t limit, struct em_error *error)
{
    int r = fill(inflater, error);
    size_t size = inflater->stored_left;

    if (r < 0)
        return r;
    if (size > limit - inflater->out_at)
        size = limit - inflater->out_at;
    if (size > inflater->in_size - inflater->in_at)
        size = inflater->in_size - inflater->in_at;
    if (size == 0 && inflater->stored_left > 0) {
        inflater->problem = "breaks off";
        return em_fail_at(error, EM_BAD_ZIP, inflater->packed->name, inflater->packed->size, "is a deflate stream that %s",
                          inflater->problem);
    }
    memcpy(inflater->out + inflater->out_at, inflater->in + inflater->in_at, size);
    inflater->in_at += size;
    inflater->out_at += size;
    inflater->stored_left -= (uint32_t)size;
    if (inflater->stored_left == 0)
        end_block(inflater);
    return EM_OK;
}

/* May write up to 31 bytes more, which the next symbols overwrite. */
static inline __attribute__((always_inline)) void copy_match(uint8_t *out, size_t distance, size_t length)
{
    const uint8_t *from = out - distance, *end = out + length;

    if (distance >= 16) {
        /* Most matches are no longer than this, and a loop's end is guessed wrong often. */
        memcpy(out, from, 16);
        memcpy(out + 16, from + 16, 16);
        for (out += 32, from += 32; out < end; out += 16, from += 16)
            memcpy(out, from, 16);
    } else if (distance >= 8) {
        do {
            memcpy(out, from, 8);
            out += 8;
            from += 8;
        } while (out < end);
    } else if (distance == 1) {
        memset(out, *from, length);
    } else {
        while (out < end)
            *out++ = *from++;
    }
}

enum stop { STOP_MARGIN, STOP_END, STOP_BROKEN };

/* Symbols until the block ends, or input or output come near their margin. Both are looked at once a round: a round reads at most
 * two words and writes at most OUT_SPARE bytes.
 *
 * A round begins with 56 bits at hand and the entry of its first symbol looked up: what comes next is found while the match before
 * it is copied. Two literals and a length are at most 42 bits, so that there are still enough to look up the distance. */
static inline __attribute__((always_inline)) enum stop decode_symbols(struct em_inflater *inflater, size_t limit)
{
    const uint32_t *lengths = inflater->codes.lengths, *distances = inflater->codes.distances;
    const uint8_t *in = inflater->in + inflater->in_at;
    const uint8_t *in_limit = inflater->in + inflater->in_size + (inflater->in_last ? 8 : 0) - (inflater->in_last ? 0 : 32);
    uint8_t *const begin = inflater->out, *out = begin + inflater->out_at;
    const uint8_t *out_limit = begin + limit - OUT_SPARE;
    uint64_t bits = inflater->bits;
    unsigned count = inflater->count;
    enum stop stop = STOP_MARGIN;
    uint32_t entry;

    if (in >= in_limit || out >= out_limit)
        return STOP_MARGIN;
    REFILL();
    entry = lengths[LOW(bits, LENGTH_BITS)];
    do {
        uint64_t saved;
        size_t length, distance;

        if (entry & LITERAL) {
            SKIP(entry);
            *out++ = (uint8_t)(entry >> 16);
            entry = lengths[LOW(bits, LENGTH_BITS)];
            if (entry & LITERAL) {
                SKIP(entry);
                *out++ = (uint8_t)(entry >> 16);
                entry = lengths[LOW(bits, LENGTH_BITS)];
                if (entry & LITERAL) {
                    SKIP(entry);
                    *out++ = (uint8_t)(entry >> 16);
                    entry = lengths[LOW(bits, LENGTH_BITS)];
                    REFILL();
                    continue;
                }
            }
        }
        if (entry & OTHER) {
            if (entry & SUBTABLE) {
                DROP(LENGTH_BITS);
                entry = lengths[(entry >> 16) + LOW(bits, entry >> 8 & 15)];
                if (entry & LITERAL) {
                    SKIP(entry);
                    *out++ = (uint8_t)(entry >> 16);
                    REFILL();
                    entry = lengths[LOW(bits, LENGTH_BITS)];
                    continue;
                }
            }
            if (entry & OTHER) {
                SKIP(entry);
                stop = entry & END ? STOP_END : STOP_BROKEN;
                break;
            }
        }
        saved = bits;
        SKIP(entry);
        length = (entry >> 16) + (size_t)(LOW(saved, entry & 63) >> (entry >> 8 & 15));

        entry = distances[LOW(bits, DISTANCE_BITS)];
        REFILL();
        if (entry & OTHER) {
            if (entry & SUBTABLE) {
                DROP(DISTANCE_BITS);
                entry = distances[(entry >> 16) + LOW(bits, entry >> 8 & 15)];
            }
            if (entry & OTHER) {
                stop = STOP_BROKEN;
                break;
            }
        }
        saved = bits;
        SKIP(entry);
        distance = (entry >> 16) + (size_t)(LOW(saved, entry & 63) >> (entry >> 8 & 15));
        if (distance > (size_t)(out - begin)) {
            stop = STOP_BROKEN;
            break;
        }
        entry = lengths[LOW(bits, LENGTH_BITS)];
        REFILL();
        copy_match(out, distance, length);
        out += length;
    } while (in < in_limit && out < out_limit);
    inflater->in_at = (size_t)(in - inflater->in);
    inflater->bits = bits;
    inflater->count = count & 63;
    inflater->out_at = (size_t)(out - begin);
    return stop;
}

static enum stop decode_anywhere(struct em_inflater *inflater, size_t limit)
{
    return decode_symbols(inflater, limit);
}

#ifdef __x86_64__
/* The same with shifts by any register, which are a third of what there is to do. */
__attribute__((target("bmi,bmi2"))) static enum stop decode_bmi2(struct em_inflater *inflater, size_t limit)
{
    return decode_symbols(inflater, limit);
}
#endif

static enum stop decode(struct em_inflater *inflater, size_t limit)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
        return decode_bmi2(inflater, limit);
#endif
    return decode_anywhere(inflater, limit);
}

static int read_symbols(struct em_inflater *inflater, size_t limit, struct em_error *error)
{
    int r = fill(inflater, error);
    enum stop stop;

    if (r < 0)
        return r;
    stop = decode(inflater, limit);
    if (stop == STOP_BROKEN || bit_position(inflater) > inflater->packed->size * 8)
        return broken(inflater, error);
    if (stop == STOP_END)
        end_block(inflater);
    return EM_OK;
}

int em_inflater_next(struct em_inflater *inflater, uint64_t most, const uint8_t **bytes, size_t *size, struct em_error *error)
{
    size_t start, limit;
    int r = EM_OK;

    if (inflater->out_at > EM_INFLATE_WINDOW) {
        size_t over = inflater->out_at - EM_INFLATE_WINDOW;

        memmove(inflater->out, inflater->out + over, EM_INFLATE_WINDOW);
        inflater->out_base += over;
        inflater->out_at = EM_INFLATE_WINDOW;
    }
    start = inflater->out_at;
    limit = most < OUT_ROOM - start ? start + (size_t)most : OUT_ROOM;
    while (r == EM_OK && inflater->state != ENDED && inflater->out_at < limit - OUT_SPARE) {
        switch (inflater->state) {
        case HEADER:
            r = read_header(inflater, error);
            if (r == EM_OK)
                r = tell_begin(inflater);
            break;
        case CODES: r = read_symbols(inflater, limit, error); break;
        case STORED: r = copy_stored(inflater, limit, error); break;
        case ENDED: break;
        }
    }
    *bytes = inflater->out + start;
    *size = inflater->out_at - start;
    return r;
}

/* ---- leaving and entering ---- */

void em_inflater_leave(const struct em_inflater *inflater, struct em_inflate_point *point, uint8_t *window)
{
    size_t size = inflater->out_at < EM_INFLATE_WINDOW ? inflater->out_at : EM_INFLATE_WINDOW;

    *point = (struct em_inflate_point){ .out = inflater->out_base + inflater->out_at,
                                        .bit = bit_position(inflater),
                                        .ended = inflater->state == ENDED,
                                        .stored_left = inflater->state == STORED ? inflater->stored_left : 0 };
    point->block_bit = inflater->state == HEADER || inflater->state == ENDED ? point->bit : inflater->block_bit;
    memcpy(window, inflater->out + inflater->out_at - size, size);
}

int em_inflater_enter(struct em_inflater *inflater, const struct em_inflate_point *point, const uint8_t *window,
                      struct em_error *error)
{
    size_t size = point->out < EM_INFLATE_WINDOW ? (size_t)point->out : EM_INFLATE_WINDOW;
    int r = go_to_bit(inflater, point->block_bit, error);

    memcpy(inflater->out, window, size);
    inflater->out_at = size;
    inflater->out_base = point->out - size;
    inflater->state = point->ended ? ENDED : HEADER;
    if (r < 0 || point->block_bit == point->bit)
        return r;
    r = read_header(inflater, error);
    if (r == EM_OK)
        r = go_to_bit(inflater, point->bit, error);
    inflater->stored_left = point->stored_left;
    return r;
}
