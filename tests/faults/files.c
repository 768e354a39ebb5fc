/* files ELFMEND SHIM [--fast]: commands that put whole files into a directory die, or a call of them fails, wherever they change
 * something: repack with an index, and patch.
 *
 * Works in the current directory, prints TAP without numbers and a plan. Each command is let loose on a copy of a directory in which
 * an earlier run of it has left what it makes, of another input: so it replaces. After each fault:
 *
 *   - whatever file there is under its name has the bytes of before or those that come of an undisturbed run, and none is missing;
 *     but for an index's pages, which must be true: each digest in one is that of a file beside it;
 *   - after a failed call the program said so in one line, or it went well and everything is new;
 *   - the next run goes through, everything is new, and nothing else lies there, hidden or not.
 */
#include "tests/faults/stage.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MOST_FAILURES 20
#define NEW_WHEEL "new/pkg-1.0-cp311-abi3-linux_x86_64.whl"
#define OLD_WHEEL "old/pkg-1.0-cp311-abi3-linux_x86_64.whl"
#define REPACK "repack --quiet --jobs=1 -o t/out --index t/simple "

static const struct subject {
    const char *name;
    const char *before; /* makes t, in a shell that has $ELFMEND */
    const char *arguments[12];
} subjects[] = {
    { "repack",
      "mkdir t && $ELFMEND " REPACK OLD_WHEEL,
      { "elfmend", "repack", "--quiet", "--jobs=1", "-o", "t/out", "--index", "t/simple", NEW_WHEEL } },
    { "patch",
      "mkdir t && cp a.so t/a.so && cp b.so t/b.so",
      { "elfmend", "patch", "--set-rpath", "/new", "t/a.so", "t/b.so" } },
    { "patch --output",
      "mkdir t && cp a.so t/a.so && cp b.so t/b.so",
      { "elfmend", "patch", "--fsync", "--set-rpath", "/new", "--output", "t/b.so", "t/a.so" } },
};

static struct {
    const struct subject *subject;
    bool fast;
    char *old, *new; /* what t is: a line a file */
    unsigned long kills, second_kills, faults, looks;
    unsigned failures;
    char point[200];
} files;

static void shell(const char *script)
{
    if (system(script) != 0)
        die("a command of the test's own failed");
}

/* ---- what lies there ---- */

static void hex_of(const char *path, char hex[EM_SHA256_HEX_SIZE])
{
    struct em_sha256 digest;
    struct em_bytes bytes;

    if (em_read_file_at(AT_FDCWD, path, 1 << 24, stage.point, &bytes, NULL) < 0)
        die("cannot read what was made");
    em_sha256_bytes(bytes.data, bytes.size, &digest);
    em_sha256_hex(&digest, hex);
}

static void list(struct em_text *text, const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);

    if (count < 0)
        die("cannot read a directory");
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name, *below = em_path_join(stage.point, path, name);
        char hex[EM_SHA256_HEX_SIZE];

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (names[i]->d_type == DT_DIR) {
            em_text_printf(text, "%s/\n", below);
            list(text, below);
        } else {
            hex_of(below, hex);
            em_text_printf(text, "%s %s\n", below, hex);
        }
        free(names[i]);
    }
    free(names);
}

static char *listing(struct em_arena *arena)
{
    struct em_text text = { 0 };
    char *copy;

    list(&text, "t");
    copy = text.failed ? NULL : em_arena_strdup(arena, text.data);
    em_text_free(&text);
    if (!copy)
        die("no memory");
    return copy;
}

/* ---- whether it is whole ---- */

static bool is_page(const char *path)
{
    return strcmp(em_path_basename(path), "index.html") == 0 || strcmp(em_path_basename(path), "index.json") == 0;
}

static bool has_digest(const char *now, const char *directory, const char *hex)
{
    const size_t size = strlen(directory);

    for (const char *line = now; *line; line += strcspn(line, "\n") + 1) {
        const size_t length = strcspn(line, "\n");

        if (length > EM_SHA256_HEX_SIZE && strncmp(line, directory, size) == 0 && line[size] == '/' &&
            strncmp(line + length + 1 - EM_SHA256_HEX_SIZE, hex, EM_SHA256_HEX_SIZE - 1) == 0)
            return true;
    }
    return false;
}

