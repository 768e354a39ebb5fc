/* real.c: the driver under the machine's own loader. */
#include "tests/oracle/oracle.h"

#include <elf.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define SLOTS 3
#define TAG_OFF 0x60000f00 /* a tag that no loader knows */

static bool shell(struct em_arena *arena, const char *format, ...)
{
    char command[8192];
    va_list args;

    (void)arena;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    return system(command) == 0;
}

/* The program's search path and first needs are strings of many x, for cases to write over. */
static bool build_driver(struct bench *bench, const char *compiler)
{
    const char *top = getenv("ELFMEND_TOP") ? getenv("ELFMEND_TOP") : ".";
    char slots[1024] = "", x[601];

    memset(x, 'x', 600);
    x[600] = '\0';
    for (int i = 0; i < SLOTS; i++) {
        char part[300];

        snprintf(part, sizeof part, " %s/libslot%d%.120s.so", bench->directory, i, x);
        if (!shell(bench->arena, "echo | %s -shared -nostdlib -xc - -o %s -Wl,-soname,libslot%d%.120s.so 2>/dev/null", compiler,
                   part, i, x))
            return false;
        strcat(slots, part);
    }
    return shell(bench->arena,
                 "%s -O1 -o %s -Wl,--no-as-needed -Wl,--disable-new-dtags -Wl,-rpath,/slot%s %s/tests/oracle/driver.c %s -ldl",
                 compiler, bench->driver, x, top, slots);
}

bool bench_open(struct bench *bench, struct em_arena *arena, const char *libc, const char *directory)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_world_wish wish = { .libc = libc, .cwd = "/", .inhibit_cache = true };

    *bench = (struct bench){ .arena = arena, .libc = libc, .directory = directory };
    bench->driver = em_path_join(arena, directory, "driver");
    if (em_tree_disk(&bench->tree, NULL, &error) < 0 || em_world_read(&bench->world, arena, bench->tree, &wish, &error) < 0) {
        bench->why = em_arena_strdup(arena, error.sentence);
        return false;
    }
    if (bench->world.machine != EM_X86_64)
        bench->why = "the tiny objects are written for x86-64";
    else if (!bench->world.interpreter)
        bench->why = "there is no loader of this libc";
    else if (!build_driver(bench, strcmp(libc, "musl") == 0 ? "musl-gcc" : "cc"))
        bench->why = "there is no compiler for the driver";
    return bench->why == NULL;
}

/* ---- the program of a case ---- */

static const struct line *find_line(const struct recipe *recipe, const char *verb)
{
    for (size_t i = 0; i < recipe->lines.count; i++) {
        if (!recipe->lines.items[i].off && strcmp(recipe->lines.items[i].verb, verb) == 0)
            return &recipe->lines.items[i];
    }
    return NULL;
}

static void fill_dynamic(const struct bench *bench, const struct recipe *recipe, uint8_t *bytes, Elf64_Dyn *dyn, char *strings)
{
    const struct line *line = find_line(recipe, "main");
    const char *rpath = line ? line_field(line, "rpath") : NULL, *runpath = line ? line_field(line, "runpath") : NULL;
    const char *needed = line ? line_field(line, "needed") : NULL;
    char *directory = em_arena_printf(bench->arena, "%s/c", bench->directory);

    (void)bytes;
    for (; dyn->d_tag != DT_NULL; dyn++) {
        char *string = strings + dyn->d_un.d_val;

        if (dyn->d_tag == DT_RPATH) {
            if (rpath || runpath)
                strcpy(string, recipe_text(recipe, rpath ? rpath : runpath, directory));
            dyn->d_tag = rpath ? DT_RPATH : runpath ? DT_RUNPATH : TAG_OFF;
        } else if (dyn->d_tag == DT_NEEDED && strncmp(string, "libslot", 7) == 0) {
            size_t length = needed ? strcspn(needed, ",") : 0;

            if (length == 0) {
                dyn->d_tag = TAG_OFF;
                continue;
            }
            strcpy(string, recipe_text(recipe, em_arena_strndup(recipe->arena, needed, length), directory));
            needed += length;
            needed += *needed == ',';
        }
    }
}

static bool write_program(const struct bench *bench, const struct recipe *recipe)
{
    struct em_bytes bytes;
    const char *path = em_arena_printf(recipe->arena, "%s/c/program", bench->directory);
    uint8_t *data;
    Elf64_Ehdr *ehdr;
    Elf64_Phdr *phdr;
    Elf64_Dyn *dyn = NULL;
    uint64_t strings = 0;
    int fd;

    if (em_read_file_at(AT_FDCWD, bench->driver, 1 << 24, recipe->arena, &bytes, NULL) < 0)
        return false;
    data = (uint8_t *)(uintptr_t)bytes.data;
    ehdr = (Elf64_Ehdr *)data;
    phdr = (Elf64_Phdr *)(data + ehdr->e_phoff);
    for (int i = 0; i < ehdr->e_phnum; i++) {
        if (phdr[i].p_type == PT_DYNAMIC)
            dyn = (Elf64_Dyn *)(data + phdr[i].p_offset);
    }
    for (Elf64_Dyn *d = dyn; d && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_STRTAB)
            strings = d->d_un.d_ptr;
    }
    /* .dynstr lies in the first segment, where addresses are offsets. */
    fill_dynamic(bench, recipe, data, dyn, (char *)data + strings);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, data, bytes.size) != (ssize_t)bytes.size)
        return false;
    close(fd);
    return true;
}

