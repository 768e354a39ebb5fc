/* A spliced stream inflates to the new file, whatever compressor made the old one and whatever changed: random files, streams of zlib
 * in all its settings, flushed anywhere, and of libdeflate, edited, grown and cut at random; judged by two inflaters.
 * ELFMEND_SPLICE_CASES many of them, from ELFMEND_SPLICE_FIRST on: make check-splice tries 10,000. */
#include "bundle/wheel/splice.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define MOST ((size_t)1 << 20)

#define ROOM (MOST + 16384)

static uint8_t old[ROOM], new[ROOM], packed[ROOM * 2], result[ROOM * 3], again[ROOM];

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

static int index_stream(struct em_blocks *blocks, struct em_arena *arena, struct em_reader *stream, struct em_error *error)
{
    em_cleanup_inflater struct em_inflater *inflater = em_inflater_new(stream);
    const uint8_t *bytes;
    size_t size;
    int r;

    assert_non_null(inflater);
    *blocks = (struct em_blocks){ 0 };
    em_inflater_tell(inflater, blocks, arena);
    do
        r = em_inflater_next(inflater, UINT64_MAX, &bytes, &size, error);
    while (r == EM_OK && size > 0);
    return r;
}

static void crc_chunks(struct em_zip_chunk_crcs *crcs, struct em_arena *arena, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size; at += EM_ZIP_CHUNK) {
        size_t part = size - at < EM_ZIP_CHUNK ? size - at : EM_ZIP_CHUNK;

        assert_int_equal(em_vec_push(arena, crcs, (uint32_t)crc32(0, bytes + at, (uInt)part)), EM_OK);
    }
}

/* As a writer does: what comes out of the stream, piece by piece. */
static int check_stream(struct em_splice_check *check, struct em_arena *arena, struct em_reader *stream)
{
    em_cleanup_inflater struct em_inflater *inflater = em_inflater_new(stream);
    struct em_zip_chunk_crcs crcs = { 0 };
    const uint8_t *bytes;
    size_t size, done = 0;
    int r;

    do {
        r = em_inflater_next(inflater, UINT64_MAX, &bytes, &size, check->error);
        if (r == EM_OK)
            r = em_splice_compare(check, done, bytes, size);
        if (r == EM_OK)
            memcpy(again + done, bytes, size);
        done += size;
    } while (r == EM_OK && size > 0);
    if (r == EM_OK)
        assert_int_equal(em_inflater_end(inflater), stream->size);
    crc_chunks(&crcs, arena, again, r == EM_OK ? done : 0);
    return r < 0 ? r : em_splice_end(check, &crcs);
}

/* What the others read in the new stream. */
static void assert_zlib_reads(size_t packed_size, size_t size)
{
    z_stream stream = { .next_in = result, .avail_in = (uInt)packed_size, .next_out = again, .avail_out = sizeof again };

    assert_int_equal(inflateInit2(&stream, -15), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, size);
    assert_memory_equal(again, new, size);
    inflateEnd(&stream);
}

static void assert_libdeflate_reads(size_t packed_size, size_t size)
{
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    size_t used, made;

    assert_int_equal(libdeflate_deflate_decompress_ex(decompressor, result, packed_size, again, sizeof again, &used, &made),
                     LIBDEFLATE_SUCCESS);
    assert_int_equal(used, packed_size);
    assert_int_equal(made, size);
    assert_memory_equal(again, new, size);
    libdeflate_free_decompressor(decompressor);
}

