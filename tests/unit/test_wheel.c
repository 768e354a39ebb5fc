/* The words of a wheel are edited and nothing else of it; the archive that we write is one that our own strict reader, and libzip,
 * take; what is compressed in chunks is one stream. */
#include "bundle/tree/zip.h"
#include "bundle/wheel/compress.h"
#include "bundle/wheel/metadata.h"
#include "bundle/wheel/pack.h"
#include "bundle/wheel/tags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

static void a_local_version_is_added_or_counted_up(void **state)
{
    static const struct {
        const char *version, *label, *result;
    } cases[] = {
        { "4.6.0", "mend.1", "4.6.0+mend.1" },
        { "1.0+cu12", "mend.1", "1.0+cu12.mend.1" },
        { "1.0+mend.1", "mend.1", "1.0+mend.2" },
        { "1.0+cu12.mend.9", "mend.1", "1.0+cu12.mend.10" },
        { "1.0+amend.1", "mend.1", "1.0+amend.1.mend.1" },
        { "1.0+x", "x", "1.0+x.x" },
        { "1!2.0rc1", "a", "1!2.0rc1+a" },
        { "1.0", "Site.007.0.0a", "1.0+site.7.0.0a" },
    };
    em_cleanup_arena struct em_arena *arena = em_arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(em_metadata_local_version(arena, cases[i].version, cases[i].label), cases[i].result);
    assert_true(em_metadata_is_local("mend.1") && em_metadata_is_local("a"));
    assert_false(em_metadata_is_local("") || em_metadata_is_local(".a") || em_metadata_is_local("a.") ||
                 em_metadata_is_local("a..b") || em_metadata_is_local("a-b"));
}

static void versions_are_the_same_however_spelled(void **state)
{
    static const char *const same[][2] = {
        { "1.0", "1.0.0" },      { "1.0-RC1", "1.0.0rc1" },      { "v1.0", "1" },
        { "1.0.alpha2", "1a2" }, { "1.0+cu12_x", "1.0+cu12.x" }, { "1.0-rev3", "1.0.post3" }
    };
    static const char *const other[][2] = { { "1.0", "1.0.1" }, { "1.0", "10" },      { "1.0rc1", "1.0" }, { "1.0a1", "1.0b1" },
                                            { "1!1", "1" },     { "1.0+a", "1.0+b" }, { "", "1" } };

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(em_metadata_is_same_version(same[i][0], same[i][1]) && em_metadata_is_same_version(same[i][1], same[i][0]));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(em_metadata_is_same_version(other[i][0], other[i][1]) ||
                     em_metadata_is_same_version(other[i][1], other[i][0]));
}

static void a_header_is_read(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    static const char text[] = "name:  x y\t\r\nNames: z\nEmpty:\n\nLate: w\n";
    const struct em_bytes bytes = { (const uint8_t *)text, sizeof text - 1 };
    const char *value;

    (void)state;
    assert_int_equal(em_metadata_header(&value, arena, bytes, "Name"), EM_OK);
    assert_string_equal(value, "x y");
    assert_int_equal(em_metadata_header(&value, arena, bytes, "Empty"), EM_OK);
    assert_string_equal(value, "");
    assert_int_equal(em_metadata_header(&value, arena, bytes, "Late"), EM_OK);
    assert_null(value);
}

static void check_edit(const char *before, const char *version, const char *requirement, const char *after)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_bytes bytes = { (const uint8_t *)before, strlen(before) }, edited;
    struct em_plan_wheel change = { .version = version };
    struct em_strings licences = { 0 };

    if (requirement)
        assert_int_equal(em_vec_push(arena, &change.requires, requirement), EM_OK);
    assert_int_equal(em_vec_push(arena, &licences, "p-1/L"), EM_OK);
    assert_int_equal(em_metadata_edit(&edited, arena, bytes, &change, &licences, "x.whl", NULL), EM_OK);
    assert_string_equal((const char *)edited.data, after);
    assert_int_equal(edited.size, strlen(after));
}

