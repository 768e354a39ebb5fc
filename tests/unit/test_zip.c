/* A zip archive is believed nothing: each rule is broken once, by an archive that is otherwise fine. What is read is what was
 * written, in any order of reading. A wheel's members stand where an installer would put them. */
#include "bundle/tree/site.h"
#include "tests/unit/zip_writer.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

static char zeros[70 << 20];
static uint8_t noise[3 << 20];

static int fill(void **state)
{
    uint32_t x = 1;

    (void)state;
    /* Half noise, half runs: compressible, but not to nothing. */
    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = i / 64 % 2 ? (uint8_t)(x >> 24) : (uint8_t)(i / 4096);
    }
    return 0;
}

static int open_of(const struct zip_entry *entries, size_t count, const struct zip_end *end, struct em_zip **zip,
                   struct em_error *error)
{
    zip_write("x.whl", entries, count, end);
    *error = (struct em_error)EM_ERROR_INIT;
    return em_zip_open(zip, "x.whl", error);
}

/* ---- what is refused ---- */

struct bad {
    const char *what;
    const char *sentence; /* part of what is said */
    struct zip_entry a, b;
    struct zip_end end;
};

static const struct bad bads[] = {
    { "climbs", "does not stay", { .name = "../x" }, { .name = "b" }, { 0 } },
    { "climbs inside", "does not stay", { .name = "a/../../x" }, { .name = "b" }, { 0 } },
    { "absolute", "does not stay", { .name = "/etc/x" }, { .name = "b" }, { 0 } },
    { "empty part", "does not stay", { .name = "a//x" }, { .name = "b" }, { 0 } },
    { "no name", "without a name", { .name = "", .data = "x" }, { .name = "b" }, { 0 } },
    { "NUL", "NUL", { .name = "a\0b", .name_size = 3, .data = "x" }, { .name = "b" }, { 0 } },
    { "backslash", "backslash", { .name = "..\\x" }, { .name = "b" }, { 0 } },
    { "newline", "control", { .name = "a\nb" }, { .name = "b" }, { 0 } },
    { "no UTF-8", "UTF-8", { .name = "a\xff" }, { .name = "b" }, { 0 } },
    { "overlong UTF-8", "UTF-8", { .name = "a\xc0\xaf" }, { .name = "b" }, { 0 } },
    { "link", "symbolic link", { .name = "a", .mode = 0120777 }, { .name = "b" }, { 0 } },
    { "device", "neither a file", { .name = "a", .mode = 060600 }, { .name = "b" }, { 0 } },
    { "directory by mode", "by its mode", { .name = "a", .mode = 040755 }, { .name = "b" }, { 0 } },
    { "directory with content", "with content", { .name = "a/", .data = "x", .mode = 040755 }, { .name = "b" }, { 0 } },
    { "twice", "twice", { .name = "a" }, { .name = "a" }, { 0 } },
    { "file and directory", "a file and a directory", { .name = "a" }, { .name = "a/b" }, { 0 } },
    { "encrypted", "encrypted", { .name = "a", .flags = 1 }, { .name = "b" }, { 0 } },
    { "strongly encrypted", "encrypted", { .name = "a", .flags = 0x40 }, { .name = "b" }, { 0 } },
    { "bzip2", "method 12", { .name = "a", .method = 12 }, { .name = "b" }, { 0 } },
    { "bomb", "bomb", { .name = "a", .data = zeros, .data_size = sizeof zeros, .deflate = true }, { .name = "b" }, { 0 } },
    { "bomb by its word", "bomb", { .name = "a", .deflate = true, .size_off = 0x7000000 }, { .name = "b" }, { 0 } },
    { "other local name", "another name", { .name = "a", .local_name = "c" }, { .name = "b" }, { 0 } },
    { "longer local name", "another name", { .name = "a", .local_name = "aa" }, { .name = "b" }, { 0 } },
    { "other local method", "contradicts", { .name = "a", .local_method = 8 }, { .name = "b" }, { 0 } },
    { "stored, two sizes", "two sizes", { .name = "a", .size_off = 1 }, { .name = "b" }, { 0 } },
    { "leads out", "in or behind", { .name = "a", .packed_off = 5000, .size_off = 5000 }, { .name = "b" }, { 0 } },
    { "header in the directory", "in or behind", { .name = "a" }, { .name = "b", .header_off = 40 }, { 0 } },
    { "no header there", "no local header", { .name = "a" }, { .name = "b", .header_off = -3 }, { 0 } },
    { "one place for two", "another name", { .name = "a" }, { .name = "b", .header_off = -32 }, { 0 } },
    { "overlap", "overlap", { .name = "a", .packed_off = 4, .size_off = 4 }, { .name = "b" }, { 0 } },
    { "no end", "no end record", { .name = "a" }, { .name = "b" }, { .no_end = true } },
    { "prefix", "place or size", { .name = "a" }, { .name = "b" }, { .prefix = "#!/bin/sh\n", .offset_off = -10 } },
    { "prefix, offsets right", "before its first", { .name = "a" }, { .name = "b" }, { .prefix = "#!/bin/sh\n" } },
    { "suffix", "behind its end record", { .name = "a" }, { .name = "b" }, { .suffix = "more" } },
    { "one too many", "fewer members", { .name = "a" }, { .name = "b" }, { .count_off = 1 } },
    { "one too few", "more in its central", { .name = "a" }, { .name = "b" }, { .count_off = -1 } },
    { "directory size", "place or size", { .name = "a" }, { .name = "b" }, { .size_off = 1 } },
    { "directory offset", "place or size", { .name = "a" }, { .name = "b" }, { .offset_off = 1 } },
    { "ZIP64 count", "contradict", { .name = "a" }, { .name = "b" }, { .zip64 = true, .count64_off = 1 } },
    { "ZIP64 locator", "locator", { .name = "a" }, { .name = "b" }, { .zip64 = true, .locator_off = 4 } },
    { "ZIP64 promised",
      "has none",
      { .name = "a", .packed_off = 0xfffffffeL, .size_off = 0xfffffffeL },
      { .name = "b" },
      { 0 } },
    { "extra cut off", "cut off", { .name = "a", .extra = "\1\0\20\0xx", .extra_size = 6 }, { .name = "b" }, { 0 } },
};

