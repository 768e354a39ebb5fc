#include "tests/faults/stage.h"

#include "bundle/plan/plan.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PLAN "plan.json"

struct stage stage = { .base = "." };

void die(const char *what)
{
    printf("Bail out! %s\n", what);
    exit(1);
}

static const char *place(const char *name)
{
    return strcmp(stage.base, ".") == 0 ? name : em_path_join(stage.kept, stage.base, name);
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

        if (em_read_file_at(AT_FDCWD, path, 1 << 30, stage.point, &bytes, NULL) < 0)
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
            walk(text, em_path_join(stage.point, path, name), exact);
        free(names[i]);
    }
    free(names);
}

char *stage_tree(struct em_arena *arena, bool exact)
{
    struct em_text text = { 0 };
    char *copy;

    walk(&text, place("t"), exact);
    walk(&text, place("outside"), exact);
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

/* The plan takes it away. */
static bool is_taken(const char *path)
{
    return strcmp(em_path_basename(path), "stray.so") == 0 || strcmp(em_path_basename(path), "link.so") == 0;
}

bool stage_is_whole(const char *contents)
{
    for (const char *line = contents; *line; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");

        if (!has_line(stage.old_contents, line, length) && !has_line(stage.new_contents, line, length))
            return false;
    }
    for (const char *line = stage.old_contents; *line; line += strcspn(line, "\n") + 1) {
        char *path = em_arena_strndup(stage.point, line, strcspn(line, " "));
        struct stat st;

        if (lstat(path, &st) < 0 && !is_taken(path))
            return false;
    }
    return true;
}

/* The root's own time may be lost when the fault falls between making .elfmend and setting it: counted, told, and set right. */
bool stage_same(const char *now, const char *wanted)
{
    const char *time = strstr(wanted, " time ");
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    long long seconds;

    if (strcmp(now, wanted) == 0)
        return true;
    if (strcmp(strchr(now, '\n'), strchr(wanted, '\n')) != 0 || strncmp(now, wanted, (size_t)(time - wanted)) != 0)
        return false;
    stage.root_times++;
    if (sscanf(time, " time %lld.%ld", &seconds, &times[1].tv_nsec) != 2)
        die("cannot read a time");
    times[1].tv_sec = seconds;
    utimensat(AT_FDCWD, place("t"), times, 0);
    return true;
}

/* ---- running elfmend ---- */

static void set_number(const char *variable, unsigned long number)
{
    char text[32];

    snprintf(text, sizeof text, "%lu", number);
    setenv(variable, text, 1);
}

static void preload(const struct fault *fault)
{
    setenv("LD_PRELOAD", stage.shim, 1);
    set_number("FAULT_AT", fault->at);
    setenv("FAULT_NAME", "name", 1);
    if (fault->sync) {
        set_number("FAULT_SYNC", fault->sync);
        setenv("FAULT_PLACE", stage.base, 1);
    }
    if (fault->how)
        setenv("FAULT_HOW", fault->how, 1);
    if (fault->kind)
        setenv("FAULT_KIND", fault->kind, 1);
    if (fault->count)
        setenv("FAULT_COUNT", fault->count, 1);
    if (stage.lacks)
        setenv("FAULT_LACKS", stage.lacks, 1);
}

int stage_run(const struct fault *fault, const char *const *arguments)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0644), err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0644);

        dup2(out, 1);
        dup2(err, 2);
        if (fault && stage.shim)
            preload(fault);
        execv(stage.elfmend, (char **)(uintptr_t)arguments);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("cannot run elfmend");
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int stage_apply(const struct fault *fault)
{
    const struct fault none = { 0 };
    const char *const apply[] = { "elfmend", "apply", PLAN, "--jobs=1", NULL };
    const char *const fix[] = { "elfmend", "fix", "--yes", "--quiet", "--jobs=1", place("t"), NULL };

    return stage_run(fault ? fault : &none, stage.environment ? fix : apply);
}

int stage_undo(const struct fault *fault)
{
    const struct fault none = { 0 };
    const char *const undo[] = { "elfmend", "undo", place("t"), NULL };

    return stage_run(fault ? fault : &none, undo);
}

void stage_tally(const char *part, const char *kind, unsigned long points)
{
    FILE *file = fopen("tally", "a");

    if (!file || fprintf(file, "%s\t%s\t%lu\n", part, kind, points) < 0 || fclose(file) != 0)
        die("cannot count");
}

