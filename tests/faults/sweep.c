/* sweep ELFMEND SHIM [--fast] [--lacks WHAT] [--after N]: elfmend dies, or a call of it fails, at every point where it changes something.
 *
 * Works in the current directory, prints TAP without a plan, counting on from N. The tree that is repaired has an object with a second name outside, one without, two
 * copies to be brought in (one edited, into directories that are not there yet) and a RECORD. After each fault:
 *
 *   - whatever file there is has its old bytes or its new ones;
 *   - after a failed call the program said so in one line and the tree is as before, or it went well and the tree is new;
 *   - the next run finishes or takes back what the other left, and goes through;
 *   - undo gives back every inode, mode, owner, time and byte of the beginning, and .elfmend is gone.
 *
 * The tree is restored by what is tested and never made anew, unless something goes wrong: thousands of faults on one tree.
 */
#include "base/base.h"
#include "bundle/plan/plan.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PLAN "plan.json"
#define MOST_FAILURES 20

static struct {
    const char *elfmend, *shim, *lacks;
    bool fast;
    struct em_arena *arena; /* of one point */
    struct em_arena *kept;
    char *old_state, *old_contents, *new_contents;
    unsigned long apply_calls, undo_calls, apply_looks, undo_looks;
    unsigned long kills, second_kills, faults, root_times;
    unsigned failures, tests, first;
    char point[200];
} sweep;

static void die(const char *what)
{
    printf("Bail out! %s\n", what);
    exit(1);
}

/* ---- what the tree is ---- */

static void add_file(struct em_text *text, const char *path, const struct stat *st, bool exact)
{
    char hex[EM_SHA256_HEX_SIZE] = "-";

    em_text_printf(text, "%s mode %o", path, (unsigned)st->st_mode);
    if (exact)
        em_text_printf(text, " inode %" PRIu64 " owner %u:%u time %" PRId64 ".%09ld", (uint64_t)st->st_ino,
                       (unsigned)st->st_uid, (unsigned)st->st_gid, (int64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    if (S_ISREG(st->st_mode)) {
        struct em_sha256 digest;
        struct em_bytes bytes;

        if (em_read_file_at(AT_FDCWD, path, 1 << 30, sweep.arena, &bytes, NULL) < 0)
            die("cannot read the tree");
        em_sha256_bytes(bytes.data, bytes.size, &digest);
        em_sha256_hex(&digest, hex);
        em_text_printf(text, " links %u %s", exact ? (unsigned)st->st_nlink : 0u, hex);
    }
    em_text_add(text, "\n");
}

static void walk(struct em_text *text, const char *path, bool exact)
{
    struct dirent **names;
    struct stat st;
    int count;

    if (lstat(path, &st) < 0)
        die("cannot examine the tree");
    add_file(text, path, &st, exact);
    if (!S_ISDIR(st.st_mode))
        return;
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, ".elfmend") != 0)
            walk(text, em_path_join(sweep.arena, path, name), exact);
        free(names[i]);
    }
    free(names);
}

static char *tree(struct em_arena *arena, bool exact)
{
    struct em_text text = { 0 };
    char *copy;

    walk(&text, "t", exact);
    walk(&text, "outside", exact);
    copy = text.failed ? NULL : em_arena_strdup(arena, text.data);
    em_text_free(&text);
    if (!copy)
        die("no memory");
    return copy;
}

static bool has_line(const char *text, const char *line, size_t length)
{
    for (; *text; text += strcspn(text, "\n") + 1) {
        if (strncmp(text, line, length) == 0 && text[length] == '\n')
            return true;
    }
    return false;
}

/* Each file has its old bytes or its new ones, and none of the old is missing. */
static bool is_whole(const char *contents)
{
    for (const char *line = contents; *line; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");

        if (!has_line(sweep.old_contents, line, length) && !has_line(sweep.new_contents, line, length))
            return false;
    }
    for (const char *line = sweep.old_contents; *line; line += strcspn(line, "\n") + 1) {
        char *path = em_arena_strndup(sweep.arena, line, strcspn(line, " "));

        if (access(path, F_OK) < 0)
            return false;
    }
    return true;
}

