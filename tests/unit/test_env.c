/* Environments as they are found on disk: what they are, what is installed, whose each file is, and what differs from RECORD. */
#include "bundle/env/env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SITE "v/lib/python3.11/site-packages"

struct fixture {
    struct em_arena *arena;
    struct em_tree *tree;
    struct em_env env;
    struct em_deviations deviations;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f || system("rm -rf v t d") != 0 || em_tree_disk(&f->tree, NULL, NULL) < 0)
        return -1;
    f->arena = em_arena_new();
    *state = f;
    return f->arena ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    em_tree_close(f->tree);
    em_arena_free(f->arena);
    free(f);
    return 0;
}

static void shell(const char *command)
{
    assert_int_equal(system(command), 0);
}

static void put(const char *path, const void *data, size_t size)
{
    char command[1200];
    FILE *file;

    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    shell(command);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text));
}

/* The least that is an object by its header; marked so that two differ. */
static void put_object(const char *path, char mark)
{
    unsigned char bytes[80] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

    bytes[16] = 3;
    bytes[79] = (unsigned char)mark;
    put(path, bytes, sizeof bytes);
}

/* A RECORD line for a file as it is now. */
static const char *line(struct fixture *f, const char *site, const char *row)
{
    const char *path = em_path_join(f->arena, site, row);
    struct em_bytes bytes;
    struct em_sha256 digest;
    char base64[EM_SHA256_BASE64_SIZE];

    assert_int_equal(em_read_file_at(AT_FDCWD, path, 1 << 20, f->arena, &bytes, NULL), EM_OK);
    em_sha256_bytes(bytes.data, bytes.size, &digest);
    em_sha256_base64(&digest, base64);
    return em_arena_printf(f->arena, "%s,sha256=%s,%zu\n", row, base64, bytes.size);
}

/* NAME-1.0.dist-info with these rows, all of which exist; extra is more text for RECORD. */
static void install(struct fixture *f, const char *site, const char *name, const char *extra, const char *const *rows)
{
    const char *info = em_arena_printf(f->arena, "%s/%s-1.0.dist-info", site, name);
    em_cleanup_text struct em_text record = { 0 };

    put_text(em_path_join(f->arena, info, "METADATA"),
             em_arena_printf(f->arena, "Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n%s\n\nRequires-Dist: not-a-header\n",
                             name,
                             strcmp(name, "Foo_Bar") == 0 ? "Requires-Dist: baz.qux (>=1) ; python_version > \"3\"\n"
                                                            "Requires-Dist: other; extra == 'x'"
                                                          : "Summary: extra"));
    em_text_add(&record, line(f, site, em_arena_printf(f->arena, "%s-1.0.dist-info/METADATA", name)));
    for (; rows && *rows; rows++)
        em_text_add(&record, line(f, site, *rows));
    em_text_printf(&record, "%s%s-1.0.dist-info/RECORD,,\n", extra, name);
    put_text(em_path_join(f->arena, info, "RECORD"), record.data);
}

static void make_venv(struct fixture *f)
{
    shell("mkdir -p v/bin && ln -s /bin/sh v/bin/python3 && ln -s lib v/lib64 2>/dev/null; mkdir -p " SITE);
    put_text("v/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n");
    put_text("v/bin/foo", "#!/bin/sh\n");
    put_object(SITE "/foo/_x.cpython-311-x86_64-linux-gnu.so", 'a');
    put_object(SITE "/foo.libs/libx-1234.so.9.1.0", 'b');
    put_text(SITE "/foo/__init__.py", "");
    put_text(SITE "/foo/fake.so", "INPUT(-lx)\n");
    install(f, SITE, "Foo_Bar", "foo/__pycache__/__init__.cpython-311.pyc,,\n",
            (const char *const[]){ "../../../bin/foo", "foo/__init__.py", "foo/_x.cpython-311-x86_64-linux-gnu.so",
                                   "foo/fake.so", "foo.libs/libx-1234.so.9.1.0", NULL });
    put_object(SITE "/qux/libq.so.1", 'c');
    install(f, SITE, "baz.qux", "", (const char *const[]){ "qux/libq.so.1", NULL });
}