static void hostile_archives_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct zip_entry entries[] = { bads[i].a, bads[i].b };
        struct em_error error;
        struct em_zip *zip;
        int r = open_of(entries, 2, &bads[i].end, &zip, &error);

        if (r == EM_OK || !strstr(error.sentence, bads[i].sentence))
            fail_msg("%s: %d \"%s\", not \"%s\"", bads[i].what, r, error.sentence, bads[i].sentence);
        assert_null(zip);
    }
}

/* Names as long as a path can be are read, one byte more is not; and directories that are many times what their members are stop before
 * they fill the memory. */
static void names_and_directories_have_a_limit(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct zip_entry entries[10] = { { .name = NULL } };
    char *names[10];
    struct em_error error;
    struct em_zip *zip;

    (void)state;
    for (int i = 0; i < 10; i++) {
        names[i] = em_arena_alloc(arena, EM_MAX_ZIP_NAME + 2);
        memset(names[i], 'x', EM_MAX_ZIP_NAME);
        names[i][0] = (char)('a' + i);
        entries[i].name = names[i];
    }
    assert_int_equal(open_of(entries, 10, &(struct zip_end){ 0 }, &zip, &error), EM_OK);
    em_zip_close(zip);
    names[9][EM_MAX_ZIP_NAME] = 'x';
    assert_int_equal(open_of(entries, 10, &(struct zip_end){ 0 }, &zip, &error), EM_BAD_ZIP);
    assert_non_null(strstr(error.sentence, "4096 bytes"));
    names[9][EM_MAX_ZIP_NAME] = '\0';
    for (int i = 0; i < 10; i++)
        for (size_t at = 1; at + 1 < EM_MAX_ZIP_NAME; at += 2)
            names[i][at] = '/';
    assert_int_equal(open_of(entries, 3, &(struct zip_end){ 0 }, &zip, &error), EM_OK);
    em_zip_close(zip);
    assert_int_equal(open_of(entries, 10, &(struct zip_end){ 0 }, &zip, &error), EM_BAD_ZIP);
    assert_non_null(strstr(error.sentence, "directories whose names"));
}

/* A file that was cut anywhere, or of which one byte is another, is refused or read as it was: never a crash, never other bytes
 * with a CRC that fits. */