static bool is_true(const char *now, const char *page)
{
    const char *directory = em_path_dirname(stage.point, page);
    struct em_bytes bytes;
    const char *text;

    if (em_read_file_at(AT_FDCWD, page, 1 << 20, stage.point, &bytes, NULL) < 0)
        die("cannot read a page");
    text = em_arena_strndup(stage.point, (const char *)bytes.data, bytes.size);
    if (!text || !directory)
        die("no memory");
    for (size_t run; *text; text += run ? run : 1) {
        run = strspn(text, "0123456789abcdef");
        if (run == EM_SHA256_HEX_SIZE - 1 && !has_digest(now, directory, text))
            return false;
    }
    return true;
}

static bool has_line(const char *text, const char *line, size_t length)
{
    for (; *text; text += strcspn(text, "\n") + 1)
        if (strncmp(text, line, length) == 0 && text[length] == '\n')
            return true;
    return false;
}

/* strangers: other files may be there too, as long as the pages are true. */
static bool is_whole(const char *now, bool strangers)
{
    for (const char *line = now; *line; line += strcspn(line, "\n") + 1) {
        const size_t length = strcspn(line, "\n");
        const char *path = em_arena_strndup(stage.point, line, strcspn(line, " \n"));

        if (strangers && !strstr(files.old, path) && !strstr(files.new, path))
            continue;
        if (strstr(path, "/.elfmend-") || has_line(files.old, line, length) || has_line(files.new, line, length))
            continue;
        if (!is_page(path) || !is_true(now, path))
            return false;
    }
    for (const char *line = files.old; *line; line += strcspn(line, "\n") + 1)
        if (access(em_arena_strndup(stage.point, line, strcspn(line, " \n")), F_OK) < 0)
            return false;
    return true;
}

/* A hidden directory that could not be removed is not counted. */
static bool is_new(const char *now)
{
    for (const char *line = now; *line; line += strcspn(line, "\n") + 1)
        if (!has_line(files.new, line, strcspn(line, "\n")) &&
            !strstr(em_arena_strndup(stage.point, line, strcspn(line, " \n")), "/.elfmend-"))
            return false;
    for (const char *line = files.new; *line; line += strcspn(line, "\n") + 1)
        if (!has_line(now, line, strcspn(line, "\n")))
            return false;
    return true;
}

/* ---- one point ---- */

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;

    printf("# %s, %s: ", files.subject->name, files.point);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    if (system("sed 's/^/#   /' name err; echo; find t | sed 's/^/#   /'") != 0 || ++files.failures >= MOST_FAILURES)
        die("too much is wrong");
}

static void begin(const struct fault *fault, unsigned long second)
{
    em_arena_free(stage.point);
    stage.point = em_arena_new();
    snprintf(files.point, sizeof files.point, "%s at call %lu, then killed at %lu", fault->how, fault->at, second);
    shell("rm -rf t && cp -a before t");
}

static int run(const struct fault *fault)
{
    return stage_run(fault, files.subject->arguments);
}

static void ends_well(void)
{
    const int status = run(NULL);

    if (status != 0)
        wrong("the next run ended with %d", status);
    else if (strcmp(listing(stage.point), files.new) != 0)
        wrong("the next run did not make everything new");
}

static bool check_whole(bool strangers)
{
    const bool whole = is_whole(listing(stage.point), strangers);

    if (!whole)
        wrong("a file is torn or gone, or a page is not true");
    return whole;
}

static void killed(unsigned long at, const char *how)
{
    const struct fault fault = { .at = at, .how = how };
    int status;

    begin(&fault, 0);
    files.kills++;
    status = run(&fault);
    if (status != -SIGKILL)
        wrong("it was to be killed, and ended with %d", status);
    else if (check_whole(false))
        ends_well();
}

/* false: the second run ended before that point. */
static bool killed_twice(unsigned long at, unsigned long second)
{
    const struct fault fault = { .at = at, .how = "after" }, again = { .at = second, .how = "after" };

    begin(&fault, second);
    if (run(&fault) != -SIGKILL || run(&again) != -SIGKILL)
        return false;
    files.second_kills++;
    if (check_whole(false))
        ends_well();
    return true;
}

static void failed(unsigned long at, const char *how, const char *kind)
{
    const struct fault fault = { .at = at, .how = how, .kind = kind };
    int status;

    begin(&fault, 0);
    *(kind ? &files.looks : &files.faults) += 1;
    status = run(&fault);
    /* A directory of the machine that cannot be looked at holds up the loader as well, and repack says so of the wheel: its own bytes
     * go to the index then. */
    if (kind && status == 1)
        check_whole(true);
    else if (status != 0 && (status != 2 || stage_complaints() != 1 || strcmp(how, "short") == 0))
        wrong("it ended with %d and %d lines", status, stage_complaints());
    else if (status == 0 && !is_new(listing(stage.point)))
        wrong("it says that it went well, and did not");
    else if (check_whole(false))
        ends_well();
}

