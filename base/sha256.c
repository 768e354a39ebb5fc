#include "base/sha256.h"

#include <string.h>

#define BLOCK ((size_t)64)

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,sse4.1")))
#define INLINE_WITH_SHA static inline __attribute__((always_inline, target("sha,sse4.1")))

bool em_sha256_is_here(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* FIPS 180-4, 4.2.2 */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* A stream in registers: the eight words of the state in the order that the instructions want, a b e f and c d g h, and the sixteen
 * last words of the message schedule. */
struct lane {
    __m128i abef, cdgh, words[4];
};

INLINE_WITH_SHA void load_state(struct lane *lane, const uint32_t state[8])
{
    const __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);

    lane->abef = _mm_alignr_epi8(abcd, efgh, 8);
    lane->cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);
}

INLINE_WITH_SHA void store_state(const struct lane *lane, uint32_t state[8])
{
    const __m128i feba = _mm_shuffle_epi32(lane->abef, 0x1b), dchg = _mm_shuffle_epi32(lane->cdgh, 0xb1);

    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE_WITH_SHA void load_block(struct lane *lane, const uint8_t *data)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

    for (int i = 0; i < 4; i++)
        lane->words[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), big_endian);
}

/* Rounds t and t + 1, by the lower two words of sum, which has the words of the schedule and the constants added up; then the two
 * after them by the upper two. Each exchanges the halves of the state. */
INLINE_WITH_SHA void two_rounds(struct lane *lane, __m128i sum)
{
    lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, sum);
}

INLINE_WITH_SHA void two_more_rounds(struct lane *lane, __m128i sum)
{
    lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/* The words of the schedule for the rounds to come, over those that were used sixteen rounds ago (6.2.2, step 1). */
INLINE_WITH_SHA void schedule(struct lane *lane, int i)
{
    const __m128i last = lane->words[(i + 3) % 4];
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(lane->words[i], lane->words[(i + 1) % 4]),
                                      _mm_alignr_epi8(last, lane->words[(i + 2) % 4], 4));

    lane->words[i] = _mm_sha256msg2_epu32(sum, last);
}

/* Spelled out, and the streams in turns: so all of both stays in registers, and neither waits. The first sixteen rounds have the words
 * of the block itself. */
#define FOUR_ROUNDS(t, i)                                                                                                      \
    do {                                                                                                                       \
        const __m128i constant = _mm_loadu_si128((const __m128i *)(constants + (t) + 4 * (i)));                                \
        __m128i sum_a, sum_b;                                                                                                  \
                                                                                                                               \
        if ((t) > 0)                                                                                                           \
            schedule(&a, (i));                                                                                                 \
        if ((t) > 0 && two)                                                                                                    \
            schedule(&b, (i));                                                                                                 \
        sum_a = _mm_add_epi32(a.words[i], constant);                                                                           \
        sum_b = two ? _mm_add_epi32(b.words[i], constant) : constant;                                                          \
        two_rounds(&a, sum_a);                                                                                                 \
        if (two)                                                                                                               \
            two_rounds(&b, sum_b);                                                                                             \
        two_more_rounds(&a, sum_a);                                                                                            \
        if (two)                                                                                                               \
            two_more_rounds(&b, sum_b);                                                                                        \
    } while (0)
#define SIXTEEN_ROUNDS(t)                                                                                                      \
    do {                                                                                                                       \
        FOUR_ROUNDS(t, 0);                                                                                                     \
        FOUR_ROUNDS(t, 1);                                                                                                     \
        FOUR_ROUNDS(t, 2);                                                                                                     \
        FOUR_ROUNDS(t, 3);                                                                                                     \
    } while (0)

INLINE_WITH_SHA void compress(uint32_t state_a[8], const uint8_t *data_a, uint32_t state_b[8], const uint8_t *data_b,
                              size_t blocks, bool two)
{
    struct lane a, b, a_before, b_before;

    load_state(&a, state_a);
    if (two)
        load_state(&b, state_b);
    for (; blocks > 0; blocks--) {
        a_before = a;
        load_block(&a, data_a);
        if (two) {
            b_before = b;
            load_block(&b, data_b);
        }
        SIXTEEN_ROUNDS(0);
        SIXTEEN_ROUNDS(16);
        SIXTEEN_ROUNDS(32);
        SIXTEEN_ROUNDS(48);
        a.abef = _mm_add_epi32(a.abef, a_before.abef);
        a.cdgh = _mm_add_epi32(a.cdgh, a_before.cdgh);
        if (two) {
            b.abef = _mm_add_epi32(b.abef, b_before.abef);
            b.cdgh = _mm_add_epi32(b.cdgh, b_before.cdgh);
            data_b += BLOCK;
        }
        data_a += BLOCK;
    }
    store_state(&a, state_a);
    if (two)
        store_state(&b, state_b);
}