static void one_case(FILE *scratch_file)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    size_t size = below(8) ? below(MOST / 4) : below(MOST), made, now;
    struct em_blocks blocks;
    struct em_changes changes = { 0 };
    struct em_spliced spliced;
    struct em_scratch scratch = { .fd = fileno(scratch_file) };
    struct em_error error = EM_ERROR_INIT;
    struct em_zip_chunk_crcs crcs = { 0 };

    fill(old, size);
    made = below(2) ? by_zlib(old, size) : by_libdeflate(old, size);
    now = change(size);
    find_changes(arena, &changes, now < size ? now : size);
    {
        struct em_bytes packed_bytes = { packed, made }, plain_bytes = { new, now }, result_bytes = { result, 0 };
        struct em_reader packed_reader = em_reader_memory(&packed_bytes, "packed");
        struct em_reader plain = em_reader_memory(&plain_bytes, "plain"), pieces, stream;
        struct em_pieced pieced = { &spliced.pieces, &packed_reader, &scratch, 0, 0 };

        struct em_splice_check check = { &plain, below(4) ? &crcs : NULL, &changes, size, &error, 0 };

        crc_chunks(&crcs, arena, old, size);
        if (index_stream(&blocks, arena, &packed_reader, &error) < 0)
            fail_msg("case %zu: %s at %lld of %zu, plain %zu", sums.cases, error.sentence, (long long)error.offset, made, size);
        assert_int_equal(blocks.size, size);
        assert_true(blocks.end_bit <= made * 8 && blocks.end_bit + 8 > made * 8);
        assert_int_equal(em_splice(&spliced, arena, &blocks, &packed_reader, &changes, &plain,
                                   below(4) ? 100 : EM_SPLICE_WORTH_PERCENT, &scratch, &error),
                         EM_OK);
        sums.cases++;
        sums.encoded += spliced.encoded;
        if (!spliced.worth)
            return;
        sums.worth++;
        pieces = em_pieces_reader(&pieced, spliced.packed_size);
        assert_true(spliced.packed_size <= sizeof result);
        if (check_stream(&check, arena, &pieces) < 0)
            fail_msg("seed %llx: %s at %lld", (unsigned long long)seed, error.sentence, (long long)error.offset);
        em_vec_each (const struct em_piece, piece, &spliced.pieces)
            sums.kept += piece->packed ? piece->size : 0;
        assert_int_equal(em_read_at(&pieces, result, (size_t)spliced.packed_size, 0, &error), EM_OK);
        result_bytes.size = (size_t)spliced.packed_size;
        stream = em_reader_memory(&result_bytes, "result");
        assert_zlib_reads((size_t)spliced.packed_size, now);
        assert_libdeflate_reads((size_t)spliced.packed_size, now);
        /* Spliced once more, nothing changed: the same stream. */
        pieced.packed = &stream;
        assert_int_equal(index_stream(&blocks, arena, &stream, &error), EM_OK);
        assert_int_equal(em_splice(&spliced, arena, &blocks, &stream, &(struct em_changes){ 0 }, &plain,
                                   EM_SPLICE_WORTH_PERCENT, &scratch, &error),
                         EM_OK);
        assert_int_equal(spliced.encoded, 0);
        assert_int_equal(spliced.packed_size, result_bytes.size);
    }
}

static void spliced_streams_inflate_to_the_new_file(void **state)
{
    const char *wish = getenv("ELFMEND_SPLICE_CASES"), *from = getenv("ELFMEND_SPLICE_FIRST");
    size_t cases = wish ? strtoul(wish, NULL, 10) : 300, first = from ? strtoul(from, NULL, 10) : 0;
    FILE *scratch = tmpfile();

    (void)state;
    for (size_t i = first; i < first + cases; i++) {
        seed = i * 7919 + 1;
        one_case(scratch);
    }
    fclose(scratch);
    print_message("# %zu cases, %zu spliced, %zu bytes kept, %zu encoded anew\n", sums.cases, sums.worth, sums.kept,
                  sums.encoded);
    assert_true(sums.worth > cases / 3);
}

/* The check before anything is kept: one changed byte, in the stream or in the file, wherever it is. */
static void a_wrong_stream_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++) {
        em_cleanup_arena struct em_arena *arena = em_arena_new();
        size_t size, made, at;
        struct em_changes changes = { 0 };
        struct em_zip_chunk_crcs crcs = { 0 };
        struct em_bytes packed_bytes = { packed, 0 }, plain_bytes = { new, 0 };
        struct em_error error = EM_ERROR_INIT;

        seed = i * 104729 + 3;
        size = MOST / 2 + below(MOST / 2);
        fill(new, size);
        made = by_libdeflate(new, size);
        memcpy(old, new, size);
        at = below(size);
        if (i % 2)
            old[at] ^= 1; /* the stream is not that of the old file */
        crc_chunks(&crcs, arena, old, size);
        if (i % 2 == 0)
            new[at] ^= 1; /* nor that of the new one, which says that it differs there */
        if (i % 2 == 0)
            assert_int_equal(em_vec_push(arena, &changes, ((struct em_change){ at, at + 1 })), EM_OK);
        packed_bytes.size = made;
        plain_bytes.size = size;
        {
            struct em_reader stream = em_reader_memory(&packed_bytes, "packed"), plain = em_reader_memory(&plain_bytes, "new");
            struct em_splice_check check = { &plain, &crcs, &changes, size, &error, 0 };
            int r = check_stream(&check, arena, &stream);

            /* The last chunk is not whole, and held against the new file itself. */
            if (i % 2 && at / EM_ZIP_CHUNK == size / EM_ZIP_CHUNK)
                assert_int_equal(r, EM_OK);
            else
                assert_int_equal(r, EM_BAD_ZIP);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spliced_streams_inflate_to_the_new_file),
        cmocka_unit_test(a_wrong_stream_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
