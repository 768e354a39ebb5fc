/* patcher_fixture.h: objects for the patcher's tests, made at test time from one-line sources, and what others say about them.
 *
 * Tests run in a scratch directory of their own (tests/one), so plain names will do. A tool that is not there is no failure: the test
 * says so and goes on with what is.
 */
#ifndef EM_TESTS_PATCHER_FIXTURE_H
#define EM_TESTS_PATCHER_FIXTURE_H

#include "patcher/patcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first */
#include <cmocka.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define HELPER __attribute__((unused)) static

HELPER int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
HELPER int run(const char *format, ...)
{
    char command[8192];
    va_list arguments;
    int status;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

HELPER bool have(const char *tool)
{
    return run("command -v %s >/dev/null 2>&1", tool) == 0;
}

HELPER void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* A library with a version to need, one that needs it, and a program. answer() is 42 if versions, TLS, constructors, data relocations
 * and strings all work. */
HELPER void write_sources(void)
{
    write_text("dep.c", "int dep(void) { return 40; }\n");
    write_text("dep.map", "DEP_1 { global: dep; local: *; };\n");
    write_text("lib.c", "#include <string.h>\n"
                        "int dep(void);\n"
                        "static __thread int tls = 1;\n"
                        "static int made;\n"
                        "__attribute__((constructor)) static void make(void) { made = 1; }\n"
                        "static const char *const words[] = { \"one\", \"two\" };\n"
                        "int (*const table[])(void) = { dep };\n"
                        "int answer(void) { return table[0]() + tls + made + (int)strlen(words[1]) - 3; }\n");
    write_text("main.c", "int answer(void);\nint main(void) { return answer() == 42 ? 0 : 1; }\n");
    assert_int_equal(
        run("gcc -shared -fPIC -Wl,--version-script=dep.map -Wl,-soname,libdep.so.1 dep.c -o libdep.so.1 && "
            "ln -sf libdep.so.1 libdep.so && echo 'int extra;' | gcc -shared -fPIC -Wl,-soname,libextra.so.1 -xc - "
            "-o libextra.so.1"),
        0);
}

/* 0 if the linker knows all of these flags. */
HELPER int build_library(const char *name, const char *flags)
{
    return run("gcc -O1 -shared -fPIC -Wl,-soname,%s %s lib.c -o %s -L. -ldep 2>build.log", name, flags, name);
}

HELPER bool have_linker(const char *linker)
{
    return run("echo 'int x;' | gcc -shared -fPIC -fuse-ld=%s -xc - -o linker.so 2>/dev/null", linker) == 0;
}

/* Whether the real loader takes it: in a child, as a fresh process would, and it computes what it should. */
HELPER bool loads(const char *path)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        char absolute[4096];
        void *handle;
        int (*answer)(void);

        /* cmocka catches these, and would go on with the tests in the child. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        signal(SIGFPE, SIG_DFL);
        /* DT_NEEDED is found by what is loaded already: the search path is what tests change. */
        if (!dlopen("./libdep.so.1", RTLD_NOW | RTLD_GLOBAL))
            _exit(3);
        snprintf(absolute, sizeof absolute, "./%s", path);
        handle = dlopen(absolute, RTLD_NOW);
        if (!handle) {
            fprintf(stderr, "# %s\n", dlerror());
            _exit(2);
        }
        answer = (int (*)(void))(intptr_t)dlsym(handle, "answer");
        _exit(answer && answer() == 42 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

HELPER uint64_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

HELPER void copy_file(const char *from, const char *to)
{
    assert_int_equal(run("cp %s %s", from, to), 0);
}

/* What readelf and eu-elflint say, as kinds of message, without numbers. */
HELPER void write_complaints(const char *path, const char *log)
{
    run("{ readelf -aW %s 2>&1 >/dev/null; command -v eu-elflint >/dev/null && eu-elflint --gnu-ld %s 2>&1; } | "
        "sed 's/0x[0-9a-f]*//g; s/[0-9][0-9]*//g; s/^.*: \\(Warning\\|Error\\)/\\1/' | sort >%s",
        path, path, log);
}

/* They have nothing to say about after that they had not about before, which is remembered while it is the same file. */
HELPER bool no_new_complaint(const char *before, const char *after)
{
    static struct stat last;
    struct stat st;

    assert_int_equal(stat(before, &st), 0);
    if (st.st_ino != last.st_ino || st.st_mtim.tv_nsec != last.st_mtim.tv_nsec || st.st_mtim.tv_sec != last.st_mtim.tv_sec)
        write_complaints(before, "before.log");
    last = st;
    write_complaints(after, "after.log");
    return run("comm -13 before.log after.log | grep . >&2") != 0;
}

struct edited {
    int result;
    enum em_rung rung;
    int64_t growth;
    size_t ranges;
    struct em_error error;
};

/* Edits a file in place and asks nothing about the result. rungs: 0, or a mask of enum em_rung. */
HELPER struct edited edit_list(const char *path, const struct em_edit *edits, size_t count, uint32_t rungs)
{
    struct em_arena *arena = em_arena_new();
    struct em_patch_options options = { .rungs = rungs };
    struct edited edited = { .error = EM_ERROR_INIT };
    struct em_patch patch;

    edited.result = em_patch_file(&patch, arena, path, edits, count, &options, NULL, &edited.error);
    edited.rung = patch.rung;
    edited.growth = (int64_t)(patch.new_size - patch.old_size);
    edited.ranges = patch.ranges.count;
    em_arena_free(arena);
    return edited;
}

HELPER struct edited edit(const char *path, struct em_edit one)
{
    return edit_list(path, &one, 1, 0);
}

/* The object as it is now. The arena lives until the next call. */
HELPER const struct em_object *object_of(const char *path)
{
    static struct em_arena *arena;
    static struct em_object object;
    struct em_error error = EM_ERROR_INIT;
    struct em_reader reader;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    em_arena_free(arena);
    arena = em_arena_new();
    assert_true(fd >= 0);
    reader = em_reader_fd(fd, size_of(path), path);
    if (em_object_read(&object, arena, &reader, &error) < 0)
        fail_msg("%s: %s", path, error.sentence);
    close(fd);
    return &object;
}

/* A search path of that many characters. The buffer lives until the next call. */
HELPER const char *long_path(size_t length)
{
    static char path[8192];

    assert_true(length < sizeof path);
    memset(path, 'p', length);
    memcpy(path, "$ORIGIN/", length < 8 ? length : 8);
    path[length] = '\0';
    return path;
}

#endif
