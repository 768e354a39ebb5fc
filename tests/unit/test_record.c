/* RECORD as bytes: what is read is written back byte for byte, and a bad line is refused with its number. */
#include "bundle/env/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY_HASH "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"

static int setup(void **state)
{
    *state = em_arena_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    em_arena_free(*state);
    return 0;
}

static int read_bytes(struct em_record *record, struct em_arena *arena, const char *text, size_t size, struct em_error *error)
{
    /* A copy of exactly the size: a read beyond it is seen by the sanitizer. */
    uint8_t *copy = malloc(size ? size : 1);
    int r;

    assert_non_null(copy);
    memcpy(copy, text, size);
    r = em_record_read(record, arena, (struct em_bytes){ copy, size }, "RECORD", error);
    if (r == EM_OK) {
        em_cleanup_text struct em_text written = { 0 };

        em_record_write(record, &written);
        assert_false(written.failed);
        assert_int_equal(written.size, size);
        if (size)
            assert_memory_equal(written.data, text, size);
        /* The rows go on living after this function. */
        r = em_record_read(record, arena, (struct em_bytes){ (uint8_t *)em_arena_strndup(arena, text, size), size }, "RECORD",
                           error);
    }
    free(copy);
    return r;
}

static void reads(struct em_record *record, struct em_arena *arena, const char *text)
{
    struct em_error error = EM_ERROR_INIT;

    if (read_bytes(record, arena, text, strlen(text), &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
}

static void refuses(struct em_arena *arena, const char *text, size_t size, const char *sentence)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_record record;

    assert_int_equal(read_bytes(&record, arena, text, size, &error), EM_BAD_RECORD);
    assert_string_equal(error.sentence, sentence);
    assert_string_equal(error.path, "RECORD");
    assert_int_equal(record.rows.count, 0);
    assert_null(em_record_find(&record, "a"));
}

static void writes(const struct em_record *record, const char *expected)
{
    em_cleanup_text struct em_text text = { 0 };

    em_record_write(record, &text);
    assert_false(text.failed);
    assert_string_equal(text.data, expected);
}

static void plain_rows(void **state)
{
    struct em_record record;
    const struct em_record_row *row;

    reads(&record, *state, "../../../bin/x," EMPTY_HASH ",0\npkg/a.py," EMPTY_HASH ",0\npkg/a.pyc,,\nd.dist-info/RECORD,,\n");
    assert_int_equal(record.rows.count, 4);
    row = em_record_find(&record, "../../../bin/x");
    assert_non_null(row);
    assert_true(row->has_sha256 && row->has_size && row->size == 0);
    row = em_record_find(&record, "pkg/a.pyc");
    assert_non_null(row);
    assert_false(row->has_sha256 || row->has_size);
    assert_string_equal(row->hash, "");
    assert_null(em_record_find(&record, "pkg/b.py"));
    assert_string_equal(record.line_end, "\n");
}

static void quoted_fields(void **state)
{
    struct em_record record;

    reads(&record, *state, "\"a,b\"\"c\nd.py\"," EMPTY_HASH ",0\nba\"re,,\n\"\"\"\",\"\",\"12\"\n");
    assert_non_null(em_record_find(&record, "a,b\"c\nd.py"));
    assert_non_null(em_record_find(&record, "ba\"re"));
    assert_int_equal(em_record_find(&record, "\"")->size, 12);
}

static void line_ends_and_marks(void **state)
{
    struct em_record record;

    reads(&record, *state, "a,,\r\nb,,\r\n");
    assert_string_equal(record.line_end, "\r\n");
    assert_non_null(em_record_find(&record, "b"));
    reads(&record, *state,
          "\xef\xbb\xbf"
          "a,,\nb,,");
    assert_true(record.has_bom);
    assert_non_null(em_record_find(&record, "a"));
    assert_non_null(em_record_find(&record, "b"));
    reads(&record, *state, "\n\r\na,,\n\n\nb,,1\r\n\n");
    assert_int_equal(record.rows.count, 2);
    reads(&record, *state, "a\rb,,\nc\r,,\r\n");
    assert_non_null(em_record_find(&record, "a\rb"));
    assert_non_null(em_record_find(&record, "c\r"));
    reads(&record, *state, "");
    assert_int_equal(record.rows.count, 0);
    reads(&record, *state, "\xc3\xa4/\xf0\x9f\x98\x80.py,,\n");
    assert_non_null(em_record_find(&record, "\xc3\xa4/\xf0\x9f\x98\x80.py"));
}

/* numpy 2.1.3, as pip installs it: a .pyc with the wheel's digest and, from pip's own compiling, without one. */
static void the_row_without_a_digest_counts(void **state)
{
    static const char text[] = "b.pyc,,\na,,\nb.pyc,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\nb.pyc,,\n";
    struct em_bytes bytes = { (const uint8_t *)text, sizeof text - 1 };
    em_cleanup_text struct em_text written = { 0 };
    struct em_record record;

    assert_int_equal(em_record_read(&record, *state, bytes, "RECORD", NULL), 0);
    assert_int_equal(record.rows.count, 4);
    assert_false(em_record_find(&record, "b.pyc")->has_sha256);
    em_record_write(&record, &written);
    assert_string_equal(written.data, text);
}

static void a_contradiction_is_told_and_the_first_row_counts(void **state)
{
    const char *text = "a,,\nb,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\n"
                       "b,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n";
    struct em_bytes bytes = { (const uint8_t *)text, strlen(text) };
    struct em_record record;

    assert_int_equal(em_record_read(&record, *state, bytes, "RECORD", NULL), 0);
    assert_int_equal(record.contradiction, 3);
    assert_int_equal(em_record_find(&record, "b")->size, 3);
}

static void bad_lines(void **state)
{
    refuses(*state, "a,,\nb,,,\n", 9, "line 2 has more than three fields");
    refuses(*state, "a,,\nb\n", 6, "line 2 has fewer than three fields");
    refuses(*state, "a,,\n\"b,,\nc,,\n", 13, "line 2 opens a quote that is never closed");
    refuses(*state, "a,,\"", 4, "line 1 opens a quote that is never closed");
    refuses(*state, "\"a\"b,,\n", 7, "line 1 has text behind a closing quote");
    refuses(*state, "\"a\"\r,,\n", 7, "line 1 has text behind a closing quote");
    refuses(*state, "\"a\nb\",,\nc\n", 10, "line 3 has fewer than three fields");
    refuses(*state, ",,\n", 3, "line 1 has no path");
    refuses(*state, "a,,1x\n", 6, "line 1 has a size that is no number");
    refuses(*state, "a,,18446744073709551616\n", 24, "line 1 has a size that is no number");
    refuses(*state, "a,,-1\n", 6, "line 1 has a size that is no number");
    refuses(*state, "a,,\nb\0c,,\n", 10, "line 2 holds a NUL byte");
    refuses(*state,
            "a,,\n\x7f"
            "ELF\x02\x01\x01\0\0,,",
            15, "line 2 holds a NUL byte");
    refuses(*state, "a\xff,,\n", 5, "line 1 is not UTF-8");
    refuses(*state, "a\xc3", 2, "line 1 is not UTF-8");
    refuses(*state, "\xed\xa0\x80,,\n", 6, "line 1 is not UTF-8");
    refuses(*state, "\xc0\xaf,,\n", 5, "line 1 is not UTF-8");
}

/* A hash that cannot be read, or of another kind, is kept as it is. */
static void other_hashes(void **state)
{
    struct em_record record;

    reads(&record, *state, "a,md5=abc,3\nb,sha256=short,4\nc,sha512=x,\n");
    assert_false(em_record_find(&record, "a")->has_sha256);
    assert_false(em_record_find(&record, "b")->has_sha256);
    assert_string_equal(em_record_find(&record, "c")->hash, "sha512=x");
}

static void put_keeps_the_style(void **state)
{
    struct em_sha256 digest = { { 0 } };
    struct em_record record;

    reads(&record, *state, "b,,\r\n\"a\",\"sha256=x\",\"3\"\nd-1.dist-info/RECORD,,\nz,,\n");
    assert_int_equal(em_record_put(&record, "a", &digest, 7), EM_OK);
    assert_int_equal(em_record_put(&record, "b", &digest, 8), EM_OK);
    assert_int_equal(em_record_put(&record, "n,w", &digest, 9), EM_OK);
    writes(&record, "b,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,8\r\n"
                    "\"a\",\"sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"7\"\n"
                    "\"n,w\",sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,9\r\n"
                    "d-1.dist-info/RECORD,,\nz,,\n");
    assert_int_equal(em_record_find(&record, "z")->raw.size, 4);
    assert_int_equal(em_record_find(&record, "n,w")->size, 9);
    /* The same again changes no byte, however the digest was spelled. */
    reads(&record, *state, "a,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,\"7\"");
    assert_int_equal(em_record_put(&record, "a", &digest, 7), EM_OK);
    writes(&record, "a,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,\"7\"");
}

/* Without RECORD's own row the new one comes last, and the line before it gets the end that it lacked. A vendored distribution's
 * RECORD is not ours. */
static void put_at_the_end(void **state)
{
    struct em_sha256 digest = { { 0 } };
    struct em_record record;

    reads(&record, *state, "v/x.dist-info/RECORD,,1\r\nb,,");
    assert_int_equal(em_record_put(&record, "c", &digest, 1), EM_OK);
    writes(&record, "v/x.dist-info/RECORD,,1\r\nb,,\r\nc,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,1\r\n");
    reads(&record, *state, "");
    assert_int_equal(em_record_put(&record, "c", &digest, 1), EM_OK);
    writes(&record, "c,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,1\n");
    reads(&record, *state, "\"a\",\"\",\"\"\n\"d.dist-info/RECORD\",\"\",\"\"\n");
    assert_int_equal(em_record_put(&record, "c", &digest, 1), EM_OK);
    writes(&record, "\"a\",\"\",\"\"\n\"c\",\"sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"1\"\n"
                    "\"d.dist-info/RECORD\",\"\",\"\"\n");
}

static void many_rows(void **state)
{
    em_cleanup_text struct em_text text = { 0 };
    struct em_sha256 digest = { { 1 } };
    struct em_record record;
    char path[32];

    for (unsigned i = 0; i < 5000; i++)
        em_text_printf(&text, "%x,,\n", i);
    em_text_add(&text, "d.dist-info/RECORD,,\n");
    reads(&record, *state, text.data);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "new/%u", i);
        assert_int_equal(em_record_put(&record, path, &digest, i), EM_OK);
    }
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(path, sizeof path, "%x", i);
        assert_string_equal(em_record_find(&record, path)->path, path);
    }
    for (unsigned i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "new/%u", i);
        assert_int_equal(em_record_find(&record, path)->size, i);
    }
    assert_string_equal(record.rows.items[5300].path, "d.dist-info/RECORD");
}

/* Rows cost more than their bytes. */
static void rows_have_a_limit(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text text = { 0 };
    struct em_error error = EM_ERROR_INIT;
    struct em_record record;

    (void)state;
    for (unsigned i = 0; i < EM_MAX_RECORD_ROWS; i++)
        em_text_printf(&text, "%x,,\n", i);
    assert_int_equal(em_record_read(&record, arena, (struct em_bytes){ (uint8_t *)text.data, text.size }, "RECORD", &error),
                     EM_OK);
    assert_int_equal(record.rows.count, EM_MAX_RECORD_ROWS);
    em_text_add(&text, "one more,,\n");
    assert_int_equal(em_record_read(&record, arena, (struct em_bytes){ (uint8_t *)text.data, text.size }, "RECORD", &error),
                     EM_LIMIT);
    assert_int_equal(record.rows.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(quoted_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(line_ends_and_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(the_row_without_a_digest_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_contradiction_is_told_and_the_first_row_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(other_hashes, setup, teardown),
        cmocka_unit_test_setup_teardown(put_keeps_the_style, setup, teardown),
        cmocka_unit_test_setup_teardown(put_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(many_rows, setup, teardown),
        cmocka_unit_test(rows_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
