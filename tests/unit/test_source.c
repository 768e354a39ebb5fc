/* Sources: found by SONAME and file name, for one machine, and nothing taken that a RECORD or a pin does not vouch for. */
#include "bundle/source/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LIB "s/nvidia/cudnn/lib"

struct fixture {
    struct em_arena *arena;
    struct em_tree *tree;
    struct em_source *source;
};

static void shell(const char *command)
{
    assert_int_equal(system(command), 0);
}

/* An unpacked wheel with two libraries and a half: their RECORD is sha256sum's, spelled anew. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (!f || em_tree_disk(&f->tree, NULL, NULL) < 0)
        return -1;
    f->arena = em_arena_new();
    *state = f;
    shell("rm -rf s p && mkdir -p " LIB " s/nvidia_cudnn_cu12-9.10.2.21.dist-info && cd " LIB
          " && for n in cnn ops; do echo \"int em_$n;\" | cc -shared -nostdlib -Wl,-soname,libcudnn_$n.so.9 -x c -"
          " -o libcudnn_$n.so.9; done");
    shell("cd s && printf 'Name: nvidia-cudnn-cu12\\nVersion: 9.10.2.21\\n' > nvidia_cudnn_cu12-9.10.2.21.dist-info/METADATA &&"
          "python3 -c \"import base64, glob, hashlib\n"
          "for p in glob.glob('nvidia/cudnn/lib/*'):\n"
          " b = open(p, 'rb').read()\n"
          " h = base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b'=').decode()\n"
          " print(p, 'sha256=' + h, len(b), sep=',')\n\" > nvidia_cudnn_cu12-9.10.2.21.dist-info/RECORD");
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

static void opens(struct fixture *f, const char *place)
{
    struct em_error error = EM_ERROR_INIT;

    if (em_source_open(&f->source, f->arena, f->tree, place, &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
}

static struct em_candidate *one(struct fixture *f, const char *name)
{
    struct em_candidate *found = NULL;

    em_vec_each (struct em_candidate *, candidate, &f->source->candidates) {
        if (strcmp(em_path_basename((*candidate)->path), name) != 0)
            continue;
        assert_null(found);
        found = *candidate;
    }
    assert_non_null(found);
    return found;
}

static struct em_pins pins_of(struct fixture *f, const char *command)
{
    struct em_pins pins;
    struct em_error error = EM_ERROR_INIT;

    shell(command);
    if (em_pins_read(&pins, f->arena, "p", &error) < 0)
        fail_msg("%s: %s", error.path, error.sentence);
    return pins;
}

static void refuses(struct em_candidate *candidate, const struct em_pins *pins, bool allow, const char *part)
{
    struct em_error error = EM_ERROR_INIT;

    assert_int_equal(em_candidate_verify(candidate, pins, allow, &error), EM_REFUSED);
    if (!strstr(error.sentence, part))
        fail_msg("%s", error.sentence);
    assert_int_equal(candidate->voucher, EM_VOUCHER_NONE);
    assert_string_equal(error.path, candidate->path);
}

static void a_record_vouches(void **state)
{
    static const char *const places[] = { "s", LIB, LIB "/libcudnn_cnn.so.9" };
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        struct em_candidate *candidate;

        opens(f, places[i]);
        candidate = one(f, "libcudnn_cnn.so.9");
        assert_string_equal(candidate->distribution->name, "nvidia-cudnn-cu12");
        assert_true(candidate->has_expected);
        assert_int_equal(em_candidate_verify(candidate, NULL, false, NULL), EM_OK);
        assert_int_equal(candidate->voucher, EM_VOUCHER_RECORD);
        assert_true(em_sha256_equal(&candidate->sha256, &candidate->expected));
    }
}

static void one_byte_is_enough(void **state)
{
    struct fixture *f = *state;

    shell("printf X | dd of=" LIB "/libcudnn_cnn.so.9 bs=1 seek=200 conv=notrunc 2>/dev/null");
    opens(f, "s");
    refuses(one(f, "libcudnn_cnn.so.9"), NULL, false, "the SHA-256 differs");
    refuses(one(f, "libcudnn_cnn.so.9"), NULL, true, "the SHA-256 differs");
    shell("printf X >> " LIB "/libcudnn_ops.so.9");
    refuses(one(f, "libcudnn_ops.so.9"), NULL, false, "bytes instead of");
}

static void what_cannot_be_read_is_refused_by_name(void **state)
{
    struct fixture *f = *state;

    shell("head -c 100 " LIB "/libcudnn_cnn.so.9 > x && mv x " LIB "/libcudnn_cnn.so.9");
    opens(f, "s");
    assert_non_null(one(f, "libcudnn_cnn.so.9")->problem);
    refuses(one(f, "libcudnn_cnn.so.9"), NULL, true, "bytes instead of");
    shell("rm -r s/*.dist-info");
    opens(f, "s");
    refuses(one(f, "libcudnn_cnn.so.9"), NULL, true, "cannot be used: it ");
}

static void nothing_vouches(void **state)
{
    struct fixture *f = *state;
    struct em_candidate *candidate;

    shell("rm -r s/*.dist-info");
    opens(f, LIB);
    candidate = one(f, "libcudnn_cnn.so.9");
    assert_null(candidate->distribution);
    refuses(candidate, NULL, false, "nothing that vouches");
    assert_int_equal(em_candidate_verify(candidate, NULL, true, NULL), EM_OK);
    assert_int_equal(candidate->voucher, EM_VOUCHER_NONE);
}

static void pins_alone_count(void **state)
{
    struct fixture *f = *state;
    struct em_pins pins;

    opens(f, "s");
    pins = pins_of(f, "cd " LIB " && sha256sum libcudnn_cnn.so.9 > ../../../../p");
    assert_int_equal(em_candidate_verify(one(f, "libcudnn_cnn.so.9"), &pins, false, NULL), EM_OK);
    assert_int_equal(one(f, "libcudnn_cnn.so.9")->voucher, EM_VOUCHER_PIN);
    refuses(one(f, "libcudnn_ops.so.9"), &pins, true, "is not in p");
    /* By path, where one base name has two digests. */
    pins = pins_of(f, "(sha256sum -b " LIB "/libcudnn_cnn.so.9; sha256sum " LIB "/libcudnn_ops.so.9 |"
                      " sed s,s/nvidia.*/libcudnn_ops,other/libcudnn_cnn,) > p");
    assert_int_equal(em_candidate_verify(one(f, "libcudnn_cnn.so.9"), &pins, false, NULL), EM_OK);
    pins = pins_of(f, "(echo '# two'; echo; sha256sum " LIB "/libcudnn_cnn.so.9 " LIB "/libcudnn_ops.so.9) |"
                      " sed s,s/nvidia.*/libcudnn_...,libcudnn_cnn, > p");
    refuses(one(f, "libcudnn_cnn.so.9"), &pins, false, "two digests");
    pins = pins_of(f, "sha256sum " LIB "/libcudnn_ops.so.9 | sed s,s/nvidia.*/libcudnn_ops,libcudnn_cnn, > p");
    refuses(one(f, "libcudnn_cnn.so.9"), &pins, true, "is not what p asks for");
}