WITH_SHA static void compress_one(struct em_sha256_stream *stream, const uint8_t *data, size_t blocks)
{
    compress(stream->state, data, NULL, NULL, blocks, false);
}

WITH_SHA static void compress_two(struct em_sha256_stream *a, const uint8_t *data_a, struct em_sha256_stream *b,
                                  const uint8_t *data_b, size_t blocks)
{
    compress(a->state, data_a, b->state, data_b, blocks, true);
}

#else /* no such instructions: nothing below is called */

bool em_sha256_is_here(void)
{
    return false;
}

static void compress_one(struct em_sha256_stream *stream, const uint8_t *data, size_t blocks)
{
    (void)stream, (void)data, (void)blocks;
}

static void compress_two(struct em_sha256_stream *a, const uint8_t *data_a, struct em_sha256_stream *b, const uint8_t *data_b,
                         size_t blocks)
{
    (void)a, (void)data_a, (void)b, (void)data_b, (void)blocks;
}

#endif

void em_sha256_begin(struct em_sha256_stream *stream)
{
    /* FIPS 180-4, 5.3.3 */
    *stream = (struct em_sha256_stream){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                                    0x1f83d9ab, 0x5be0cd19 } };
}

/* Fills the block that was begun, from data. Returns how many bytes of it that took. */
static size_t fill(struct em_sha256_stream *stream, const uint8_t *data, size_t size)
{
    const size_t used = stream->size % BLOCK, room = used > 0 ? BLOCK - used : 0, take = size < room ? size : room;

    if (take == 0)
        return 0;
    memcpy(stream->rest + used, data, take);
    stream->size += take;
    if (take == room)
        compress_one(stream, stream->rest, 1);
    return take;
}

/* What no longer fills a block. */
static void keep(struct em_sha256_stream *stream, const uint8_t *data, size_t size)
{
    if (size > 0)
        memcpy(stream->rest, data, size);
    stream->size += size;
}

void em_sha256_add(struct em_sha256_stream *stream, const void *data, size_t size)
{
    const uint8_t *at = data;
    const size_t taken = fill(stream, at, size), blocks = (size - taken) / BLOCK;

    at += taken;
    size -= taken;
    if (blocks > 0)
        compress_one(stream, at, blocks);
    stream->size += blocks * BLOCK;
    keep(stream, at + blocks * BLOCK, size - blocks * BLOCK);
}

void em_sha256_add_two(struct em_sha256_stream *a, const void *data_a, struct em_sha256_stream *b, const void *data_b,
                       size_t size)
{
    const uint8_t *at_a = data_a, *at_b = data_b;
    const size_t taken_a = fill(a, at_a, size), taken_b = fill(b, at_b, size);
    const size_t blocks = (size - (taken_a > taken_b ? taken_a : taken_b)) / BLOCK, both = blocks * BLOCK;

    at_a += taken_a;
    at_b += taken_b;
    if (blocks > 0)
        compress_two(a, at_a, b, at_b, blocks);
    a->size += both;
    b->size += both;
    em_sha256_add(a, at_a + both, size - taken_a - both);
    em_sha256_add(b, at_b + both, size - taken_b - both);
}

/* FIPS 180-4, 5.1.1: a one bit, zeros, and the length in bits at the end of a block. */
void em_sha256_end(struct em_sha256_stream *stream, uint8_t digest[32])
{
    static const uint8_t padding[BLOCK] = { 0x80 };
    const uint64_t bits = stream->size * 8;
    const size_t used = stream->size % BLOCK;
    uint8_t length[8];

    for (unsigned i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    em_sha256_add(stream, padding, (used < 56 ? 56 : 56 + BLOCK) - used);
    em_sha256_add(stream, length, sizeof length);
    for (unsigned i = 0; i < 32; i++)
        digest[i] = (uint8_t)(stream->state[i / 4] >> (24 - 8 * (i % 4)));
}