static void metadata_keeps_what_is_not_meant(void **state)
{
    (void)state;
    check_edit("Name: x\nVersion: 1\n\nVersion: 1\n", "1+a", NULL, "Name: x\nVersion: 1+a\n\nVersion: 1\n");
    check_edit("Name: x\nVersion: 1\nRequires-Dist: b;\n  python_version < '3'\nSummary: s\n\nlong\n", NULL, "c>=1,<2",
               "Name: x\nVersion: 1\nRequires-Dist: b;\n  python_version < '3'\nRequires-Dist: c>=1,<2\nSummary: s\n\nlong\n");
    check_edit("Name: x\r\nVersion: 1\r\n\r\nlong\r\n", "2", "c", "Name: x\r\nVersion: 2\r\nRequires-Dist: c\r\n\r\nlong\r\n");
    check_edit("Name: x\nVersion: 1", NULL, "c", "Name: x\nVersion: 1\nRequires-Dist: c\n");
    check_edit("Metadata-Version: 2.4\nVersion: 1\nLicense-File: L\nSummary: s\n", NULL, "c",
               "Metadata-Version: 2.4\nVersion: 1\nLicense-File: L\nLicense-File: p-1/L\nSummary: s\nRequires-Dist: c\n");
    check_edit("Metadata-Version: 2.10\nVersion: 1", NULL, NULL, "Metadata-Version: 2.10\nVersion: 1\nLicense-File: p-1/L\n");
    check_edit("Metadata-Version: 2.4\nVersion: 1\nLicense-File:  p-1/L \n", "1+a", NULL,
               "Metadata-Version: 2.4\nVersion: 1+a\nLicense-File:  p-1/L \n");
    check_edit("Metadata-Version: 2.4\nVersion: 1\nLicense-File: p-1/LL\n", NULL, NULL,
               "Metadata-Version: 2.4\nVersion: 1\nLicense-File: p-1/LL\nLicense-File: p-1/L\n");
    check_edit("Metadata-Version: 2.3\nVersion: 1\n", "1+a", NULL, "Metadata-Version: 2.3\nVersion: 1+a\n");
    check_edit("name: x\nversion: 1\n", "3", "c", "name: x\nVersion: 3\nRequires-Dist: c\n");
}

/* What would stand where no reader looks is refused, not dropped. */
static void what_has_no_headers_is_refused(void **state)
{
    static const char *const without[] = { "", "\nName: x\nVersion: 1\n", "\r\nName: x\r\nVersion: 1\r\n" };
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    const struct em_strings none = { 0 };
    struct em_bytes nameless = { (const uint8_t *)"Name: x\n\nVersion: 1\n", 20 }, edited;
    struct em_plan_wheel change = { 0 };
    struct em_error error;

    (void)state;
    assert_int_equal(em_vec_push(arena, &change.requires, "c>=1"), EM_OK);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        struct em_bytes bytes = { (const uint8_t *)without[i], strlen(without[i]) };

        assert_int_equal(em_metadata_edit(&edited, arena, bytes, &change, &none, "x.whl", &error), EM_BAD_RECORD);
        assert_non_null(strstr(error.sentence, "has no headers"));
        assert_int_equal(em_metadata_edit_wheel(&edited, arena, bytes, "7x", "a-b-c", "x.whl", &error), EM_BAD_RECORD);
    }
    change.version = "2";
    assert_int_equal(em_metadata_edit(&edited, arena, nameless, &change, &none, "x.whl", &error), EM_BAD_RECORD);
    assert_non_null(strstr(error.sentence, "without a Version"));
}

static void check_wheel(const char *build, const char *tags, const char *after)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    static const char wheel[] = "Wheel-Version: 1.0\nBuild: 1\nTag: a-b-c\nTag: a-b-d\nMore: x\n";
    struct em_bytes bytes = { (const uint8_t *)wheel, sizeof wheel - 1 }, edited;

    assert_int_equal(em_metadata_edit_wheel(&edited, arena, bytes, build, tags, "x.whl", NULL), EM_OK);
    if (after)
        assert_string_equal((const char *)edited.data, after);
    else
        assert_null(edited.data);
}

/* after: NULL where it says so already, in another order. */
static void wheel_has_a_build_once_and_each_tag(void **state)
{
    (void)state;
    check_wheel("7x", "a-b-c.d", "Wheel-Version: 1.0\nTag: a-b-c\nTag: a-b-d\nBuild: 7x\nMore: x\n");
    check_wheel(NULL, "p.q-b-e.f", "Wheel-Version: 1.0\nTag: p-b-e\nTag: p-b-f\nTag: q-b-e\nTag: q-b-f\nMore: x\n");
    check_wheel(NULL, "a-b-c.d", "Wheel-Version: 1.0\nTag: a-b-c\nTag: a-b-d\nMore: x\n");
    check_wheel("1", "a-b-c.c", "Wheel-Version: 1.0\nTag: a-b-c\nTag: a-b-c\nBuild: 1\nMore: x\n");
    check_wheel("2", "a-b-e", "Wheel-Version: 1.0\nTag: a-b-e\nBuild: 2\nMore: x\n");
    check_wheel("1", "a-b-d.c", NULL);
}

static void a_platform_that_does_not_hold_is_taken_back(void **state)
{
    static const struct {
        const char *tags;
        unsigned minor;
        const char *result;
    } cases[] = {
        { "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", 17,
          "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64" },
        { "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", 27, "cp311-abi3-manylinux_2_27_x86_64" },
        { "py3-none-manylinux1_i686", 6, "py3-none-manylinux_2_6_i686" },
        { "py3-none-manylinux2010_x86_64.manylinux_2_28_x86_64", 27, "py3-none-manylinux_2_28_x86_64" },
        { "py3-none-linux_x86_64", 39, "py3-none-linux_x86_64" },
        { "py3-none-musllinux_1_1_x86_64.manylinux_2_5_x86_64", 17, "py3-none-musllinux_1_1_x86_64" },
        { "py3-none-any", 39, "py3-none-any" },
    };
    em_cleanup_arena struct em_arena *arena = em_arena_new();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(em_tags_hold(arena, cases[i].tags, cases[i].minor), cases[i].result);
}