static void pins_that_are_none(void **state)
{
    static const char *const bad[] = { "echo hello > p",
                                       "printf '%063d  x\\n' 0 > p",
                                       "printf '%064d x\\n' 0 > p",
                                       "printf '%064d  \\n' 0 > p",
                                       "printf '%064d  a\\0b\\n' 0 > p",
                                       "printf '%064x  x\\n' 0 | sed s/^0/g/ > p",
                                       "echo 'x==1' > p",
                                       "echo 'x==1 --hash=md5:12' > p",
                                       "echo 'x==1 --hash=sha256:12' > p",
                                       "printf 'x>=1 --hash=sha256:%064d\\n' 0 > p",
                                       "printf '==1 --hash=sha256:%064d\\n' 0 > p" };
    struct fixture *f = *state;
    struct em_error error = EM_ERROR_INIT;
    struct em_pins pins;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        shell(bad[i]);
        assert_int_equal(em_pins_read(&pins, f->arena, "p", &error), EM_BAD_RECORD);
        assert_non_null(
            strstr(error.sentence, "line 1 is neither as sha256sum prints it (64 hexadecimal digits, path) nor as pip"));
    }
    assert_int_equal(em_pins_read(&pins, f->arena, "nowhere", &error), EM_NOT_FOUND);
}

static void names_that_it_has(void **state)
{
    struct fixture *f = *state;

    shell("mv " LIB "/libcudnn_cnn.so.9 " LIB "/a.so; cp " LIB "/libcudnn_ops.so.9 " LIB "/libcudnn_file.so.9");
    opens(f, "s");
    assert_true(em_source_has(f->source, "libcudnn_cnn.so.9"));  /* by its SONAME */
    assert_true(em_source_has(f->source, "libcudnn_file.so.9")); /* by its file name */
    assert_false(em_source_has(f->source, "libcudnn_ops.so.8"));
}

static void what_is_no_source(void **state)
{
    struct fixture *f = *state;
    struct em_error error = EM_ERROR_INIT;

    assert_int_equal(em_source_open(&f->source, f->arena, f->tree, "nowhere", &error), EM_NOT_FOUND);
    assert_string_equal(error.path, "nowhere");
    shell("rm -r s/nvidia");
    assert_int_equal(em_source_open(&f->source, f->arena, f->tree, "s", &error), EM_UNSUPPORTED);
    assert_string_equal(error.sentence, "holds no library that could be copied");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_vouches),  TEST(one_byte_is_enough), TEST(what_cannot_be_read_is_refused_by_name),
        TEST(nothing_vouches),   TEST(pins_alone_count),   TEST(pins_that_are_none),
        TEST(names_that_it_has), TEST(what_is_no_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