/* The root's own time may be lost when the fault falls between making .elfmend and setting it: counted, told, and set right. */
static bool same_state(const char *now, const char *wanted)
{
    const char *time = strstr(wanted, " time ");
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    long long seconds;

    if (strcmp(now, wanted) == 0)
        return true;
    if (strcmp(strchr(now, '\n'), strchr(wanted, '\n')) != 0 || strncmp(now, wanted, (size_t)(time - wanted)) != 0)
        return false;
    sweep.root_times++;
    if (sscanf(time, " time %lld.%ld", &seconds, &times[1].tv_nsec) != 2)
        die("cannot read a time");
    times[1].tv_sec = seconds;
    utimensat(AT_FDCWD, "t", times, 0);
    return true;
}

/* ---- running elfmend ---- */

struct fault {
    unsigned long at; /* 0: none */
    const char *how;
    const char *kind; /* NULL: a call that changes something */
    const char *count;
};

/* Exit status, or minus the signal. */
static int run(const struct fault *fault, const char *command, const char *argument, const char *option)
{
    char at[32];
    int status;
    pid_t child = fork();

    if (child == 0) {
        int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0644), err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0644);

        dup2(out, 1);
        dup2(err, 2);
        if (fault) {
            snprintf(at, sizeof at, "%lu", fault->at);
            setenv("LD_PRELOAD", sweep.shim, 1);
            setenv("FAULT_AT", at, 1);
            setenv("FAULT_NAME", "name", 1);
            if (fault->how)
                setenv("FAULT_HOW", fault->how, 1);
            if (fault->kind)
                setenv("FAULT_KIND", fault->kind, 1);
            if (fault->count)
                setenv("FAULT_COUNT", fault->count, 1);
            if (sweep.lacks)
                setenv("FAULT_LACKS", sweep.lacks, 1);
        }
        execl(sweep.elfmend, "elfmend", command, argument, option, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("cannot run elfmend");
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int apply(const struct fault *fault)
{
    const struct fault none = { 0 };

    return run(fault ? fault : &none, "apply", PLAN, "--jobs=1");
}

static int undo(const struct fault *fault)
{
    const struct fault none = { 0 };

    return run(fault ? fault : &none, "undo", "t", NULL);
}

/* ---- making the tree ---- */

static void add_step(struct em_plan *plan, struct em_step step)
{
    if (em_vec_push(sweep.kept, &plan->steps, step) < 0)
        die("no memory");
}

static void write_plan(void)
{
    static const char *const files[] = { "pkg/one.so", "pkg/two.so", "pkg/libs/deep/edited.so", "pkg/libs/plain.so" };
    struct em_plan plan = { .target = "t" };
    struct em_text text = { 0 };
    struct em_input source;
    struct em_strings list = { 0 };
    char *root = realpath("t", NULL), *from = realpath("source.so", NULL);
    FILE *file = fopen(PLAN, "w");

    if (!root || !from || !file || em_input_of(&source, AT_FDCWD, from, true, NULL) < 0)
        die("cannot make the plan");
    plan.root = root;
    for (size_t i = 0; i < 4; i++)
        if (em_vec_push(sweep.kept, &list, files[i]) < 0)
            die("no memory");
    add_step(&plan, (struct em_step){ .kind = EM_STEP_SET_PATH, .path = files[0], .value = "$ORIGIN", .tag = EM_TAG_RPATH });
    add_step(&plan,
             (struct em_step){
                 .kind = EM_STEP_SET_PATH, .path = files[1], .value = "$ORIGIN/libs/longer/than/before", .tag = EM_TAG_RPATH });
    add_step(&plan, (struct em_step){ .kind = EM_STEP_COPY,
                                      .path = files[2],
                                      .from = from,
                                      .sha256 = source.sha256,
                                      .mode = 0755,
                                      .value = "$ORIGIN",
                                      .tag = EM_TAG_RPATH });
    add_step(&plan,
             (struct em_step){ .kind = EM_STEP_COPY, .path = files[3], .from = from, .sha256 = source.sha256, .mode = 0644 });
    add_step(&plan, (struct em_step){ .kind = EM_STEP_RECORD, .path = "pkg-1.dist-info/RECORD", .site = ".", .files = list });
    for (size_t i = 0; i < 2; i++) {
        struct em_input input;

        if (em_input_of(&input, AT_FDCWD, em_path_join(sweep.kept, root, files[i]), false, NULL) < 0)
            die("cannot hash an input");
        input.path = files[i];
        if (em_vec_push(sweep.kept, &plan.inputs, input) < 0)
            die("no memory");
    }
    if (em_plan_to_json(&plan, &text) < 0 || fputs(text.data, file) < 0 || fclose(file) != 0)
        die("cannot write the plan");
    em_text_free(&text);
    free(root);
    free(from);
}

static void make_tree(void)
{
    if (system("rm -rf t outside && mkdir -p t/pkg t/pkg-1.dist-info outside && "
               "cp object.so t/pkg/one.so && cp object.so t/pkg/two.so && ln t/pkg/one.so outside/one.so && "
               "printf 'pkg/one.so,sha256=a,1\\npkg/two.so,,\\npkg-1.dist-info/RECORD,,\\n' > t/pkg-1.dist-info/RECORD && "
               "chmod 750 t/pkg/two.so && touch -d '2022-02-22 22:22:22.2' t/pkg/* t/pkg* t outside/* outside") != 0)
        die("cannot make the tree");
    sweep.old_state = tree(sweep.kept, true);
}

/* ---- one point ---- */

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;

    printf("# %s: ", sweep.point);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (system("sed 's/^/#   /' name err; echo") != 0 || ++sweep.failures >= MOST_FAILURES)
        die("too much is wrong");
    make_tree();
}

