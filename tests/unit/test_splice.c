/* A spliced stream inflates to the new file, whatever compressor made the old one and whatever changed: random files, streams of zlib
 * in all its settings, flushed anywhere, and of libdeflate, edited, grown and cut at random; judged by two inflaters.
 * ELFMEND_SPLICE_CASES=10000 for the long run. */
#include "bundle/wheel/splice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define MOST ((size_t)1 << 20)

static uint64_t seed;
#define ROOM (MOST + 16384)

static uint8_t old[ROOM], new[ROOM], packed[ROOM * 2], result[ROOM * 3], again[ROOM];

static uint64_t random64(void)
{
    /* splitmix64: the same cases on every machine. */
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(size_t limit)
{
    return limit ? (size_t)(random64() % limit) : 0;
}

/* Noise, runs, text of few words, and copies of what came before, as libraries are made of. */
static void fill(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = 1 + below(below(4) ? 4000 : 60000), from;

        length = length < size - at ? length : size - at;
        switch (below(5)) {
        case 0:
            for (size_t i = 0; i < length; i++)
                bytes[at + i] = (uint8_t)random64();
            break;
        case 1: memset(bytes + at, (int)below(3), length); break;
        case 2:
            for (size_t i = 0; i < length; i++)
                bytes[at + i] = (uint8_t)("the loader asks for a library "[(i + below(3)) % 30]);
            break;
        default:
            from = at ? below(at) : 0;
            for (size_t i = 0; i < length; i++)
                bytes[at + i] = at ? bytes[from + i % (at - from)] : 7;
        }
        at += length;
    }
}

static size_t by_zlib(const uint8_t *bytes, size_t size)
{
    z_stream stream = { 0 };
    size_t done = 0;

    assert_int_equal(deflateInit2(&stream, (int)below(10), Z_DEFLATED, -15, 1 + (int)below(9), (int)below(5)), Z_OK);
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    while (done < size) {
        static const int kinds[] = { Z_NO_FLUSH, Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
        size_t part = 1 + below(below(3) ? 200000 : 5000);

        part = part < size - done ? part : size - done;
        stream.next_in = (uint8_t *)(uintptr_t)(bytes + done);
        stream.avail_in = (uInt)part;
        assert_int_equal(deflate(&stream, kinds[below(6)]), Z_OK);
        done += part;
    }
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return sizeof packed - stream.avail_out;
}

static size_t by_libdeflate(const uint8_t *bytes, size_t size)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor((int)below(10));
    size_t made = libdeflate_deflate_compress(compressor, bytes, size, packed, sizeof packed);

    libdeflate_free_compressor(compressor);
    assert_true(made > 0);
    return made;
}

/* A few edits, and now and then another length. Returns the new size. */
static size_t change(size_t size)
{
    size_t edits = below(4) ? below(5) : below(40), now = size;

    memcpy(new, old, size);
    for (size_t i = 0; i < edits && size > 0; i++) {
        size_t at = below(size), length = 1 + below(below(2) ? 8 : 3000);

        for (size_t j = at; j < size && j < at + length; j++)
            new[j] = (uint8_t)random64();
    }
    switch (below(5)) {
    case 0: now = below(size + 1); break;
    case 1:
    case 2:
        now = size + below(below(2) ? 10000 : MOST - size);
        fill(new + size, now - size);
        break;
    default: break;
    }
    return now;
}

/* Ranges in which the two differ, sometimes told wider than they are. */
static void find_changes(struct em_arena *arena, struct em_changes *changes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t begin = at;

        while (at < size && old[at] != new[at])
            at++;
        if (at > begin)
            assert_int_equal(em_vec_push(arena, changes, ((struct em_change){ begin, at })), EM_OK);
        at += at == begin;
    }
}

static struct {
    size_t cases, worth, kept, encoded;
} sums;

