/* A patch becomes a file: what is new, what stays, and what is never touched. */
#include "tests/unit/patcher_fixture.h"

#include <sys/xattr.h>

static const struct em_edit set_path = { .kind = EM_EDIT_SET_RPATH, .value = "/some/where" };

static struct stat stat_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st;
}

static void build(void)
{
    run("rm -f lib.so other.so");
    assert_int_equal(build_library("lib.so", ""), 0);
}

static int edit_to(const char *path, const char *output, struct em_error *error)
{
    struct em_patch_file_options options = { .output = output };
    struct em_arena *arena = em_arena_new();
    struct em_patch patch;
    int r = em_patch_file(&patch, arena, path, &set_path, 1, NULL, &options, error);

    em_arena_free(arena);
    return r;
}

static void another_hard_link_keeps_the_old_file(void **state)
{
    struct stat before, after;

    (void)state;
    build();
    assert_int_equal(link("lib.so", "other.so"), 0);
    copy_file("lib.so", "copy.so");
    before = stat_of("other.so");
    assert_int_equal(edit("lib.so", set_path).result, 0);
    after = stat_of("other.so");
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_not_equal(stat_of("lib.so").st_ino, after.st_ino);
    assert_int_equal(run("cmp -s other.so copy.so"), 0);
    assert_string_equal(object_of("lib.so")->rpath, "/some/where");
}

static void a_link_is_followed(void **state)
{
    (void)state;
    build();
    run("mkdir -p sub && ln -sf ../lib.so sub/link.so");
    assert_int_equal(edit("sub/link.so", set_path).result, 0);
    assert_true(S_ISLNK(stat_of("sub/link.so").st_mode));
    assert_string_equal(object_of("lib.so")->rpath, "/some/where");
}

static void mode_owner_and_attributes_stay(void **state)
{
    struct stat before, after;
    char value[8] = "";
    bool attributes;

    (void)state;
    build();
    assert_int_equal(chmod("lib.so", 04751), 0);
    attributes = setxattr("lib.so", "user.elfmend", "kept", 4, 0) == 0;
    before = stat_of("lib.so");
    assert_int_equal(edit("lib.so", set_path).result, 0);
    after = stat_of("lib.so");
    assert_int_equal(before.st_mode, after.st_mode);
    assert_int_equal(before.st_uid, after.st_uid);
    assert_int_equal(before.st_gid, after.st_gid);
    if (attributes) {
        assert_int_equal(getxattr("lib.so", "user.elfmend", value, sizeof value), 4);
        assert_memory_equal(value, "kept", 4);
    }
}

static void nothing_to_do_touches_nothing(void **state)
{
    struct stat before, after;

    (void)state;
    build();
    assert_int_equal(edit("lib.so", set_path).result, 0);
    before = stat_of("lib.so");
    assert_int_equal(edit("lib.so", set_path).result, 0);
    after = stat_of("lib.so");
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

static void a_refusal_leaves_no_trace(void **state)
{
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    run("rm -rf empty && mkdir empty && echo 'no object' > empty/text");
    assert_int_equal(edit_to("empty/text", NULL, &error), EM_NOT_ELF);
    assert_int_equal(edit_to("empty/none", NULL, &error), EM_NOT_FOUND);
    assert_int_equal(edit_to("empty", NULL, &error), EM_UNSUPPORTED);
    assert_int_equal(run("test \"$(ls -A empty)\" = text"), 0);
}

static void another_output_leaves_the_input(void **state)
{
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    build();
    copy_file("lib.so", "copy.so");
    assert_int_equal(edit_to("lib.so", "other.so", &error), 0);
    assert_int_equal(run("cmp -s lib.so copy.so"), 0);
    assert_string_equal(object_of("other.so")->rpath, "/some/where");
    assert_int_equal(stat_of("other.so").st_mode, stat_of("lib.so").st_mode);
    /* Over a file that is there, and over itself. */
    assert_int_equal(edit_to("lib.so", "other.so", &error), 0);
    assert_int_equal(edit_to("lib.so", "lib.so", &error), 0);
    assert_string_equal(object_of("lib.so")->rpath, "/some/where");
    assert_int_equal(edit_to("lib.so", "missing/other.so", &error), EM_NOT_FOUND);
    assert_int_equal(run("ls -A | grep -q '^[.]elfmend'"), 1);
}

static void an_output_may_be_a_pipe(void **state)
{
    struct em_error error = EM_ERROR_INIT;

    (void)state;
    build();
    run("rm -f pipe && mkfifo pipe && cat pipe >piped.so & sleep 0.2");
    assert_int_equal(edit_to("lib.so", "pipe", &error), 0);
    run("sleep 0.2");
    assert_int_equal(edit("lib.so", set_path).result, 0);
    assert_int_equal(run("cmp lib.so piped.so"), 0);
}

/* The same patch by two ways: copied and written, and read through the reader. */
static void both_ways_to_write_agree(void **state)
{
    static const char *const linkers[] = { "bfd", "lld", "mold" };

    (void)state;
    /* A symbol table of some size, so that tables that only move are not carried in the patch. */
    run("for i in $(seq 4000); do echo \"int a_symbol_with_a_number_$i;\"; done >many.c; cat lib.c >>many.c");
    for (size_t i = 0; i < 3; i++) {
        const struct em_edit long_edit = { .kind = EM_EDIT_SET_RPATH, .value = long_path(1200) };
        struct em_arena *arena = em_arena_new();
        struct em_error error = EM_ERROR_INIT;
        struct em_patched patched;
        struct em_reader reader;
        struct em_patch patch;
        struct em_bytes bytes;
        int in, out;

        if (run("gcc -shared -fPIC -fuse-ld=%s many.c -o lib.so -L. -ldep 2>/dev/null", linkers[i]) != 0)
            continue;
        in = open("lib.so", O_RDONLY | O_CLOEXEC);
        reader = em_reader_fd(in, size_of("lib.so"), "lib.so");
        assert_int_equal(em_patch_make(&patch, arena, &reader, &long_edit, 1, NULL, &error), 0);
        run("rm -f a.so");
        out = open("a.so", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        assert_int_equal(em_patch_copy(&patch, in, out, "a.so", &error), 0);
        close(out);
        em_patched_init(&patched, &reader, &patch);
        assert_int_equal(em_read_bytes(&patched.reader, arena, 0, patch.new_size, &bytes, &error), 0);
        out = open("c.so", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        assert_int_equal(em_write_all(out, bytes.data, bytes.size, "c.so", &error), 0);
        close(out);
        close(in);
        assert_int_equal(run("cmp a.so c.so"), 0);
        assert_true(loads("a.so"));
        em_arena_free(arena);
    }
}

static int setup(void **state)
{
    (void)state;
    write_sources();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_hard_link_keeps_the_old_file),
        cmocka_unit_test(a_link_is_followed),
        cmocka_unit_test(mode_owner_and_attributes_stay),
        cmocka_unit_test(nothing_to_do_touches_nothing),
        cmocka_unit_test(a_refusal_leaves_no_trace),
        cmocka_unit_test(another_output_leaves_the_input),
        cmocka_unit_test(an_output_may_be_a_pipe),
        cmocka_unit_test(both_ways_to_write_agree),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