static void no_cut_and_no_flip_is_survived_by_luck(void **state)
{
    struct zip_entry entries[] = { { .name = "a/b.so", .data = noise, .data_size = 3000, .deflate = true },
                                   { .name = "c", .data = "hello" } };
    struct em_text text = { 0 };

    (void)state;
    zip_build(&text, entries, 2, &(struct zip_end){ .zip64 = true });
    for (size_t i = 0; i < text.size; i++) {
        for (int way = 0; way < 3; way++) {
            em_cleanup_arena struct em_arena *arena = em_arena_new();
            struct em_error error = EM_ERROR_INIT;
            struct em_zip *zip;
            FILE *file = fopen("x.whl", "w");
            char kept = text.data[i];

            if (way > 0)
                text.data[i] = (char)(kept ^ (way == 1 ? 1 : 0x80));
            fwrite(text.data, 1, way ? text.size : i, file);
            fclose(file);
            text.data[i] = kept;
            if (em_zip_open(&zip, "x.whl", &error) < 0) {
                assert_true(error.sentence[0] != '\0');
                continue;
            }
            em_vec_each (struct em_zip_member, member, em_zip_members(zip)) {
                struct em_bytes bytes;
                bool first = member == em_zip_members(zip)->items;

                if (em_zip_read(zip, member, arena, 1 << 20, &bytes, &error) < 0)
                    continue;
                assert_int_equal(bytes.size, first ? 3000 : 5);
                assert_memory_equal(bytes.data, first ? (const void *)noise : "hello", bytes.size);
            }
            em_zip_close(zip);
        }
    }
    em_text_free(&text);
}

/* ---- what is read ---- */

static void members_read_as_they_were_written(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct zip_entry entries[] = { { .name = "dir/", .data = "", .mode = 040755 },
                                   { .name = "dir/stored", .data = noise, .data_size = 200000 },
                                   { .name = "dir/big", .data = noise, .data_size = sizeof noise, .deflate = true },
                                   { .name = "small", .data = noise, .data_size = 5000, .deflate = true, .descriptor = true },
                                   { .name = "empty", .data = "", .deflate = true },
                                   { .name = "sixty-four", .data = "hello", .zip64 = true },
                                   { .name = "gr\xc3\xbc\xc3\x9f", .flags = 0x800 } };
    size_t count = sizeof entries / sizeof *entries;
    struct em_error error;
    struct em_zip *zip;

    (void)state;
    for (int way = 0; way < 2; way++) {
        struct zip_end end = { .zip64 = way == 1, .comment = way ? "a comment" : NULL };

        assert_int_equal(open_of(entries, count, &end, &zip, &error), EM_OK);
        for (size_t i = 0; i < count; i++) {
            const char *data = entries[i].data ? entries[i].data : entries[i].name;
            size_t size = entries[i].data_size ? entries[i].data_size : strlen(data);
            struct em_zip_member *member = em_zip_find(zip, entries[i].name);
            struct em_zip_place place = { zip, member };
            struct em_reader reader;
            struct em_bytes bytes;
            uint64_t places[] = { size / 2, 0, size > 20 ? size - 20 : 0, size / 3 };
            char piece[20];

            assert_non_null(member);
            assert_false(member->local_differs);
            reader = em_zip_reader(&place);
            assert_int_equal(reader.size, size);
            for (size_t p = 0; p < 4 && size >= 20; p++) {
                assert_int_equal(em_read_at(&reader, piece, 20, places[p], &error), EM_OK);
                assert_memory_equal(piece, data + places[p], 20);
            }
            assert_int_equal(em_zip_read(zip, member, arena, 4 << 20, &bytes, &error), EM_OK);
            assert_int_equal(bytes.size, size);
            assert_memory_equal(bytes.data, data, size);
        }
        em_zip_close(zip);
    }
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reading on where one left off does not begin at the beginning: in stored blocks, whose pieces end exactly where a chunk does, and
 * in long matches, whose pieces end before. */
static void reading_forward_is_one_pass(void **state)
{
    const size_t size = (size_t)32 << 20, piece = 64 << 10;
    em_cleanup_free char *data = malloc(size);
    em_cleanup_free uint8_t *back = malloc(piece);
    const struct zip_entry entry = { .name = "a", .data = data, .data_size = size, .deflate = true };
    struct em_zip_place place;
    struct em_reader reader;
    struct em_error error;
    const char *checker = getenv("ELFMEND_CHECKER");
    double begin, whole = 0;
    uint32_t x = 1;

    (void)state;
    assert_true(data && back);
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = i < size / 2 + 12345 ? (char)(x >> 24) : 0;
    }
    zip_write("x.whl", &entry, 1, &(struct zip_end){ 0 });
    for (int way = 0; way < 2; way++) {
        struct em_zip *zip;

        assert_int_equal(em_zip_open(&zip, "x.whl", &error), EM_OK);
        place = (struct em_zip_place){ zip, em_zip_members(zip)->items };
        reader = em_zip_reader(&place);
        begin = cpu_seconds();
        if (way == 0)
            assert_int_equal(em_read_at(&reader, back, 1, size - 1, &error), EM_OK);
        else
            for (size_t at = 0; at < size; at += piece) {
                assert_int_equal(em_read_at(&reader, back, piece, at, &error), EM_OK);
                assert_true(memcmp(back, data + at, piece) == 0); /* cmocka's own goes byte by byte, and is timed too */
            }
        if (way == 0)
            whole = cpu_seconds() - begin;
        else if (checker && *checker)
            print_message("# %s: what it costs is not judged under the %s\n", __func__, checker);
        else if (cpu_seconds() - begin > 0.1 + 4 * whole)
            fail_msg("%.2f s in one pass, %.2f s piece by piece", whole, cpu_seconds() - begin);
        em_zip_close(zip);
    }
}