int stage_complaints(void)
{
    FILE *file = fopen("err", "r");
    int lines = 0, c;

    while (file && (c = getc(file)) != EOF)
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

unsigned long stage_count(int (*command)(const struct fault *), const char *kind)
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

/* ---- making the tree ---- */

static void add_step(struct em_plan *plan, struct em_step step)
{
    if (em_vec_push(stage.kept, &plan->steps, step) < 0)
        die("no memory");
}

static void write_plan(void)
{
    static const char *const files[] = { "pkg/one.so", "pkg/two.so", "pkg/libs/deep/edited.so", "pkg/libs/plain.so" };
    static const char *const taken[] = { "pkg/stray.so", "pkg/link.so" };
    static const char *const changed[] = { "pkg/one.so", "pkg/two.so", "pkg-1.dist-info/RECORD", "pkg/stray.so",
                                           "pkg/link.so" };
    struct em_plan plan = { .target = "t" };
    struct em_text text = { 0 };
    struct em_input source;
    struct em_strings list = { 0 };
    char *root = realpath(place("t"), NULL), *from = realpath("source.so", NULL);
    FILE *file = fopen(PLAN, "w");

    if (!root || !from || !file || em_input_of(&source, from, true, NULL) < 0)
        die("cannot make the plan");
    plan.root = root;
    for (size_t i = 0; i < 4; i++)
        if (em_vec_push(stage.kept, &list, files[i]) < 0)
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
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        add_step(&plan, (struct em_step){ .kind = EM_STEP_REMOVE, .path = taken[i] });
    add_step(&plan, (struct em_step){ .kind = EM_STEP_RECORD, .path = "pkg-1.dist-info/RECORD", .site = ".", .files = list });
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        struct em_input input;

        if (em_input_of(&input, em_path_join(stage.kept, root, changed[i]), false, NULL) < 0)
            die("cannot hash an input");
        input.path = changed[i];
        if (em_vec_push(stage.kept, &plan.inputs, input) < 0)
            die("no memory");
    }
    if (em_plan_to_json(&plan, &text) < 0 || fputs(text.data, file) < 0 || fclose(file) != 0)
        die("cannot write the plan");
    em_text_free(&text);
    free(root);
    free(from);
}

/* One of its libraries has a second name outside. */
static void copy_environment(void)
{
    if (system(em_arena_printf(stage.kept,
                               "rm -rf t outside && mkdir outside && cp -a '%s' t && "
                               "ln \"$(find t -name 'libctranslate2-*')\" outside/",
                               stage.environment)) != 0)
        die("cannot copy the environment");
}

static void make_planned(void)
{
    static const char script[] =
        "rm -rf t outside && mkdir -p t/pkg t/pkg-1.dist-info outside && cp \"$OBJECT\" t/pkg/one.so && "
        "cp \"$OBJECT\" t/pkg/two.so && ln t/pkg/one.so outside/one.so && "
        "printf 'pkg/one.so,sha256=a,1\\npkg/two.so,,\\npkg-1.dist-info/RECORD,,\\n' > t/pkg-1.dist-info/RECORD && "
        "echo stray > t/pkg/stray.so && ln -s one.so t/pkg/link.so && "
        "chmod 750 t/pkg/two.so && touch -h -d '2022-02-22 22:22:22.2' t/pkg/* t/pkg* t outside/* outside";

    if (system(em_arena_printf(stage.kept, "OBJECT=$PWD/object.so; cd %s && %s", stage.base, script)) != 0)
        die("cannot make the tree");
}

void stage_make_tree(void)
{
    if (stage.environment)
        copy_environment();
    else
        make_planned();
    stage.old_state = stage_tree(stage.kept, true);
}

void stage_make(void)
{
    if (!stage.environment &&
        system("echo 'int f(void) { return 1; }' > f.c && cc -shared -fPIC -o object.so f.c "
               "-Wl,--disable-new-dtags,-rpath,/build/machine/lib && cp object.so source.so && echo >> source.so") != 0)
        die("cannot compile an object");
    stage_make_tree();
    stage.old_contents = stage_tree(stage.kept, false);
    if (!stage.environment)
        write_plan();
}
