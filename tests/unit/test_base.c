/* What all rooms stand on: paths as text, maps in order of insertion, hashes as RECORD spells them, bytes through bounds. */
#include "tests/unit/arena.h"

#include "base/base.h"

#include <stdio.h>
#include <sys/mman.h>

static void a_normal_path_has_no_detours(void **state)
{
    static const char *const cases[][2] = {
        { "", "." },
        { ".", "." },
        { "/", "/" },
        { "//a//b/", "/a/b" },
        { "a/./b", "a/b" },
        { "a/../b", "b" },
        { "../a", "../a" },
        { "a/../../b", "../b" },
        { "/../a", "/a" },
        { "../../a/..", "../.." },
        { "/a/b/../../..", "/" },
        { "a/..", "." },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(em_path_normal(arena, cases[i][0]), cases[i][1]);
}

static void a_relative_path_leads_from_a_directory_to_a_place(void **state)
{
    static const char *const cases[][3] = {
        { "/v/x.libs", "/v/nvidia/cudnn/lib", "../nvidia/cudnn/lib" },
        { "/v/x", "/v/x", "." },
        { "/v/x", "/v", ".." },
        { "/v", "/v/x", "x" },
        { "/v/lib", "/v/lib64", "../lib64" },
        { "/", "/a/b", "a/b" },
        { "/a/b", "/", "../.." },
        { "a/b", "a/c", "../c" },
        { ".", "a", "a" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(em_path_relative(arena, cases[i][0], cases[i][1]), cases[i][2]);
}

/* A path that came from a file must not lead out of the target. */
static void only_contained_paths_are_contained(void **state)
{
    static const char *const good[] = { "a", "a/b", "..a/b", "a..", "a/...", ".a" };
    static const char *const bad[] = { "", "/a", "..", "../a", "a/..", "a/../b", "a//b", "a/", "./a", "." };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(em_path_is_contained(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(em_path_is_contained(bad[i]));
}

static void below_means_whole_components(void **state)
{
    (void)state;
    assert_true(em_path_is_below("/v/lib", "/v"));
    assert_true(em_path_is_below("/v", "/v"));
    assert_true(em_path_is_below("/v", "/"));
    assert_false(em_path_is_below("/venv", "/v"));
    assert_string_equal(em_path_after("/v/lib/x", "/v"), "lib/x");
    assert_string_equal(em_path_after("/v", "/v"), ".");
    assert_string_equal(em_path_after("/w/x", "/v"), "/w/x");
}

static void a_map_keeps_the_order_of_insertion(void **state)
{
    struct em_map map = { .arena = arena };

    (void)state;
    for (uintptr_t i = 0; i < 5000; i++)
        assert_int_equal(em_map_put(&map, em_arena_printf(arena, "key%lu", (unsigned long)i), (void *)(i + 1)), EM_OK);
    assert_int_equal(em_map_put(&map, "key17", (void *)99), EM_OK);
    assert_int_equal(map.count, 5000);
    assert_ptr_equal(em_map_get(&map, "key17"), (void *)99);
    assert_null(em_map_get(&map, "key5000"));
    for (size_t i = 0; i < map.count; i++) {
        char key[32];

        snprintf(key, sizeof key, "key%zu", i);
        assert_string_equal(map.entries[i].key, key);
    }
}

/* FIPS 180-4's own example, in hexadecimal and as RECORD spells it (computed with Python's base64.urlsafe_b64encode). */
static void no_arena_grows_beyond_its_bound(void **state)
{
    em_cleanup_arena struct em_arena *own = em_arena_new();
    struct em_arena_mark mark;
    size_t got = 0;

    (void)state;
    assert_non_null(em_arena_alloc(own, 1 << 20));
    em_arena_bound(own, 1 << 20);
    mark = em_arena_mark(own);
    while (em_arena_alloc(own, 1000))
        got += 1000;
    assert_in_range(got, 900 << 10, 1 << 20);
    assert_true(em_arena_is_full(own));
    em_arena_rewind(own, mark);
    em_arena_bound(own, 1 << 20);
    assert_false(em_arena_is_full(own));
    assert_null(em_arena_alloc(own, (1 << 20) + 1));
    assert_true(em_arena_is_full(own));
    em_arena_allow(own, 1 << 16);
    assert_non_null(em_arena_alloc(own, (1 << 20) + 1));
    em_arena_bound(own, EM_ARENA_UNBOUND);
    assert_non_null(em_arena_alloc(own, 2 << 20));
    assert_false(em_arena_is_full(own));
}

static void a_digest_is_spelled_as_record_does(void **state)
{
    struct em_sha256 digest, again;
    char text[EM_SHA256_BASE64_SIZE], hex[EM_SHA256_HEX_SIZE];

    (void)state;
    assert_int_equal(em_sha256_bytes("abc", 3, &digest), EM_OK);
    em_sha256_hex(&digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    em_sha256_base64(&digest, text);
    assert_string_equal(text, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    assert_true(em_sha256_from_base64(text, &again));
    assert_true(em_sha256_equal(&digest, &again));
    assert_false(em_sha256_from_base64("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", &again));
    for (unsigned first = 0; first < 256; first++) { /* every letter at every place */
        for (unsigned i = 0; i < sizeof digest.bytes; i++)
            digest.bytes[i] = (uint8_t)(first + i * 7);
        em_sha256_base64(&digest, text);
        assert_true(em_sha256_from_base64(text, &again));
        assert_true(em_sha256_equal(&digest, &again));
    }
    assert_true(em_sha256_from_hex(hex, &again));
    assert_false(em_sha256_from_hex("ba78", &again));
}

/* By the code points that there are: each has one spelling, of the length that its size asks for, and no other bytes are one. */
static void utf8_is_what_spells_a_code_point(void **state)
{
    size_t found[5] = { 0 };
    uint8_t at[4];

    (void)state;
    for (uint32_t i = 0; i < 1u << 24; i++) {
        at[0] = (uint8_t)(i >> 16), at[1] = (uint8_t)(i >> 8), at[2] = (uint8_t)i;
        found[em_utf8_size(at, 3)]++;
    }
    assert_int_equal(found[1], 0x80 << 16);
    assert_int_equal(found[2], (0x800 - 0x80) << 8);
    assert_int_equal(found[3], 0x10000 - 0x800 - 0x800); /* the surrogates spell nothing */
    for (uint32_t code = 0x10000; code < 0x110000; code++) {
        at[0] = (uint8_t)(0xf0 | code >> 18), at[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        at[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f)), at[3] = (uint8_t)(0x80 | (code & 0x3f));
        assert_int_equal(em_utf8_size(at, 4), 4);
        assert_int_equal(em_utf8_size(at, 3), 0);
    }
    assert_int_equal(em_utf8_size("\xf0\x8f\xbf\xbf", 4), 0); /* overlong */
    assert_int_equal(em_utf8_size("\xf4\x90\x80\x80", 4), 0); /* behind the last */
    assert_int_equal(em_utf8_size("\xf1\x80\x80x", 4), 0);
}

static void a_library_that_is_not_there_is_named(void **state)
{
    static const char *const names[] = { "no_such_function" };
    void *functions[1] = { NULL };
    struct em_library absent = { "libno-such.so.9", names, 1, functions, false },
                      other = { "libc.so.6", names, 1, functions, false };
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    assert_int_equal(em_library_open(&absent, &error), EM_NOT_FOUND);
    assert_string_equal(error.path, "libno-such.so.9");
    error = (struct em_error)EM_ERROR_INIT;
    assert_int_equal(em_library_open(&other, &error), EM_UNSUPPORTED);
    assert_non_null(strstr(error.sentence, "no_such_function"));
    assert_null(functions[0]);
}

static void both_hashes_come_from_one_pass(void **state)
{
    size_t size = 3 * 256 * 1024 + 7;
    uint8_t *data = em_arena_alloc(arena, size);
    struct em_bytes bytes = { data, size };
    struct em_reader reader = em_reader_memory(&bytes, "memory");
    struct em_sha256 streamed, whole;
    struct em_xxh3 one, other;

    (void)state;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31);
    assert_int_equal(em_hash_reader(&reader, &streamed, &one, NULL), EM_OK);
    assert_int_equal(em_sha256_bytes(data, size, &whole), EM_OK);
    assert_true(em_sha256_equal(&streamed, &whole));
    data[size - 1] ^= 1;
    assert_int_equal(em_hash_reader(&reader, NULL, &other, NULL), EM_OK);
    assert_false(em_xxh3_equal(&one, &other));
}

static void what_is_rewound_is_handed_out_again_as_zeros(void **state)
{
    static const size_t sizes[] = { 3, 900, 20000, 70000 }; /* of a chunk, and of chunks of their own */
    struct em_arena_mark mark;
    uint8_t *before = em_arena_alloc(arena, 100), *first = NULL;

    (void)state;
    memset(before, 1, 100);
    mark = em_arena_mark(arena);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            uint8_t *again = em_arena_alloc(arena, sizes[i]);

            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(again[j], 0);
            memset(again, 2, sizes[i]);
            if (i == 0 && first)
                assert_ptr_equal(again, first);
            if (i == 0)
                first = again;
        }
        for (int i = 0; round == 1 && i < 100; i++)
            memset(em_arena_alloc(arena, 1000), 3, 1000);
        em_arena_rewind(arena, mark);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(before[i], 1);
}

static void assert_is_sha256(struct em_hasher *hasher, const uint8_t *data, size_t size)
{
    const struct em_bytes bytes = { data, size };
    struct em_reader reader = em_reader_memory(&bytes, "memory");
    char libcryptos[EM_DIGEST_BASE64_SIZE], ours[EM_SHA256_BASE64_SIZE];
    struct em_sha256 digest;

    em_hasher_end(hasher, &digest);
    em_sha256_base64(&digest, ours);
    assert_int_equal(em_digest_reader(&reader, "sha256", libcryptos, NULL), EM_OK);
    assert_string_equal(ours, libcryptos);
}

/* Two streams, in pieces of all lengths that begin at any place within a block, each against libcrypto's digest of its own bytes. */
static void two_streams_at_once_are_two_digests(void **state)
{
    static uint8_t a[3000], b[3000];
    em_cleanup_hasher struct em_hasher *first = NULL, *second = NULL;

    (void)state;
    assert_int_equal(em_hasher_new(&first, NULL), EM_OK);
    assert_int_equal(em_hasher_new(&second, NULL), EM_OK);
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 37 + i / 251), b[i] = (uint8_t)(i * 101 + 5);
    for (size_t lead = 0; lead <= 130; lead += 13) {
        for (size_t both = 0; both <= 300; both++) {
            em_hasher_add(first, a, lead);
            em_hasher_add_two(first, a + lead, second, b, both);
            em_hasher_add_two(first, a + lead + both, second, b + both, 70);
            em_hasher_add(second, b + both + 70, lead);
            assert_is_sha256(first, a, lead + both + 70);
            assert_is_sha256(second, b, lead + both + 70);
        }
    }
}

/* What another has hashed is not hashed again: at every block, and at nothing else. */
static void a_hasher_goes_on_where_another_stood(void **state)
{
    uint8_t data[1000];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t at = 0; at < sizeof data; at++) {
        em_cleanup_hasher struct em_hasher *first = NULL, *second = NULL;
        struct em_sha256_state stood;

        assert_int_equal(em_hasher_new(&first, NULL), EM_OK);
        assert_int_equal(em_hasher_new(&second, NULL), EM_OK);
        em_hasher_add(first, data, at);
        assert_int_equal(em_hasher_leave(first, &stood), em_hasher_can_leave() && at % 64 == 0);
        if (!em_hasher_can_leave() || at % 64 != 0)
            continue;
        em_hasher_enter(second, &stood, at);
        em_hasher_add(second, data + at, sizeof data - at);
        em_hasher_add(first, data + at, sizeof data - at);
        {
            struct em_sha256 wanted, got;

            em_hasher_end(first, &wanted);
            em_hasher_end(second, &got);
            assert_true(em_sha256_equal(&wanted, &got));
        }
    }
}

static void no_byte_beyond_the_end_is_read(void **state)
{
    const uint8_t data[] = { 1, 2, 3, 4, 'x' };
    struct em_bytes bytes = { data, sizeof data }, slice;
    struct em_reader reader = em_reader_memory(&bytes, "memory");
    struct em_error error = EM_ERROR_INIT;
    uint32_t word = 7;
    uint8_t buffer[8];

    (void)state;
    assert_true(em_bytes_u32(bytes, 0, false, &word));
    assert_int_equal(word, 0x04030201);
    assert_true(em_bytes_u32(bytes, 1, true, &word));
    assert_int_equal(word, 0x02030478);
    assert_false(em_bytes_u32(bytes, 2, false, &word));
    assert_false(em_bytes_u32(bytes, UINT64_MAX - 1, false, &word));
    assert_false(em_bytes_slice(bytes, 1, UINT64_MAX, &slice));
    assert_null(em_bytes_string(bytes, 4));
    assert_int_equal(em_read_at(&reader, buffer, 8, 0, &error), EM_LIMIT);
    assert_int_equal(em_read_at(&reader, buffer, 1, UINT64_MAX, &error), EM_LIMIT);
}

static int double_it(void *context, size_t index)
{
    int *values = context;

    if (values[index] < 0)
        return values[index];
    values[index] *= 2;
    return EM_OK;
}

static void the_pool_works_on_each_item_once(void **state)
{
    int values[1000];

    (void)state;
    for (int i = 0; i < 1000; i++)
        values[i] = i;
    assert_int_equal(em_pool_each(4, 1000, double_it, values), EM_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(values[i], 2 * i);
    values[500] = EM_IO;
    assert_int_equal(em_pool_each(4, 1000, double_it, values), EM_IO);
    assert_int_equal(em_pool_each(4, 0, double_it, values), EM_OK);
}

/* FICLONE, copy_file_range or plain reads: the copy is the same bytes, and a size that is wrong is noticed. */
static void a_copy_has_the_same_bytes(void **state)
{
    struct em_error error = EM_ERROR_INIT;
    em_cleanup_fd int in = em_open_at(AT_FDCWD, "in", O_RDWR | O_CREAT, 0600, &error);
    em_cleanup_fd int out = em_open_at(AT_FDCWD, "out", O_RDWR | O_CREAT | O_TRUNC, 0600, &error);
    char data[100000], back[100000];

    (void)state;
    memset(data, 'a', sizeof data);
    assert_int_equal(em_write_all(in, data, sizeof data, "in", &error), EM_OK);
    assert_int_equal(em_copy_fd(in, out, sizeof data, "in", &error), EM_OK);
    assert_int_equal(pread(out, back, sizeof back, 0), sizeof back);
    assert_memory_equal(data, back, sizeof data);
    assert_int_equal(ftruncate(out, 0), 0);
    assert_int_equal(em_copy_fd(in, out, sizeof data + 1, "in", &error), EM_CHANGED);
}

/* At every place of a buffer of every length about the step by which it goes; a sanitizer
 * sees a read behind the end. */
static void a_pair_is_found_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t size = 0; size < 200; size++) {
        uint8_t *bytes = malloc(size ? size : 1), *end = bytes + size;

        assert_non_null(bytes);
        memset(bytes, '.', size);
        assert_null(em_find_pairs(bytes, end, ".s", "\177E"));
        for (size_t at = 0; at + 2 <= size; at++) {
            const char *pair = at % 2 ? ".s" : "\177E";

            memcpy(bytes + at, pair, 2);
            assert_ptr_equal(em_find_pairs(bytes, end, ".s", "\177E"), bytes + at);
            assert_null(em_find_pairs(bytes + at + 1, end, ".s", "\177E"));
            memset(bytes + at, '.', 2);
        }
        if (size > 0) {
            bytes[size - 1] = 's' - 1;
            assert_null(em_find_pairs(bytes, end, ".s", ".s"));
        }
        free(bytes);
    }
}

/* A gigabyte of which some kilobytes are there costs some kilobytes to copy: holes in front, in the middle, at the end. */
static void a_copy_has_the_same_holes(void **state)
{
    struct em_error error = EM_ERROR_INIT;
    em_cleanup_fd int in = em_open_at(AT_FDCWD, "holes", O_RDWR | O_CREAT | O_TRUNC, 0600, &error);
    em_cleanup_fd int out = em_open_at(AT_FDCWD, "copy", O_RDWR | O_CREAT | O_TRUNC, 0600, &error);
    const off_t size = 1 << 30, places[] = { 1 << 20, (1 << 20) + 5000, 500 << 20 };
    char back[3];
    struct stat st;

    (void)state;
    assert_int_equal(ftruncate(in, size), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(em_pwrite_all(in, "abc", 3, (uint64_t)places[i], "holes", &error), EM_OK);
    assert_int_equal(em_copy_fd(in, out, (uint64_t)size, "holes", &error), EM_OK);
    assert_int_equal(fstat(out, &st), 0);
    assert_int_equal(st.st_size, size);
    assert_in_range(st.st_blocks, 1, 1 << 12); /* of 512 bytes */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pread(out, back, 3, places[i]), 3);
        assert_memory_equal(back, "abc", 3);
    }
    assert_int_equal(ftruncate(out, 0), 0);
    assert_int_equal(em_copy_fd(in, out, (uint64_t)size + 1, "holes", &error), EM_CHANGED);
}

/* Holes before, between and behind some bytes are read as zeros, and do not get into the page cache; nor is there more than the file. */
static void a_hole_is_read_without_reading(void **state)
{
    enum { PIECE = 1 << 20, PIECES = 64 };
    static uint8_t piece[PIECE], resident[(size_t)PIECE * PIECES / 4096];
    const uint64_t size = (uint64_t)PIECE * PIECES, places[] = { 5000, 20 * PIECE - 1, 20 * PIECE + 70000 };
    struct em_error error = EM_ERROR_INIT;
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, "sparse", O_RDWR | O_CREAT | O_TRUNC, 0600, &error);
    struct em_reader reader = em_reader_fd(fd, size, "sparse");
    size_t found = 0, cached = 0, before = 0;
    void *map;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(em_pwrite_all(fd, "x", 1, places[i], "sparse", &error), EM_OK);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mincore(map, size, resident), 0);
    for (size_t i = 0; i < sizeof resident; i++)
        before += resident[i] & 1;
    for (uint64_t at = 0; at < size; at += PIECE) {
        memset(piece, 'y', PIECE);
        assert_int_equal(em_read_at(&reader, piece, PIECE, at, &error), EM_OK);
        for (size_t i = 0; i < PIECE; i++) {
            if (piece[i] == 0)
                continue;
            assert_int_equal(piece[i], 'x');
            assert_int_equal(at + i, places[found++]);
        }
    }
    assert_int_equal(found, 3);
    assert_int_equal(mincore(map, size, resident), 0);
    for (size_t i = 0; i < sizeof resident; i++)
        cached += resident[i] & 1;
    assert_in_range(cached, before, before + 3 * PIECE / 4096); /* of 64 */
    assert_int_equal(munmap(map, size), 0);
    assert_int_equal(em_pread(fd, piece, PIECE, size), 0);
    assert_int_equal(em_pread(fd, piece, PIECE, size - 5), 5);
}