static void one_case(FILE *scratch_file)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    size_t size = below(8) ? below(MOST / 4) : below(MOST), made, now, out_size = 0;
    struct em_blocks blocks;
    struct em_changes changes = { 0 };
    struct em_spliced spliced;
    struct em_scratch scratch = { .fd = fileno(scratch_file) };
    struct em_error error = EM_ERROR_INIT;
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    struct em_sha256 sha256, wanted;
    uint32_t crc;

    fill(old, size);
    made = below(2) ? by_zlib(old, size) : by_libdeflate(old, size);
    now = change(size);
    find_changes(arena, &changes, now < size ? now : size);
    {
        struct em_bytes packed_bytes = { packed, made }, plain_bytes = { new, now }, result_bytes = { result, 0 };
        struct em_reader packed_reader = em_reader_memory(&packed_bytes, "packed");
        struct em_reader plain = em_reader_memory(&plain_bytes, "plain"), pieces, stream;
        struct em_pieced pieced = { &spliced.pieces, &packed_reader, &scratch, 0, 0 };

        if (em_splice_index(&blocks, arena, &packed_reader, NULL, NULL, &error) < 0)
            fail_msg("case %zu: %s at %lld of %zu, plain %zu", sums.cases, error.sentence, (long long)error.offset, made, size);
        assert_int_equal(blocks.size, size);
        assert_true(blocks.end_bit <= made * 8 && blocks.end_bit + 8 > made * 8);
        assert_int_equal(em_splice(&spliced, arena, &blocks, &packed_reader, &changes, &plain,
                                   below(4) ? 100 : EM_SPLICE_WORTH_PERCENT, &scratch, &error),
                         EM_OK);
        sums.cases++;
        sums.encoded += spliced.encoded;
        if (!spliced.worth)
            goto done;
        sums.worth++;
        pieces = em_pieces_reader(&pieced, spliced.packed_size);
        assert_true(spliced.packed_size <= sizeof result);
        if (em_splice_check(&pieces, &plain, &sha256, &crc, &error) < 0)
            fail_msg("seed %llx: %s at %lld", (unsigned long long)seed, error.sentence, (long long)error.offset);
        em_sha256_bytes(new, now, &wanted);
        assert_true(em_sha256_equal(&sha256, &wanted));
        assert_int_equal(crc, crc32(0, new, (uInt)now));
        em_vec_each (const struct em_piece, piece, &spliced.pieces)
            sums.kept += piece->packed ? piece->size : 0;
        assert_int_equal(em_read_at(&pieces, result, (size_t)spliced.packed_size, 0, &error), EM_OK);
        result_bytes.size = (size_t)spliced.packed_size;
        stream = em_reader_memory(&result_bytes, "result");
        assert_int_equal(
            libdeflate_deflate_decompress(decompressor, result, (size_t)spliced.packed_size, again, sizeof again, &out_size),
            LIBDEFLATE_SUCCESS);
        assert_int_equal(out_size, now);
        assert_memory_equal(again, new, now);
        /* Spliced once more, nothing changed: the same stream. */
        pieced.packed = &stream;
        assert_int_equal(em_splice_index(&blocks, arena, &stream, NULL, NULL, &error), EM_OK);
        assert_int_equal(em_splice(&spliced, arena, &blocks, &stream, &(struct em_changes){ 0 }, &plain,
                                   EM_SPLICE_WORTH_PERCENT, &scratch, &error),
                         EM_OK);
        assert_int_equal(spliced.encoded, 0);
        assert_int_equal(spliced.packed_size, result_bytes.size);
    }
done:
    libdeflate_free_decompressor(decompressor);
}

static void spliced_streams_inflate_to_the_new_file(void **state)
{
    const char *wish = getenv("ELFMEND_SPLICE_CASES");
    size_t cases = wish ? strtoul(wish, NULL, 10) : 300;
    FILE *scratch = tmpfile();

    (void)state;
    for (size_t i = 0; i < cases; i++) {
        seed = i * 7919 + 1;
        one_case(scratch);
    }
    fclose(scratch);
    print_message("# %zu cases, %zu spliced, %zu bytes kept, %zu encoded anew\n", sums.cases, sums.worth, sums.kept,
                  sums.encoded);
    assert_true(sums.worth > cases / 3);
}

/* What cannot be inflated is refused and not guessed at; any one byte of a stream may be wrong. */
static void a_broken_stream_is_refused(void **state)
{
    (void)state;
    seed = 5;
    fill(old, 30000);
    for (size_t i = 0; i < 2000; i++) {
        em_cleanup_arena struct em_arena *arena = em_arena_new();
        size_t made = by_zlib(old, 30000), cut = below(3) ? made : below(made);
        struct em_bytes bytes = { packed, cut };
        struct em_reader reader = em_reader_memory(&bytes, "packed");
        struct em_blocks blocks;
        struct em_error error = EM_ERROR_INIT;
        int r;

        packed[below(made)] ^= (uint8_t)(1 << below(8));
        r = em_splice_index(&blocks, arena, &reader, NULL, NULL, &error);
        assert_true(r == EM_OK || (r == EM_BAD_ZIP && error.sentence[0]));
        assert_true(cut == made || r == EM_BAD_ZIP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spliced_streams_inflate_to_the_new_file),
        cmocka_unit_test(a_broken_stream_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