bool case_build(struct bench *bench, const struct recipe *recipe)
{
    const char *directory = em_arena_printf(recipe->arena, "%s/c", bench->directory);
    const struct line *cache = find_line(recipe, "cache");
    char dirs[4096] = "";

    if (!shell(recipe->arena, "rm -rf %s && mkdir %s", directory, directory) || !recipe_build(recipe, directory) ||
        !write_program(bench, recipe))
        return false;
    if (!cache || bench->no_mounts)
        return true;
    for (size_t i = 0; i < cache->rest.count; i++)
        snprintf(dirs + strlen(dirs), sizeof dirs - strlen(dirs), "%s/%s\\n", directory, cache->rest.items[i]);
    return shell(recipe->arena, "printf '%s' >%s/conf && /sbin/ldconfig -X -C %s/cache -f %s/conf 2>/dev/null", dirs, directory,
                 directory, directory);
}

/* ---- running it ---- */

static void child(const struct bench *bench, const struct recipe *recipe, int out)
{
    const char *directory = em_arena_printf(recipe->arena, "%s/c", bench->directory), *arguments[64];
    const struct line *environment = find_line(recipe, "environment"), *preload = find_line(recipe, "preload");
    bool cached = find_line(recipe, "cache") != NULL;
    size_t n = 0;

    clearenv();
    if (chdir(directory) < 0)
        _exit(99);
    if (environment)
        setenv("LD_LIBRARY_PATH", recipe_text(recipe, environment->argument, directory), 1);
    if (preload)
        setenv("LD_PRELOAD", recipe_text(recipe, preload->argument, directory), 1);
    if (cached && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                   mount("cache", "/etc/ld.so.cache", NULL, MS_BIND, NULL) < 0))
        _exit(98);
    if (strcmp(bench->libc, "glibc") == 0) {
        arguments[n++] = bench->world.interpreter;
        if (!cached)
            arguments[n++] = "--inhibit-cache";
    }
    arguments[n++] = em_arena_printf(recipe->arena, "%s/program", directory);
    for (size_t i = 0; i < recipe->lines.count && n < 60; i++) {
        const struct line *line = &recipe->lines.items[i];

        if (line->off)
            continue;
        if (strcmp(line->verb, "open") == 0)
            arguments[n++] = recipe_text(recipe, line->argument, directory);
        else if (strcmp(line->verb, "call") == 0 && line->second)
            arguments[n++] = em_arena_printf(recipe->arena, "@%s@%s", recipe_text(recipe, line->argument, directory),
                                             recipe_text(recipe, line->second, directory));
    }
    arguments[n] = NULL;
    dup2(out, 1);
    dup2(out, 2);
    alarm(10);
    execv(arguments[0], (char **)(uintptr_t)arguments);
    _exit(97);
}

static void read_output(struct outcome *outcome, struct em_arena *arena, char *text)
{
    const char *said = "";
    char *save;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool known = outcome->started;

        if (strcmp(line, "started") == 0) {
            outcome->started = known = true;
        } else if (outcome->started && (line[0] == '+' || line[0] == '!' || line[0] == '-') && line[1] == ' ') {
            em_vec_push(arena, &outcome->steps, (struct step){ line[0], em_arena_strdup(arena, line + 2) });
        } else if (outcome->started && line[0] == '=') {
            em_vec_push(arena, &outcome->list, em_arena_strdup(arena, line + 2));
        } else if (strcmp(line, "ended") == 0) {
            outcome->ended = true;
        } else {
            known = false;
        }
        /* A preload that is missing is announced, and nothing comes of it. */
        if (!known && !strstr(line, "ignored."))
            said = em_arena_printf(arena, "%s%s%s", said, *said ? " | " : "", line);
    }
    if (!outcome->ended)
        outcome->end = said;
}

bool real_run(struct bench *bench, const struct recipe *recipe, struct outcome *outcome)
{
    size_t size = 0, room = 1 << 18;
    char *text = em_arena_alloc(recipe->arena, room);
    int ends[2], status;
    pid_t pid;

    *outcome = (struct outcome){ 0 };
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    pid = fork();
    if (pid < 0)
        return false;
    if (pid == 0)
        child(bench, recipe, ends[1]);
    close(ends[1]);
    for (ssize_t got; size < room - 1 && (got = read(ends[0], text + size, room - 1 - size)) > 0;)
        size += (size_t)got;
    close(ends[0]);
    if (waitpid(pid, &status, 0) < 0)
        return false;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 98) {
        outcome->impossible = bench->no_mounts = true;
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) >= 97 && WEXITSTATUS(status) <= 99)
        return false;
    read_output(outcome, recipe->arena, text);
    if (WIFSIGNALED(status))
        outcome->end = em_arena_printf(recipe->arena, "signal %d", WTERMSIG(status));
    return true;
}