/* Sizes around the chunk, and the three kinds of what deflate makes of it: runs, text, noise. */
static void chunks_are_one_stream(void **state)
{
    static const size_t sizes[] = { 0, 1, 1000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (5 << 20) + 12345 };
    uint8_t *plain = malloc(6 << 20);
    FILE *file = tmpfile();
    uint32_t x = 7;

    (void)state;
    for (size_t i = 0; i < 6 << 20; i++) {
        x = x * 1664525 + 1013904223;
        plain[i] = i / 70000 % 3 == 0   ? (uint8_t)(x >> 24)
                   : i / 70000 % 3 == 1 ? 0
                                        : (uint8_t) "libraries and paths "[x >> 8 & 15];
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct em_piece piece[2];

        for (unsigned jobs = 1; jobs < 3; jobs++) {
            struct em_bytes bytes = { plain, sizes[i] };
            struct em_reader reader = em_reader_memory(&bytes, "plain"), stream;
            struct em_scratch scratch = { .fd = fileno(file), .end = i };
            struct em_pieces pieces = { .items = &piece[jobs - 1], .count = 1 };
            struct em_pieced pieced = { .pieces = &pieces, .scratch = &scratch };
            struct em_splice_check check = { .plain = &reader };
            struct em_error error = EM_ERROR_INIT;
            struct em_inflater *inflater;
            const uint8_t *made;
            size_t got;

            assert_int_equal(em_compress(&piece[jobs - 1], &reader, jobs, &scratch, &error), EM_OK);
            stream = em_pieces_reader(&pieced, piece[jobs - 1].size);
            inflater = em_inflater_new(&stream);
            do {
                assert_int_equal(em_inflater_next(inflater, UINT64_MAX, &made, &got, &error), EM_OK);
                assert_int_equal(em_splice_compare(&check, check.at, made, got), EM_OK);
            } while (got > 0);
            assert_int_equal(em_splice_end(&check, NULL), EM_OK);
            assert_int_equal(em_inflater_end(inflater), stream.size);
            em_inflater_free(inflater);
        }
        assert_int_equal(piece[0].size, piece[1].size);
    }
    fclose(file);
    free(plain);
}

static void the_archive_is_taken_by_the_strict(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    static const char *const names[] = { "a/b.py", "gr\xc3\xbc\xc3\x9f.txt", "x-1.dist-info/RECORD" };
    FILE *file = fopen("y.whl", "w+");
    struct em_pack pack = { .fd = fileno(file), .arena = arena, .label = "y.whl" };
    struct em_error error = EM_ERROR_INIT;
    struct em_zip *ours;
    zip_t *theirs;
    int why;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct em_bytes bytes = { (const uint8_t *)names[i], strlen(names[i]) };
        struct em_reader reader = em_reader_memory(&bytes, names[i]);
        struct em_pack_member member = { .name = names[i],
                                         .mode = 0100644,
                                         .dos_date = 33,
                                         .crc = (uint32_t)crc32(0, bytes.data, (uInt)bytes.size),
                                         .size = bytes.size,
                                         .packed = bytes.size };

        assert_int_equal(em_pack_add(&pack, &member, &reader, &error), EM_OK);
    }
    assert_int_equal(em_pack_finish(&pack, &error), EM_OK);
    fclose(file);
    assert_int_equal(em_zip_open(&ours, "y.whl", &error), EM_OK);
    for (size_t i = 0; i < 3; i++) {
        struct em_zip_member *member = em_zip_find(ours, names[i]);
        struct em_bytes bytes;

        assert_non_null(member);
        assert_false(member->local_differs);
        assert_int_equal(em_zip_read(ours, member, arena, 100, &bytes, &error), EM_OK);
        assert_memory_equal(bytes.data, names[i], bytes.size);
    }
    em_zip_close(ours);
    theirs = zip_open("y.whl", ZIP_RDONLY | ZIP_CHECKCONS, &why);
    assert_non_null(theirs);
    assert_int_equal(zip_get_num_entries(theirs, 0), 3);
    zip_discard(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_version_is_added_or_counted_up),
        cmocka_unit_test(versions_are_the_same_however_spelled),
        cmocka_unit_test(a_header_is_read),
        cmocka_unit_test(metadata_keeps_what_is_not_meant),
        cmocka_unit_test(what_has_no_headers_is_refused),
        cmocka_unit_test(wheel_has_a_build_once_and_each_tag),
        cmocka_unit_test(a_platform_that_does_not_hold_is_taken_back),
        cmocka_unit_test(chunks_are_one_stream),
        cmocka_unit_test(the_archive_is_taken_by_the_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