static void at_point(const char *command, const struct fault *fault, unsigned long second)
{
    em_arena_free(sweep.arena);
    sweep.arena = em_arena_new();
    if (second)
        snprintf(sweep.point, sizeof sweep.point, "%s killed %s call %lu, then undo at call %lu", command, fault->how,
                 fault->at, second);
    else
        snprintf(sweep.point, sizeof sweep.point, "%s, %s at call %lu", command, fault->how, fault->at);
}

/* The last undo of a point: whatever was left, it must give back the beginning. */
static bool ends_well(void)
{
    int status = undo(NULL);

    if (status != 0 && status != 2) {
        wrong("undo ended with %d", status);
        return false;
    }
    if (!same_state(tree(sweep.arena, true), sweep.old_state)) {
        wrong("undo did not give back the beginning:\n%s", tree(sweep.arena, true));
        return false;
    }
    if (access("t/.elfmend", F_OK) == 0) {
        wrong("undo left .elfmend behind");
        return false;
    }
    return true;
}

static bool dies(const char *command, int status)
{
    if (status == -SIGKILL)
        return true;
    wrong("%s was to be killed, and ended with %d", command, status);
    return false;
}

static bool check_whole(void)
{
    if (is_whole(tree(sweep.arena, false)))
        return true;
    wrong("a file is neither old nor new:\n%s", tree(sweep.arena, false));
    return false;
}

static bool check_new(void)
{
    if (strcmp(tree(sweep.arena, false), sweep.new_contents) == 0)
        return true;
    wrong("the tree is not the new one:\n%s", tree(sweep.arena, false));
    return false;
}

/* Apply dies; once undo comes next, once apply does, which refuses if the first had committed. */
static void kill_apply(unsigned long at, const char *how)
{
    const struct fault fault = { .at = at, .how = how };
    int status;

    at_point("apply", &fault, 0);
    sweep.kills++;
    if (!dies("apply", apply(&fault)) || !check_whole() || !ends_well())
        return;
    if (!dies("apply", apply(&fault)))
        return;
    status = apply(NULL);
    if (status != 0 && status != 2) {
        wrong("the next apply ended with %d", status);
        return;
    }
    if (check_new())
        ends_well();
}

static void kill_undo(unsigned long at, const char *how)
{
    const struct fault fault = { .at = at, .how = how };

    at_point("undo", &fault, 0);
    sweep.kills++;
    if (apply(NULL) != 0) {
        wrong("apply did not go through");
        return;
    }
    if (dies("undo", undo(&fault)) && check_whole())
        ends_well();
}