static void a_lie_in_the_data_shows_when_it_is_read(void **state)
{
    static const struct {
        struct zip_entry entry;
        const char *sentence;
    } lies[] = {
        { { .name = "a", .data = noise, .data_size = 5000, .deflate = true, .crc_off = 1 }, "CRC" },
        { { .name = "a", .data = noise, .data_size = 5000, .crc_off = 1 }, "CRC" },
        { { .name = "a", .data = noise, .data_size = 5000, .deflate = true, .size_off = 1 }, "shorter" },
        { { .name = "a", .data = noise, .data_size = 5000, .deflate = true, .size_off = -1 }, "longer" },
        { { .name = "a", .data = noise, .data_size = 5000, .deflate = true, .packed_off = -1 }, "breaks off" },
        { { .name = "a", .data = noise, .data_size = 5000, .method = 8 }, "broken" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        em_cleanup_arena struct em_arena *arena = em_arena_new();
        struct em_error error;
        struct em_zip *zip;
        struct em_bytes bytes;

        assert_int_equal(open_of(&lies[i].entry, 1, &(struct zip_end){ 0 }, &zip, &error), EM_OK);
        assert_int_equal(em_zip_read(zip, em_zip_members(zip)->items, arena, 1 << 20, &bytes, &error), EM_BAD_ZIP);
        if (!strstr(error.sentence, lies[i].sentence))
            fail_msg("%zu: \"%s\", not \"%s\"", i, error.sentence, lies[i].sentence);
        if (lies[i].entry.method == 8 || lies[i].entry.deflate) {
            struct em_zip_place place = { zip, em_zip_members(zip)->items };
            struct em_reader reader = em_zip_reader(&place);
            uint8_t byte;

            /* Asked twice, it fails twice. */
            for (int j = 0; j < 2; j++)
                assert_int_equal(em_read_at(&reader, &byte, 1, reader.size - 1, &error), EM_BAD_ZIP);
        }
        em_zip_close(zip);
    }
}

/* ---- as it would be installed ---- */

static const char *content(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;

    if (em_tree_read(tree, arena, path, 1000, &bytes, &error) < 0)
        return "error";
    return em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
}

static const char *listing(struct em_arena *arena, struct em_tree *tree, const char *path)
{
    struct em_strings names;
    const char *all = "";

    if (em_tree_list(tree, arena, path, &names) < 0)
        return "error";
    em_vec_each (const char *, name, &names)
        all = em_arena_printf(arena, "%s%s ", all, *name);
    return all;
}

static void a_wheel_answers_as_if_it_were_installed(void **state)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct zip_entry entries[] = { { .name = "pkg/__init__.py" },
                                   { .name = "pkg/_ext.so", .mode = 0100755, .deflate = true },
                                   { .name = "pkg-1.data/platlib/pkg/plat.so" },
                                   { .name = "pkg-1.data/purelib/pure.py" },
                                   { .name = "pkg-1.data/scripts/run" },
                                   { .name = "pkg-1.data/data/share/x" },
                                   { .name = "pkg-1.data/headers/pkg.h" },
                                   { .name = "pkg-1.dist-info/METADATA" } };
    em_cleanup_tree struct em_tree *disk = NULL, *tree = NULL;
    struct em_error error;
    struct em_node node;
    struct em_zip *zip;
    char *real, real_env[PATH_MAX];

    (void)state;
    assert_int_equal(system("rm -rf env && mkdir -p env/pkg env/nvidia/lib && echo other >env/pkg/__init__.py &&"
                            "echo so >env/nvidia/lib/libx.so && ln -s libx.so env/nvidia/lib/link"),
                     0);
    assert_int_equal(open_of(entries, sizeof entries / sizeof *entries, &(struct zip_end){ 0 }, &zip, &error), EM_OK);
    assert_int_equal(em_tree_disk(&disk, NULL, &error), EM_OK);
    assert_int_equal(em_tree_site(&tree, disk, "/v/pkg.whl", "python3.11"), EM_OK);
    assert_int_equal(em_site_put_wheel(tree, zip, &error), EM_OK);
    assert_int_equal(em_site_put_bytes(tree, "/v/pkg.whl/lib/python3.11/site-packages/promised/lib/liby.so",
                                       (struct em_bytes){ (const uint8_t *)"y", 1 }),
                     EM_OK);
    assert_int_equal(em_site_put_directory(tree, realpath("env", real_env)), EM_OK);
#define SITE "/v/pkg.whl/lib/python3.11/site-packages"
    assert_string_equal(em_site_path(tree), SITE);
    assert_string_equal(listing(arena, tree, SITE), "nvidia pkg pkg-1.dist-info promised pure.py ");
    assert_string_equal(listing(arena, tree, SITE "/pkg/../pkg/"), "__init__.py _ext.so plat.so ");
    assert_string_equal(listing(arena, tree, SITE "/gone/../pkg"), "error");
    assert_string_equal(listing(arena, tree, "/v/pkg.whl"), "bin include lib share ");
    assert_string_equal(listing(arena, tree, SITE "/nvidia/lib"), "libx.so link ");
    assert_string_equal(content(arena, tree, SITE "/pkg/__init__.py"), "pkg/__init__.py");
    assert_string_equal(content(arena, tree, SITE "/pkg/_ext.so"), "pkg/_ext.so");
    assert_string_equal(content(arena, tree, SITE "/pkg/../../../../bin/run"), "pkg-1.data/scripts/run");
    assert_string_equal(content(arena, tree, "/v/pkg.whl/include/site/python3.11/pkg/pkg.h"), "pkg-1.data/headers/pkg.h");
    assert_string_equal(content(arena, tree, SITE "/promised/lib/liby.so"), "y");
    assert_string_equal(content(arena, tree, SITE "/nvidia/lib/link"), "so\n");
    assert_int_equal(em_tree_stat(tree, SITE "/../../../../../usr", &node), 0);
    assert_int_equal(em_tree_stat(tree, SITE "/pkg/_ext.so", &node), 0);
    assert_int_equal(node.mode, 0755);
    assert_int_equal(node.mtime_ns, INT64_C(1735689600) * 1000000000);
    assert_int_equal(em_tree_stat(tree, SITE "/pkg/none", &node), -ENOENT);
    assert_int_equal(em_tree_stat(tree, SITE "/pkg/_ext.so/", &node), -ENOTDIR);
    assert_int_equal(em_tree_real_path(tree, arena, SITE "/nvidia/lib/link", &real), 0);
    assert_string_equal(real, SITE "/nvidia/lib/libx.so");
    em_zip_close(zip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_archives_are_refused),
        cmocka_unit_test(names_and_directories_have_a_limit),
        cmocka_unit_test(no_cut_and_no_flip_is_survived_by_luck),
        cmocka_unit_test(members_read_as_they_were_written),
        cmocka_unit_test(reading_forward_is_one_pass),
        cmocka_unit_test(a_lie_in_the_data_shows_when_it_is_read),
        cmocka_unit_test(a_wheel_answers_as_if_it_were_installed),
    };

    return cmocka_run_group_tests(tests, fill, NULL);
}