static void reads(struct fixture *f, const char *target)
{
    struct em_error error = EM_ERROR_INIT;

    if (em_env_read(&f->env, f->arena, f->tree, target, &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
}

static void refuses(struct fixture *f, const char *target, int code, const char *sentence)
{
    struct em_error error = EM_ERROR_INIT;

    assert_int_equal(em_env_read(&f->env, f->arena, f->tree, target, &error), code);
    assert_string_equal(error.sentence, sentence);
    assert_non_null(strstr(error.path, target));
}

static const char *absolute(struct fixture *f, const char *path)
{
    char cwd[4096];

    assert_non_null(getcwd(cwd, sizeof cwd));
    return em_path_join(f->arena, cwd, path);
}

static const char *owner_of(struct fixture *f, const char *path)
{
    struct em_distribution *owner = em_env_owner(&f->env, absolute(f, path));

    return owner ? owner->name : "nobody";
}

/* "path owner" of all objects, for one comparison. */
static const char *objects(struct fixture *f)
{
    const char *all = "";

    em_vec_each (const struct em_env_object, object, &f->env.objects)
        all = em_arena_printf(f->arena, "%s%s %s\n", all, em_env_show(&f->env, object->path),
                              object->owner ? object->owner->name : "-");
    return all;
}

static void a_venv_is_read(void **state)
{
    struct fixture *f = *state;
    const struct em_distribution *foo, *qux;

    make_venv(f);
    put_object("v/lib/libtbb.so.12", 'd');
    put_object("v/.cache/libhidden.so", 'e');
    put_object("v/.elfmend/undo/lib.so", 'e');
    put_object(SITE "/foo/.libs/libdot.so", 'e');
    put_object(SITE "/foo/data/program", 'e');
    put_object(SITE "/foo/include/Dense", 'e');
    put_text(SITE "/foo/LICENSE", "MIT\n");
    shell("ln -s libx-1234.so.9.1.0 " SITE "/foo.libs/libx.so; mkdir " SITE "/~oo-1.0.dist-info " SITE "/gone-1.0.dist-info");
    put(SITE "/foo/libshort.so",
        "\x7f"
        "ELF\2\1\1",
        7);
    put(SITE "/foo/libword.so", "no ELF, but as long as a header would be: sixty-four bytes and more.", 68);
    reads(f, "v");
    assert_int_equal(f->env.kind, EM_ENV_VENV);
    assert_string_equal(f->env.python_version, "3.11");
    assert_string_equal(em_path_basename(f->env.python), em_path_basename(realpath("/bin/sh", (char[4096]){ 0 })));
    assert_int_equal(f->env.sites.count, 1);
    assert_string_equal(f->env.sites.items[0], absolute(f, SITE));
    assert_string_equal(objects(f), "lib/libtbb.so.12 -\n"
                                    "lib/python3.11/site-packages/foo.libs/libx-1234.so.9.1.0 Foo_Bar\n"
                                    "lib/python3.11/site-packages/foo/.libs/libdot.so -\n"
                                    "lib/python3.11/site-packages/foo/_x.cpython-311-x86_64-linux-gnu.so Foo_Bar\n"
                                    "lib/python3.11/site-packages/foo/data/program -\n"
                                    "lib/python3.11/site-packages/qux/libq.so.1 baz.qux\n");
    assert_int_equal(f->env.distributions.count, 2);
    foo = em_env_find(&f->env, "foo-bar");
    qux = em_env_find(&f->env, "baz-qux");
    assert_non_null(foo);
    assert_non_null(qux);
    assert_null(em_env_find(&f->env, "foo"));
    assert_int_equal(foo->requirements.count, 2);
    assert_string_equal(foo->requirements.items[0].name, "baz-qux");
    assert_false(foo->requirements.items[0].has_extra);
    assert_true(foo->requirements.items[1].has_extra);
    assert_true(em_env_requires(&f->env, foo, qux));
    assert_false(em_env_requires(&f->env, qux, foo));
}

static void paths_and_rows(void **state)
{
    struct fixture *f = *state;
    const struct em_distribution *foo;

    make_venv(f);
    reads(f, "v");
    foo = em_env_find(&f->env, "foo-bar");
    assert_string_equal(em_env_row_path(&f->env, foo, "../../../bin/foo"), absolute(f, "v/bin/foo"));
    assert_string_equal(em_env_row_spelling(&f->env, foo, absolute(f, "v/bin/foo")), "../../../bin/foo");
    assert_string_equal(em_env_row_spelling(&f->env, foo, absolute(f, SITE "/foo/new.so")), "foo/new.so");
    assert_string_equal(owner_of(f, "v/bin/foo"), "Foo_Bar");
    assert_string_equal(owner_of(f, "v/lib64/python3.11/site-packages/foo/__init__.py"), "Foo_Bar");
    assert_string_equal(owner_of(f, SITE "/foo/../qux/./libq.so.1"), "baz.qux");
    assert_string_equal(owner_of(f, "v/pyvenv.cfg"), "nobody");
    assert_string_equal(em_env_show(&f->env, absolute(f, SITE "/foo")), "lib/python3.11/site-packages/foo");
    assert_string_equal(em_env_show(&f->env, "/usr/lib"), "/usr/lib");
}

/* Rows that are spelled as nobody should: absolute, with ".." in the middle. */
static void odd_rows_have_owners(void **state)
{
    struct fixture *f = *state;
    const struct em_distribution *odd;

    make_venv(f);
    put_object(SITE "/odd/a.so", 'a');
    install(f, SITE, "odd", em_arena_printf(f->arena, "%s,,\nfoo/../odd/b.so,,\n", absolute(f, SITE "/odd/a.so")), NULL);
    reads(f, "v");
    odd = em_env_find(&f->env, "odd");
    assert_string_equal(owner_of(f, SITE "/odd/a.so"), "odd");
    assert_string_equal(owner_of(f, SITE "/odd/b.so"), "odd");
    assert_string_equal(em_env_row_spelling(&f->env, odd, absolute(f, SITE "/odd/b.so")), "foo/../odd/b.so");
    assert_string_equal(em_env_row_spelling(&f->env, odd, absolute(f, SITE "/odd/a.so")), absolute(f, SITE "/odd/a.so"));
}

/* Links out of the target count where a RECORD lists them: uv's link mode. */
static void links_to_a_cache(void **state)
{
    struct fixture *f = *state;

    make_venv(f);
    put_object("t/cache/libc1.so", 'a');
    shell("ln -s $PWD/t/cache/libc1.so " SITE "/qux/liblinked.so; ln -s $PWD/t/cache/libc1.so " SITE "/qux/libstray.so;"
          "ln -s $PWD/t/cache " SITE "/qux/dir");
    install(f, SITE, "uvd", "qux/liblinked.so,,\n", NULL);
    reads(f, "v");
    assert_non_null(strstr(objects(f), "qux/liblinked.so uvd\n"));
    assert_null(strstr(objects(f), "libstray"));
    assert_null(strstr(objects(f), "dir"));
}

static void other_kinds(void **state)
{
    struct fixture *f = *state;

    put_object("t/foo/libx.so.1", 'a');
    install(f, "t", "foo", "", (const char *const[]){ "foo/libx.so.1", NULL });
    reads(f, "t");
    assert_int_equal(f->env.kind, EM_ENV_TARGET);
    assert_string_equal(objects(f), "foo/libx.so.1 foo\n");
    /* A part of it, and one object: whose they are is found above. */
    reads(f, "t/foo");
    assert_int_equal(f->env.kind, EM_ENV_DIRECTORY);
    assert_string_equal(objects(f), "libx.so.1 foo\n");
    reads(f, "t/foo/libx.so.1");
    assert_int_equal(f->env.kind, EM_ENV_OBJECT);
    assert_string_equal(objects(f), "t/foo/libx.so.1 foo\n");
    /* A directory with sites somewhere in it; a vendored .dist-info makes no site. */
    shell("mkdir -p d/opt && mv t d/opt/site && mkdir -p d/opt/site/foo/_vendor/v-1.dist-info");
    reads(f, "d");
    assert_int_equal(f->env.kind, EM_ENV_DIRECTORY);
    assert_int_equal(f->env.sites.count, 1);
    assert_string_equal(objects(f), "opt/site/foo/libx.so.1 foo\n");
    /* A conda prefix may have no Python. */
    shell("mkdir d/conda-meta");
    reads(f, "d");
    assert_int_equal(f->env.kind, EM_ENV_CONDA);
    shell("rm -r d/conda-meta; ln -s d/opt t");
    reads(f, "t/../opt/site");
    assert_string_equal(f->env.path, f->env.real_path);
}

static void what_is_no_target(void **state)
{
    struct fixture *f = *state;
    static const char nothing[] = "is no environment: no pyvenv.cfg, no conda-meta, no *.dist-info, and no ELF object below it";

    refuses(f, "nowhere", EM_NOT_FOUND, "cannot be found");
    put_text("d/file.txt", "x");
    refuses(f, "d", EM_UNSUPPORTED, nothing);
    refuses(f, "d/file.txt", EM_UNSUPPORTED, "is no environment: neither a directory nor an ELF object");
    shell("mkfifo d/fifo; ln -s loop d/loop");
    refuses(f, "d/fifo", EM_UNSUPPORTED, "is no environment: neither a directory nor a regular file");
    refuses(f, "d/loop", EM_IO, "cannot be found");
    shell("mkdir -p v && touch v/pyvenv.cfg");
    refuses(f, "v", EM_UNSUPPORTED, "has a pyvenv.cfg but no lib/pythonX.Y/site-packages");
    shell("rm -r v; mkdir d/.venv && touch d/.venv/pyvenv.cfg");
    refuses(f, "d", EM_UNSUPPORTED, "is no environment; there is one in it: .venv");
    make_venv(f);
    put_text(SITE "/baz.qux-1.0.dist-info/RECORD", "a,,\n\"b,,\n");
    refuses(f, "v", EM_BAD_RECORD, "line 2 opens a quote that is never closed");
}

static void extensions_by_name(void **state)
{
    (void)state;
    assert_true(em_env_is_extension("/s/a/_x.cpython-311-x86_64-linux-gnu.so"));
    assert_true(em_env_is_extension("_x.abi3.so"));
    assert_true(em_env_is_extension("_x.pypy39-pp73-x86_64-linux-gnu.so"));
    assert_true(em_env_is_extension("/s/a/_x.so"));
    assert_true(em_env_is_extension("/s/libfoo.abi3.so"));
    assert_false(em_env_is_extension("/s/a.libs/x.so"));
    assert_false(em_env_is_extension("/s/a/libx.so"));
    assert_false(em_env_is_extension("/s/a/x.so.1"));
    assert_false(em_env_is_extension("/s/a/x-1234.so"));
    assert_false(em_env_is_extension("/s/a/2x.so"));
}

static void names_are_normalized(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(em_normalize_name(f->arena, "Foo.Bar--_baz"), "foo-bar-baz");
    assert_string_equal(em_normalize_name(f->arena, "nvidia_cudnn_cu12"), "nvidia-cudnn-cu12");
}

/* ---- verify ---- */

/* "kind path distribution detail" of all deviations. */
static const char *verify(struct fixture *f, const char *target, bool hash)
{
    static const char *const kinds[] = { "changed", "unchecked", "missing", "unlisted", "shared" };
    const struct em_verify_options options = { .hash = hash, .unlisted = hash };
    struct em_error error = EM_ERROR_INIT;
    const char *all = "";

    reads(f, target);
    if (em_env_verify(&f->deviations, &f->env, &options, NULL, &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
    em_vec_each (const struct em_deviation, d, &f->deviations)
        all = em_arena_printf(f->arena, "%s%s %s %s%s%s\n", all, kinds[d->kind], em_path_basename(d->path),
                              d->distribution ? d->distribution->name : "-", d->detail ? " " : "", d->detail ? d->detail : "");
    return all;
}

static void verify_both_ways(void **state)
{
    struct fixture *f = *state;

    make_venv(f);
    assert_string_equal(verify(f, "v", true), "");
    assert_int_equal(f->deviations.files, 11);
    shell("echo more >> v/bin/foo; rm " SITE "/qux/libq.so.1; touch " SITE "/foo/stray.py; mkdir " SITE "/foo/__pycache__ " SITE
          "/mine; touch " SITE "/foo/__pycache__/x.pyc " SITE "/mine/x.py " SITE "/root.py;"
          "ln -s /nowhere " SITE "/foo.libs/libl.so");
    put_object(SITE "/foo.libs/libx-1234.so.9.1.0", 'z');
    assert_string_equal(verify(f, "v", true), "missing libq.so.1 baz.qux\n"
                                              "changed foo Foo_Bar size 15 instead of 10\n"
                                              "changed libx-1234.so.9.1.0 Foo_Bar sha256 differs\n"
                                              "unlisted libl.so -\n"
                                              "unlisted stray.py -\n");
    assert_string_equal(verify(f, "v", false), "missing libq.so.1 baz.qux\n"
                                               "changed foo Foo_Bar size 15 instead of 10\n");
    shell("rm " SITE "/foo/__init__.py && mkdir " SITE "/foo/__init__.py");
    assert_non_null(strstr(verify(f, "v", true), "changed __init__.py Foo_Bar is no regular file\n"));
    /* A part: what lies elsewhere is not looked at. */
    assert_string_equal(verify(f, SITE "/foo.libs", true), "changed libx-1234.so.9.1.0 Foo_Bar sha256 differs\n"
                                                           "unlisted libl.so -\n");
    assert_string_equal(verify(f, SITE "/foo.libs/libx-1234.so.9.1.0", true),
                        "changed libx-1234.so.9.1.0 Foo_Bar sha256 differs\n");
}

static void shared_files(void **state)
{
    struct fixture *f = *state;

    make_venv(f);
    put_text(SITE "/ns/__init__.py", "");
    put_object(SITE "/ns/lib.so", 'a');
    install(f, SITE, "cu12", "", (const char *const[]){ "ns/__init__.py", "ns/lib.so", NULL });
    put_object(SITE "/ns/lib.so", 'b');
    install(f, SITE, "cu13", "", (const char *const[]){ "ns/__init__.py", "ns/lib.so", NULL });
    assert_string_equal(verify(f, "v", true), "shared __init__.py cu13 the same bytes in cu12 1.0, cu13 1.0\n"
                                              "shared lib.so cu13 listed by cu12 1.0, cu13 1.0, with the bytes of cu13 1.0\n");
    assert_true(f->deviations.items[0].same_bytes);
    assert_false(f->deviations.items[1].same_bytes);
    put_object(SITE "/ns/lib.so", 'c');
    assert_non_null(strstr(verify(f, "v", true), "shared lib.so - listed by cu12 1.0, cu13 1.0, with the bytes of neither\n"
                                                 "changed lib.so cu12 sha256 differs\n"
                                                 "changed lib.so cu13 sha256 differs\n"));
    shell("rm " SITE "/ns/lib.so");
    assert_non_null(strstr(verify(f, "v", true), "missing lib.so cu12\nmissing lib.so cu13\n"));
}

/* pip --target: rows lead out of the tree, and mean its bin. */
static void rows_out_of_a_target(void **state)
{
    struct fixture *f = *state;

    put_text("d/bin/x", "script\n");
    put_object("d/foo/a.so", 'a');
    install(f, "d", "foo",
            em_arena_printf(f->arena, "../../%s../../bin/gone,sha256=%s,1\n", line(f, "d", "bin/x"),
                            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
            (const char *const[]){ "foo/a.so", NULL });
    put_text("bin/gone", "not ours\n");
    assert_string_equal(verify(f, "d", true), "");
    assert_string_equal(owner_of(f, "d/bin/x"), "foo");
    put_text("d/bin/x", "scribe\n");
    assert_string_equal(verify(f, "d", true), "changed x foo sha256 differs\n");
}

static void hashes_that_cannot_be_read(void **state)
{
    struct fixture *f = *state;

    put_text("d/a", "a");
    put_text("d/b", "b");
    install(f, "d", "foo", "a,sha256=short,1\nb,sha512=short,1\n", NULL);
    assert_string_equal(verify(f, "d", true), "unchecked a foo the SHA-256 in its RECORD cannot be read\n"
                                              "changed b foo sha512 differs\n");
}

static void public_names(void **state)
{
    struct fixture *f = *state;
    struct em_strings names;

    assert_int_equal(em_env_public_names(&names, f->arena, "libcudnn-74a4c495.so.9.1.0"), EM_OK);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.items[0], "libcudnn.so.9.1.0");
    assert_string_equal(names.items[1], "libcudnn.so.9.1");
    assert_string_equal(names.items[2], "libcudnn.so.9");
    assert_int_equal(em_env_public_names(&names, f->arena, "libgomp-a34b3233.so.1"), EM_OK);
    assert_int_equal(names.count, 1);
    for (const char *const *no =
             (const char *const[]){ "libcudnn.so.9", "-74a4c495.so.9", "libx-74a4c49.so.9", "libx-74a4c49g.so.9",
                                    "libx-74a4c495.so", "libx-74a4c495.so.", "", NULL };
         *no; no++) {
        assert_int_equal(em_env_public_names(&names, f->arena, *no), EM_OK);
        assert_int_equal(names.count, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_venv_is_read),   TEST(paths_and_rows),    TEST(odd_rows_have_owners), TEST(links_to_a_cache),
        TEST(other_kinds),      TEST(what_is_no_target), TEST(extensions_by_name),   TEST(names_are_normalized),
        TEST(verify_both_ways), TEST(shared_files),      TEST(rows_out_of_a_target), TEST(hashes_that_cannot_be_read),
        TEST(public_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