/* Both die, and a third comes. false: undo ended before the second point. */
static bool kill_twice(bool in_undo, unsigned long at, unsigned long second)
{
    const struct fault fault = { .at = at, .how = "after" }, again = { .at = second, .how = "after" };
    int status;

    at_point(in_undo ? "undo" : "apply", &fault, second);
    if (in_undo && apply(NULL) != 0) {
        wrong("apply did not go through");
        return false;
    }
    if (!dies("the first", in_undo ? undo(&fault) : apply(&fault)))
        return false;
    status = undo(&again);
    if (status != -SIGKILL) {
        if (!same_state(tree(sweep.arena, true), sweep.old_state))
            wrong("undo did not give back the beginning:\n%s", tree(sweep.arena, true));
        return false;
    }
    sweep.second_kills++;
    return check_whole() && ends_well();
}

static int lines_of_err(void)
{
    FILE *file = fopen("err", "r");
    int lines = 0, c;

    while (file && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

static void fail_apply(unsigned long at, const char *how, const char *kind)
{
    const struct fault fault = { .at = at, .how = how, .kind = kind };
    int status;

    at_point("apply", &fault, 0);
    sweep.faults++;
    status = apply(&fault);
    if (status == 0) {
        if (check_new())
            ends_well();
        return;
    }
    if (status != 2 || lines_of_err() != 1)
        wrong("apply ended with %d and %d lines", status, lines_of_err());
    else if (!same_state(tree(sweep.arena, true), sweep.old_state))
        wrong("apply failed and something has changed:\n%s", tree(sweep.arena, true));
    else if (apply(NULL) != 0)
        wrong("the next apply did not go through");
    else if (check_new())
        ends_well();
}

static void fail_undo(unsigned long at, const char *how, const char *kind)
{
    const struct fault fault = { .at = at, .how = how, .kind = kind };
    char *applied, *now;
    int status;

    at_point("undo", &fault, 0);
    sweep.faults++;
    if (apply(NULL) != 0) {
        wrong("apply did not go through");
        return;
    }
    applied = tree(sweep.arena, true);
    status = undo(&fault);
    now = tree(sweep.arena, true);
    if (status == 0 && !same_state(now, sweep.old_state))
        wrong("undo did not give back the beginning:\n%s", now);
    else if (status != 0 && (status != 2 || lines_of_err() != 1))
        wrong("undo ended with %d and %d lines", status, lines_of_err());
    else if (status == 2 && !same_state(now, applied) && !same_state(now, sweep.old_state))
        wrong("undo failed half way:\n%s", now);
    else
        ends_well();
}

/* Apply was killed, and in the run that comes to recover, a look at something fails: nothing may be taken for absent by that.
 * false: there was no such look. */
static bool fail_recovery(unsigned long at, unsigned long look, const char *how)
{
    const struct fault fault = { .at = at, .how = "after" }, blind = { .at = look, .how = how, .kind = "look" };
    int status;

    at_point("apply", &fault, look);
    if (!dies("the first", apply(&fault)))
        return false;
    unlink("name");
    status = undo(&blind);
    if (status != 0 && (status != 2 || lines_of_err() != 1))
        wrong("undo ended with %d and %d lines", status, lines_of_err());
    if (access("name", F_OK) < 0) {
        ends_well();
        return false;
    }
    sweep.faults++;
    return check_whole() && ends_well();
}

/* ---- all points ---- */

static unsigned long count_calls(int (*command)(const struct fault *), const char *kind)
{
    const struct fault fault = { .count = "count", .kind = kind };
    unsigned long calls = 0;
    FILE *file;

    if (command(&fault) != 0)
        die("it does not go through even without a fault");
    file = fopen("count", "r");
    if (!file || fscanf(file, "%lu", &calls) != 1 || calls == 0)
        die("the shim counts nothing");
    fclose(file);
    return calls;
}

static void report(const char *what, unsigned failures_before)
{
    printf("%sok %u - lacks %s: %s\n", sweep.failures == failures_before ? "" : "not ", sweep.first + ++sweep.tests,
           sweep.lacks ? sweep.lacks : "none", what);
    fflush(stdout);
}

static void sweep_kills(void)
{
    const unsigned before = sweep.failures;
    const unsigned long step = sweep.fast ? 5 : 1;

    for (unsigned long at = 1; at <= sweep.apply_calls; at++) {
        kill_apply(at, "after");
        if (!sweep.fast)
            kill_apply(at, "before");
    }
    for (unsigned long at = 1; at <= sweep.undo_calls; at++) {
        kill_undo(at, "after");
        if (!sweep.fast)
            kill_undo(at, "before");
    }
    report("killed anywhere", before);
    for (unsigned long at = 1; at <= sweep.apply_calls; at += step)
        for (unsigned long second = 1; kill_twice(false, at, second); second += step)
            ;
    for (unsigned long at = 1; at <= sweep.undo_calls; at += step)
        for (unsigned long second = 1; kill_twice(true, at, second); second += step)
            ;
    report("killed anywhere, and again anywhere in the next run", before);
}

static void sweep_faults(void)
{
    static const char *const all[] = {
        "EIO", "ENOSPC", "short", "EACCES", "EROFS", "EMFILE", "EINTR", "EPERM", "EDQUOT", NULL
    };
    const unsigned before = sweep.failures;

    for (size_t i = 0; all[i] && (!sweep.fast || i < 3); i++) {
        for (unsigned long at = 1; at <= sweep.apply_calls; at++)
            fail_apply(at, all[i], NULL);
        for (unsigned long at = 1; at <= sweep.undo_calls; at++)
            fail_undo(at, all[i], NULL);
    }
    report("a call that changes something fails anywhere", before);
}

static void sweep_looks(void)
{
    const unsigned before = sweep.failures;

    for (unsigned long at = 1; at <= sweep.apply_looks; at++)
        fail_apply(at, "EIO", "look");
    for (unsigned long at = 1; at <= sweep.undo_looks; at++)
        fail_undo(at, "EIO", "look");
    report("a look at something fails anywhere", before);
    for (unsigned long at = 1; at <= sweep.apply_calls; at += sweep.fast ? 9 : 1)
        for (unsigned long look = 1; fail_recovery(at, look, "EIO"); look += sweep.fast ? 3 : 1)
            ;
    report("killed anywhere, and a look at something fails in the next run", before);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        die("usage: sweep ELFMEND SHIM [--fast] [--lacks WHAT]");
    sweep.elfmend = argv[1];
    sweep.shim = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--fast") == 0)
            sweep.fast = true;
        else if (strcmp(argv[i], "--lacks") == 0 && i + 1 < argc)
            sweep.lacks = argv[++i];
        else if (strcmp(argv[i], "--after") == 0 && i + 1 < argc)
            sweep.first = (unsigned)atoi(argv[++i]);
        else
            die("unknown option");
    }
    sweep.kept = em_arena_new();
    sweep.arena = em_arena_new();
    if (!sweep.kept || !sweep.arena)
        die("no memory");
    if (system("echo 'int f(void) { return 1; }' > f.c && cc -shared -fPIC -o object.so f.c "
               "-Wl,--disable-new-dtags,-rpath,/build/machine/lib && cp object.so source.so && echo >> source.so") != 0)
        die("cannot compile an object");
    make_tree();
    sweep.old_contents = tree(sweep.kept, false);
    write_plan();
    sweep.apply_calls = count_calls(apply, NULL);
    sweep.new_contents = tree(sweep.kept, false);
    sweep.undo_calls = count_calls(undo, NULL);
    sweep.apply_looks = count_calls(apply, "look");
    sweep.undo_looks = count_calls(undo, "look");
    if (strcmp(tree(sweep.arena, true), sweep.old_state) != 0)
        die("undo is not exact even without a fault");
    sweep_kills();
    sweep_faults();
    sweep_looks();
    printf("# lacks %s: apply has %lu calls that change something and %lu that look, undo %lu and %lu\n",
           sweep.lacks ? sweep.lacks : "none", sweep.apply_calls, sweep.apply_looks, sweep.undo_calls, sweep.undo_looks);
    printf("# %lu kill points, %lu second kill points, %lu fault points, %u losses; the time of the root directory was lost at "
           "%lu\n",
           sweep.kills, sweep.second_kills, sweep.faults, sweep.failures, sweep.root_times);
    em_arena_free(sweep.arena);
    em_arena_free(sweep.kept);
    return sweep.failures ? 1 : 0;
}