static void hexadecimal_digits_are_those_of_printf(void **state)
{
    static const uint64_t values[] = { 0,         1, 9, 10, 15, 16, 255, 256, 0xdeadbeef, UINT64_MAX >> 4, UINT64_MAX / 2 + 1,
                                       UINT64_MAX };
    char made[17], wanted[17];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        *em_put_hex(made, values[i]) = '\0';
        snprintf(wanted, sizeof wanted, "%llx", (unsigned long long)values[i]);
        assert_string_equal(made, wanted);
    }
}

static void an_error_keeps_the_end_of_a_long_path(void **state)
{
    struct em_error error = EM_ERROR_INIT;
    char path[3000];

    (void)state;
    memset(path, 'p', sizeof path - 1);
    strcpy(path + sizeof path - 5, "/end");
    assert_int_equal(em_fail_at(&error, EM_BAD_ELF, path, 64, "is %s", "short"), EM_BAD_ELF);
    assert_string_equal(error.sentence, "is short");
    assert_int_equal(error.offset, 64);
    assert_memory_equal(error.path, "...", 3);
    assert_string_equal(error.path + strlen(error.path) - 4, "/end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_normal_path_has_no_detours),
        cmocka_unit_test(a_relative_path_leads_from_a_directory_to_a_place),
        cmocka_unit_test(only_contained_paths_are_contained),
        cmocka_unit_test(below_means_whole_components),
        cmocka_unit_test(a_map_keeps_the_order_of_insertion),
        cmocka_unit_test(what_is_rewound_is_handed_out_again_as_zeros),
        cmocka_unit_test(no_arena_grows_beyond_its_bound),
        cmocka_unit_test(a_digest_is_spelled_as_record_does),
        cmocka_unit_test(a_library_that_is_not_there_is_named),
        cmocka_unit_test(both_hashes_come_from_one_pass),
        cmocka_unit_test(two_streams_at_once_are_two_digests),
        cmocka_unit_test(a_hasher_goes_on_where_another_stood),
        cmocka_unit_test(no_byte_beyond_the_end_is_read),
        cmocka_unit_test(the_pool_works_on_each_item_once),
        cmocka_unit_test(utf8_is_what_spells_a_code_point),
        cmocka_unit_test(a_copy_has_the_same_bytes),
        cmocka_unit_test(a_pair_is_found_wherever_it_stands),
        cmocka_unit_test(a_copy_has_the_same_holes),
        cmocka_unit_test(a_hole_is_read_without_reading),
        cmocka_unit_test(hexadecimal_digits_are_those_of_printf),
        cmocka_unit_test(an_error_keeps_the_end_of_a_long_path),
    };

    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
