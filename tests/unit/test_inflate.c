/* The inflater says of every stream what zlib says of it: the same bytes, or that it is broken. Random files, streams of zlib in all
 * its settings and of libdeflate, whole, cut, and with wrong bits; left at any piece and entered there again by another inflater.
 * ELFMEND_INFLATE_CASES=100000 for the long run. */
#include "bundle/tree/inflate.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#define MOST ((size_t)600 << 10)

static uint8_t plain[MOST], packed[MOST * 2], ours[MOST * 2], theirs[MOST * 2];
static struct {
    size_t cases, good, bad, entered;
} sums;

/* Long matches, near ones and far ones, literals of a skewed alphabet (long codes), noise. */
static void fill(size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = 1 + below(below(3) ? 300 : 40000), kind = below(5), back = 1 + below(below(2) ? 40 : 40000);

        for (length = length < size - at ? length : size - at; length > 0; length--, at++)
            plain[at] = kind == 0                ? (uint8_t)random64()
                        : kind < 3 && at >= back ? plain[at - back]
                        : kind == 3              ? (uint8_t)__builtin_ctzll(random64() | UINT64_C(1) << 63)
                                                 : (uint8_t)(at / 100);
    }
}

static size_t pack(size_t size)
{
    z_stream stream = { 0 };
    struct libdeflate_compressor *compressor;
    size_t done = 0, made;

    if (below(2)) {
        compressor = libdeflate_alloc_compressor((int)below(13));
        made = libdeflate_deflate_compress(compressor, plain, size, packed, sizeof packed);
        libdeflate_free_compressor(compressor);
        return made;
    }
    assert_int_equal(deflateInit2(&stream, (int)below(10), Z_DEFLATED, -15, 1 + (int)below(9), (int)below(5)), Z_OK);
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    while (done < size) {
        static const int kinds[] = { Z_NO_FLUSH, Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
        size_t part = 1 + below(below(3) ? 200000 : 300);

        part = part < size - done ? part : size - done;
        stream.next_in = plain + done;
        stream.avail_in = (uInt)part;
        assert_int_equal(deflate(&stream, kinds[below(6)]), Z_OK);
        done += part;
    }
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return sizeof packed - stream.avail_out;
}

/* What zlib makes of it: Z_STREAM_END and all that was made, or why not. */
static int by_zlib(size_t size, size_t *made, size_t *used)
{
    z_stream stream = { .next_in = packed, .avail_in = (uInt)size, .next_out = theirs, .avail_out = sizeof theirs };
    int status;

    assert_int_equal(inflateInit2(&stream, -15), Z_OK);
    status = inflate(&stream, Z_FINISH);
    *made = stream.total_out;
    *used = stream.total_in;
    inflateEnd(&stream);
    return status;
}

/* With an inflater that is left and replaced now and then. */
static int by_us(struct em_reader *reader, size_t *made, size_t *used, struct em_error *error)
{
    struct em_inflater *inflater = em_inflater_new(reader);
    int r = EM_OK;

    for (*made = 0; r == EM_OK;) {
        const uint8_t *bytes;
        size_t size, most = below(3) ? EM_INFLATE_LEAST + below(20000) : SIZE_MAX;

        r = em_inflater_next(inflater, most, &bytes, &size, error);
        if (r < 0 || size == 0)
            break;
        assert_true(size <= most);
        if (size > sizeof ours - *made) {
            r = EM_LIMIT; /* a wrong bit can make much of little */
            break;
        }
        memcpy(ours + *made, bytes, size);
        *made += size;
        if (below(6) == 0) {
            uint8_t window[EM_INFLATE_WINDOW];
            struct em_inflate_point point;

            em_inflater_leave(inflater, &point, window);
            assert_int_equal(point.out, *made);
            em_inflater_free(inflater);
            inflater = em_inflater_new(reader);
            r = em_inflater_enter(inflater, &point, window, error);
            sums.entered++;
        }
    }
    *used = (size_t)em_inflater_end(inflater);
    assert_true((r == EM_BAD_ZIP) == (em_inflater_problem(inflater) != NULL));
    em_inflater_free(inflater);
    return r;
}

static void compare(size_t size)
{
    struct em_bytes bytes = { packed, size };
    struct em_reader reader = em_reader_memory(&bytes, "packed");
    struct em_error error = EM_ERROR_INIT;
    size_t our_size, their_size, our_end, their_end;
    int r = by_us(&reader, &our_size, &our_end, &error), status = by_zlib(size, &their_size, &their_end);

    sums.cases++;
    if (r == EM_LIMIT) {
        assert_int_equal(status, Z_BUF_ERROR);
        return;
    }
    if ((r == EM_OK) != (status == Z_STREAM_END))
        fail_msg("case %zu: we say %s, zlib says %d", sums.cases, r == EM_OK ? "good" : error.sentence, status);
    if (r < 0) {
        assert_int_equal(r, EM_BAD_ZIP);
        sums.bad++;
        return;
    }
    assert_int_equal(our_end, their_end);
    assert_int_equal(our_size, their_size);
    assert_memory_equal(ours, theirs, our_size);
    sums.good++;
}

static void every_stream_is_what_zlib_says_it_is(void **state)
{
    const char *wish = getenv("ELFMEND_INFLATE_CASES");
    size_t cases = wish ? strtoul(wish, NULL, 10) : 1500;

    (void)state;
    for (size_t i = 0; i < cases; i++) {
        size_t size, made;

        seed = i * 7907 + 11;
        size = below(8) ? below(20000) : below(MOST);
        fill(size);
        made = pack(size);
        compare(made);
        for (size_t flips = 1 + below(3); flips > 0; flips--)
            packed[below(2) ? below(made) : below(made < 200 ? made : 200)] ^= (uint8_t)(1 << below(8));
        compare(made);
        compare(below(made));
    }
    print_message("# %zu streams: %zu good, %zu broken, entered %zu times\n", sums.cases, sums.good, sums.bad, sums.entered);
    assert_true(sums.good >= cases && sums.bad >= cases && sums.entered > cases / 2);
}

/* Headers are where decoders go wrong: bits at random, of which a few make codes. */
static void every_header_is_what_zlib_says_it_is(void **state)
{
    size_t good = sums.good;

    (void)state;
    for (size_t i = 0; i < 100000; i++) {
        size_t size = 1 + below(300);

        seed = i * 15485863 + 5;
        for (size_t at = 0; at < size; at++)
            packed[at] = (uint8_t)random64();
        packed[0] = (uint8_t)((packed[0] & ~7u) | (below(4) ? 5 : below(8)));
        compare(size);
    }
    assert_true(sums.good >= good);
}

/* Borders of blocks are those that zlib tells, and what the last one says of itself. */
static void borders_are_where_zlib_sees_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++) {
        em_cleanup_arena struct em_arena *arena = em_arena_new();
        struct em_blocks blocks = { 0 };
        struct em_bytes bytes = { packed, 0 };
        struct em_error error = EM_ERROR_INIT;
        z_stream stream = { .next_in = packed };
        struct em_inflater *inflater;
        struct em_reader reader;
        const uint8_t *made;
        size_t size, known = 0;

        seed = i * 65537 + 1;
        fill(size = below(MOST));
        bytes.size = pack(size);
        reader = em_reader_memory(&bytes, "packed");
        inflater = em_inflater_new(&reader);
        em_inflater_tell(inflater, &blocks, arena);
        do
            assert_int_equal(em_inflater_next(inflater, UINT64_MAX, &made, &size, &error), EM_OK);
        while (size > 0);
        em_inflater_free(inflater);

        stream.avail_in = (uInt)bytes.size;
        stream.next_out = theirs;
        stream.avail_out = sizeof theirs;
        assert_int_equal(inflateInit2(&stream, -15), Z_OK);
        for (uint64_t bit = 0, last = 0, out = 0;;) {
            int status;

            if (known < blocks.count && blocks.items[known].bit == bit)
                assert_int_equal(blocks.items[known++].out, out);
            status = inflate(&stream, Z_BLOCK);
            assert_true(status == Z_OK || status == Z_STREAM_END);
            if (!(stream.data_type & 128) && status == Z_OK)
                continue; /* the stop before the first block */
            last = bit;
            bit = stream.total_in * 8 - (unsigned)(stream.data_type & 7);
            out = stream.total_out;
            if (stream.data_type & 64) {
                assert_int_equal(blocks.last_bit, last);
                assert_int_equal(blocks.end_bit, bit);
                assert_int_equal(blocks.size, out);
                break;
            }
        }
        assert_int_equal(known, blocks.count);
        inflateEnd(&stream);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_is_what_zlib_says_it_is),
        cmocka_unit_test(every_header_is_what_zlib_says_it_is),
        cmocka_unit_test(borders_are_where_zlib_sees_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