/* ---- all points ---- */

static void report(const char *what, unsigned failures_before)
{
    printf("%sok - %s: %s\n", files.failures == failures_before ? "" : "not ", files.subject->name, what);
    fflush(stdout);
}

static void sweep(unsigned long calls, unsigned long looks)
{
    static const char *const all[] = {
        "short", "EIO", "ENOSPC", "EACCES", "EROFS", "EMFILE", "EINTR", "EPERM", "EDQUOT", NULL
    };
    unsigned before = files.failures;

    for (unsigned long at = 1; at <= calls; at++) {
        killed(at, "after");
        if (!files.fast)
            killed(at, "before");
    }
    report("killed anywhere", before);
    before = files.failures;
    for (unsigned long at = 1; at <= calls; at += files.fast ? 25 : 3)
        for (unsigned long second = 1; killed_twice(at, second); second += files.fast ? 10 : 2)
            ;
    report("killed anywhere, and again anywhere in the next run", before);
    before = files.failures;
    for (size_t i = 0; all[i] && (!files.fast || i < 2); i++)
        for (unsigned long at = 1; at <= calls; at++)
            failed(at, all[i], NULL);
    report("a call that changes something fails anywhere", before);
    before = files.failures;
    for (size_t i = 0; i < 2; i++)
        for (unsigned long at = 1; at <= looks; at += files.fast ? 20 : 1)
            failed(at, all[i], "look");
    report("a look at something fails anywhere", before);
}

static void sweep_subject(const struct subject *subject)
{
    const unsigned before = files.failures;
    unsigned long calls, looks;

    files.subject = subject;
    files.kills = files.second_kills = files.faults = files.looks = 0;
    shell("rm -rf t before");
    shell(subject->before);
    shell("cp -a t before");
    files.old = listing(stage.kept);
    calls = stage_count(run, NULL);
    files.new = listing(stage.kept);
    if (strcmp(files.old, files.new) == 0)
        die("the command changes nothing");
    shell("rm -rf t && cp -a before t");
    looks = stage_count(run, "look");
    sweep(calls, looks);
    stage_tally(subject->name, "killed", files.kills);
    stage_tally(subject->name, "killed again in recovery", files.second_kills);
    stage_tally(subject->name, "a change fails", files.faults);
    stage_tally(subject->name, "a look fails", files.looks);
    stage_tally(subject->name, "losses", files.failures - before);
    printf("# %s: %lu calls that change something and %lu that look\n", subject->name, calls, looks);
}

/* Two wheels of one name, and with other bytes: the name of what comes of them is one, too. */
static void make_inputs(void)
{
    static const char script[] =
        "cc() { command cc -shared -fPIC -Wl,--disable-new-dtags \"$@\"; } && "
        "echo 'int f(void) { return 1; }' > f.c && cc -o libcublas.so.12 f.c -Wl,-soname,libcublas.so.12 && "
        "cc -o a.so f.c -Wl,-rpath,/build/machine/lib && cc -o b.so f.c -Wl,-rpath,/build/machine/lib/b && "
        "cc -o ext.so f.c -Wl,--no-as-needed libcublas.so.12 && "
        "for which in old new; do mkdir -p $which w/pkg w/pkg-1.0.dist-info && cp ext.so w/pkg/_ext.abi3.so && "
        "echo \"x = '$which'\" > w/pkg/m.py && "
        "printf 'Metadata-Version: 2.1\\nName: pkg\\nVersion: 1.0\\nSummary: %s\\n' $which > w/pkg-1.0.dist-info/METADATA && "
        "printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp311-abi3-linux_x86_64\\n' > w/pkg-1.0.dist-info/WHEEL && "
        "python3 \"$ELFMEND_TOP/tests/cli/pack_wheel.py\" w $which/pkg-1.0-cp311-abi3-linux_x86_64.whl || exit 1; done";

    shell(script);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        die("usage: files ELFMEND SHIM [--fast]");
    stage.elfmend = argv[1];
    stage.shim = argv[2];
    files.fast = argc > 3 && strcmp(argv[3], "--fast") == 0;
    stage.kept = em_arena_new();
    stage.point = em_arena_new();
    if (!stage.kept || !stage.point)
        die("no memory");
    setenv("ELFMEND", stage.elfmend, 1);
    /* What is remembered of a wheel would make each run another one. */
    setenv("ELFMEND_CACHE", "/dev/null", 1);
    make_inputs();
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        sweep_subject(&subjects[i]);
    em_arena_free(stage.point);
    em_arena_free(stage.kept);
    return files.failures ? 1 : 0;
}
