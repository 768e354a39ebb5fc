/* What a module's file name says, and which NumPy its strings tell. */
#include "bundle/diagnose/python.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

static const struct em_world here = { .libc = EM_LIBC_GLIBC, .machine = EM_X86_64, .is64 = true };

static void a_file_name_says_which_python(void **state)
{
    static const struct {
        const char *name, *version;
        bool fits;
    } names[] = {
        { "x.cpython-311-x86_64-linux-gnu.so", "3.11", true },
        { "x.cpython-310-x86_64-linux-gnu.so", "3.11", false },
        { "x.cpython-31-x86_64-linux-gnu.so", "3.11", false },
        { "x.cpython-3110-x86_64-linux-gnu.so", "3.11", false },
        { "x.cpython-38-x86_64-linux-gnu.so", "3.8", true },
        { "x.cpython-37m-x86_64-linux-gnu.so", "3.7", true },
        { "x.cpython-37m-x86_64-linux-gnu.so", "3.11", false },
        { "x.cpython-313t-x86_64-linux-gnu.so", "3.13", true },
        { "x.cpython-311.so", "3.11", true },
        { "x.cpython-311-aarch64-linux-gnu.so", "3.11", false },
        { "x.cpython-311-i386-linux-gnu.so", "3.11", false },
        { "x.cpython-311-x86_64-linux-musl.so", "3.11", false },
        { "x.cpython-311-darwin.so", "3.11", false },
        { "x.abi3.so", "3.11", true },
        { "x.so", "3.11", true },
        { "libx.so.1", "3.11", true },
        { "libx.so.1.cpython-310.so", "3.11", true },
        { "x.pypy39-pp73-x86_64-linux-gnu.so", "3.9", false },
        { "cpython-310.so", "3.11", true },
        { ".so", "3.11", true },
        { "", "3.11", true },
    };
    char tag[64];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (em_python_fits(names[i].name, names[i].version, &here, tag) != names[i].fits)
            fail_msg("%s under %s", names[i].name, names[i].version);
    assert_false(em_python_fits("x.cpython-310-x86_64-linux-gnu.so", "3.11", &here, tag));
    assert_string_equal(tag, "cpython-310-x86_64-linux-gnu");
}

static void musl_takes_musl(void **state)
{
    struct em_world alpine = here;
    char tag[64];

    (void)state;
    alpine.libc = EM_LIBC_MUSL;
    assert_true(em_python_fits("x.cpython-312-x86_64-linux-musl.so", "3.12", &alpine, tag));
}

static void a_long_name_is_no_tag(void **state)
{
    char name[4096], tag[64];

    (void)state;
    memset(name, 'x', sizeof name);
    memcpy(name, "m.cpython-", 10);
    memcpy(name + sizeof name - 4, ".so", 4);
    assert_true(em_python_fits(name, "3.11", &here, tag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_name_says_which_python),
        cmocka_unit_test(musl_takes_musl),
        cmocka_unit_test(a_long_name_is_no_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
