#include "cli/cli.h"

#include "bundle/wheel/wheel.h"

#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

enum kind {
    FLAG,    /* a bool becomes true */
    VALUE,   /* a string */
    LIST,    /* a string, repeatable */
    SPECIAL, /* handled by name */
};

/* Every option that more than one command could take, and the bit under which a command takes it: 0 goes with all. */
static const struct option_spec {
    const char *name;
    const char *value; /* NULL: takes none */
    const char *help;
    enum kind kind;
    size_t at;
    uint64_t takes;
} specs[] = {
    { "dry-run", NULL, "stop after the plan", FLAG, offsetof(struct em_options, dry_run), EM_TAKES_DRY_RUN },
    { "plan", "FILE", "with --dry-run: write the plan there, for `elfmend apply`", VALUE, offsetof(struct em_options, plan),
      EM_TAKES_DRY_RUN },
    { "yes", NULL, "do not ask", FLAG, offsetof(struct em_options, yes), EM_TAKES_YES },
    { "source", "PLACE", "where missing libraries may be copied from; repeatable, searched in order", LIST,
      offsetof(struct em_options, sources), EM_TAKES_SOURCE },
    { "require-hashes", "FILE", "as sha256sum prints, or pip's lock; what is copied must be in it", VALUE,
      offsetof(struct em_options, require_hashes), EM_TAKES_SOURCE },
    { "allow-unverified", NULL, "copy also what neither a RECORD nor a pin vouches for", FLAG,
      offsetof(struct em_options, allow_unverified), EM_TAKES_SOURCE },
    { "strategy", "path|copy|degraft", "how a library is brought in reach (default: path, else copy where there is a source)",
      VALUE, offsetof(struct em_options, strategy), EM_TAKES_STRATEGY },
    { "rpath", NULL, "write DT_RPATH on an object that has neither tag (default)", FLAG, offsetof(struct em_options, rpath),
      EM_TAKES_STRATEGY },
    { "runpath", NULL, "write DT_RUNPATH on an object that has neither tag", FLAG, offsetof(struct em_options, runpath),
      EM_TAKES_STRATEGY },
    { "no-undo", NULL, "keep nothing to go back to once the repair is proved", FLAG, offsetof(struct em_options, no_undo),
      EM_TAKES_NO_UNDO },
    { "to", "ID", "take back this repair and all later ones", VALUE, offsetof(struct em_options, to), EM_TAKES_UNDO },
    { "all", NULL, "take back every repair", FLAG, offsetof(struct em_options, all), EM_TAKES_UNDO },
    { "list", NULL, "show the repairs that can be taken back, and what they hold on disk", FLAG,
      offsetof(struct em_options, list), EM_TAKES_UNDO },
    { "forget", NULL, "free what undo holds, and keep the repair", FLAG, offsetof(struct em_options, forget), EM_TAKES_UNDO },
    { "force", NULL, "take back also what someone changed since", FLAG, offsetof(struct em_options, force), EM_TAKES_UNDO },
    { "only", "GLOB", "objects to keep in the report; repeatable", LIST, offsetof(struct em_options, only), EM_TAKES_FILTER },
    { "ignore", "EMnnn[:GLOB]", "findings to leave out; repeatable", LIST, offsetof(struct em_options, ignore),
      EM_TAKES_FILTER },
    { "fail-on", "SEVERITY", "error, warning, note or never: what makes the exit status 1 (default: error)", VALUE,
      offsetof(struct em_options, fail_on), EM_TAKES_FILTER },
    { "with", "PLACE", "installed beside the target too: a wheel, an environment, a directory; repeatable", LIST,
      offsetof(struct em_options, with), EM_TAKES_WITH },
    { "output", "DIR", "where the new wheels go; also -o, -w and --wheel-dir", VALUE, offsetof(struct em_options, output),
      EM_TAKES_OUTPUT },
    { "wheel-dir", "DIR", "the same, as auditwheel spells it", VALUE, offsetof(struct em_options, output), EM_TAKES_OUTPUT },
    { "local", "LABEL", "the local version of what is changed (default: mend.1)", VALUE, offsetof(struct em_options, local),
      EM_TAKES_REPACK },
    { "build-tag", "TAG", "a build tag instead of a local version", VALUE, offsetof(struct em_options, build_tag),
      EM_TAKES_REPACK },
    { "keep-name", NULL, "neither: the file is named as it was", FLAG, offsetof(struct em_options, keep_name),
      EM_TAKES_REPACK },
    { "copy-unchanged", NULL, "a wheel with nothing to mend goes to DIR too, as it is", FLAG,
      offsetof(struct em_options, copy_unchanged), EM_TAKES_REPACK },
    { "index", "DIR", "a simple index for pip and uv, written or brought up to date there; a --hash= line for each wheel",
      VALUE, offsetof(struct em_options, index), EM_TAKES_OUTPUT },
    { "knowledge", "FILE", "further tables, in the format of the built-in ones", VALUE, offsetof(struct em_options, knowledge),
      EM_TAKES_KNOWLEDGE },
    { "gpu", "GPU,...", "look for code for these too: sm_120, 12.0, RTX 5070; repeatable", LIST,
      offsetof(struct em_options, gpus), EM_TAKES_GPU },
    { "probe", NULL, "with --root: run cuInit of the driver library in DIR", FLAG, offsetof(struct em_options, probe),
      EM_TAKES_PROBE },
    { "exec", NULL, "model running FILE instead of opening it", FLAG, offsetof(struct em_options, exec), EM_TAKES_EXEC },
    { "each", NULL, "each FILE in a process of its own", FLAG, offsetof(struct em_options, each), EM_TAKES_EXEC },
    { "root", "DIR", "DIR is \"/\": an unpacked image", VALUE, offsetof(struct em_options, root), EM_TAKES_WORLD },
    { "world", "WORLD", "what lies outside the target: system, manylinux, empty or a file (default: system)", VALUE,
      offsetof(struct em_options, world), EM_TAKES_WORLD },
    { "libc", "LIBC", "glibc or musl, where it cannot be read from the interpreter", VALUE, offsetof(struct em_options, libc),
      EM_TAKES_WORLD },
    { "ld-library-path", "PATH", "LD_LIBRARY_PATH as the modelled process has it (default: the current one)", VALUE,
      offsetof(struct em_options, ld_library_path), EM_TAKES_WORLD },
    { "jobs", "N", "threads (default: one a core)", SPECIAL, 0, EM_TAKES_JOBS },
    { "json", NULL, "one JSON document on standard output", FLAG, offsetof(struct em_options, json), 0 },
    { "quiet", NULL, "no progress, no remarks", FLAG, offsetof(struct em_options, quiet), 0 },
    { "verbose", NULL, "notes too", FLAG, offsetof(struct em_options, verbose), 0 },
    { "color", "WHEN", "auto, always or never", SPECIAL, 0, 0 },
    { "help", NULL, "this text", SPECIAL, 0, 0 },
};

#define SPEC_COUNT (sizeof specs / sizeof *specs)

static void print_help(const struct em_command *command)
{
    printf("    %s\n\n", command->example);
    printf("usage: elfmend %s [OPTIONS]%s%s\n\n%s.\n", command->name, *command->arguments ? " " : "", command->arguments,
           command->summary);
    if (command->details)
        printf("\n%s", command->details);
    puts("\nOptions:");
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        char left[64];

        if (specs[i].takes && !(specs[i].takes & command->accepts))
            continue;
        snprintf(left, sizeof left, "--%s%s%s", specs[i].name, specs[i].value ? " " : "", specs[i].value ? specs[i].value : "");
        printf("  %-29s %s\n", left, specs[i].help);
    }
}

static int usage(const struct em_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int usage(const struct em_command *command, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "elfmend %s: ", command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; `elfmend %s --help` lists the options\n", command->name);
    return EM_EXIT_FAILED;
}

static int set_color(struct em_options *options, const struct em_command *command, const char *value)
{
    if (strcmp(value, "auto") == 0)
        options->color = EM_COLOR_AUTO;
    else if (strcmp(value, "always") == 0)
        options->color = EM_COLOR_ALWAYS;
    else if (strcmp(value, "never") == 0)
        options->color = EM_COLOR_NEVER;
    else
        return usage(command, "--color %s: it is auto, always or never", value);
    return -1;
}

static int set_jobs(struct em_options *options, const struct em_command *command, const char *value)
{
    char *end;
    unsigned long jobs = strtoul(value, &end, 10);

    if (*value == '\0' || *value == '-' || *end != '\0' || jobs == 0 || jobs > 4096)
        return usage(command, "--jobs %s: it is a number from 1 to 4096", value);
    options->jobs = (unsigned)jobs;
    return -1;
}

static int set(struct em_options *options, const struct em_command *command, const struct option_spec *spec, const char *value)
{
    char *field = (char *)options + spec->at;

    switch (spec->kind) {
    case FLAG: *(bool *)field = true; return -1;
    case VALUE: *(const char **)field = value; return -1;
    case LIST:
        if (em_vec_push(options->arena, (struct em_strings *)field, value) < 0)
            return usage(command, "out of memory");
        return -1;
    case SPECIAL: break;
    }
    if (strcmp(spec->name, "color") == 0)
        return set_color(options, command, value);
    if (strcmp(spec->name, "jobs") == 0)
        return set_jobs(options, command, value);
    print_help(command);
    return EM_EXIT_OK;
}

/* A word among those that an option takes; the list is "a|b|c". */
static bool is_one_of(const char *value, const char *list)
{
    size_t length = strlen(value);

    for (const char *at = list; length > 0 && !strchr(value, '|') && (at = strstr(at, value)) != NULL; at++)
        if ((at == list || at[-1] == '|') && (at[length] == '|' || at[length] == '\0'))
            return true;
    return false;
}

/* getopt takes an unambiguous beginning for the whole: `--a` would be --allow-unverified. Nothing is guessed here. */
static const char *find_abbreviation(int argc, char **argv, const struct option *longs)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        size_t length = strcspn(argv[i], "=");
        const struct option *option = longs;

        if (strncmp(argv[i], "--", 2) != 0)
            continue;
        while (option->name && (strlen(option->name) != length - 2 || strncmp(option->name, argv[i] + 2, length - 2) != 0))
            option++;
        if (!option->name)
            return argv[i];
        /* Its value is the next word, whatever that looks like. */
        if (option->has_arg == required_argument && argv[i][length] == '\0')
            i++;
    }
    return NULL;
}

static int check_words(const struct em_options *options, const struct em_command *command)
{
    if (!is_one_of(options->fail_on, "error|warning|note|never"))
        return usage(command, "--fail-on %s: it is error, warning, note or never", options->fail_on);
    if (options->libc && !is_one_of(options->libc, "glibc|musl"))
        return usage(command, "--libc %s: it is glibc or musl", options->libc);
    if (options->strategy && !is_one_of(options->strategy, "path|copy|degraft"))
        return usage(command, "--strategy %s: it is path, copy or degraft", options->strategy);
    if (options->plan && !options->dry_run)
        return usage(command, "--plan goes with --dry-run: the plan is written, and `elfmend apply` executes it");
    if (options->rpath && options->runpath)
        return usage(command, "--rpath and --runpath exclude each other");
    return -1;
}

int em_options_parse(struct em_options *options, int argc, char **argv, const struct em_command *command)
{
    struct option longs[SPEC_COUNT + 1];
    const char *unknown;
    int count = 0, index = 0, c, r;

    *options = (struct em_options){ .arena = em_arena_new(), .fail_on = "error" };
    if (!options->arena)
        return usage(command, "out of memory");
    for (size_t i = 0; i < SPEC_COUNT; i++)
        if (!specs[i].takes || (specs[i].takes & command->accepts))
            longs[count++] = (struct option){ specs[i].name, specs[i].value ? required_argument : no_argument, NULL,
                                              (int)i + 1 };
    longs[count] = (struct option){ 0 };
    unknown = find_abbreviation(argc, argv, longs);
    if (unknown)
        return usage(command, "%s: no such option", unknown);
    optind = 1;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":hqvyo:w:", longs, &index)) != -1) {
        if (c == ':')
            return usage(command, "%s needs a value", argv[optind - 1]);
        if (c == 'h')
            c = (int)SPEC_COUNT; /* help is the last */
        else if (c == 'q' || c == 'v' || c == 'y') {
            const char *word = c == 'q' ? "quiet" : c == 'v' ? "verbose" : "yes";

            for (c = 1; strcmp(specs[c - 1].name, word) != 0; c++)
                ;
            if (specs[c - 1].takes && !(specs[c - 1].takes & command->accepts))
                return usage(command, "-%.1s: no such option", word);
        } else if (c == 'o' || c == 'w') {
            int letter = c;

            for (c = 1; strcmp(specs[c - 1].name, "output") != 0; c++)
                ;
            if (!(command->accepts & EM_TAKES_OUTPUT))
                return usage(command, "-%c: no such option", letter);
        } else if (c == '?')
            return usage(command, "%s: no such option", argv[optind - 1]);
        r = set(options, command, &specs[c - 1], optarg);
        if (r >= 0)
            return r;
    }
    for (int i = optind; i < argc; i++)
        if (em_vec_push(options->arena, &options->arguments, (const char *)argv[i]) < 0)
            return usage(command, "out of memory");
    options->has_ld_library_path = options->ld_library_path != NULL;
    if (!options->has_ld_library_path && !options->root)
        options->ld_library_path = getenv("LD_LIBRARY_PATH");
    return check_words(options, command);
}

void em_options_free(struct em_options *options)
{
    em_arena_free(options->arena);
    *options = (struct em_options){ 0 };
}

int em_options_world(const struct em_options *options, struct em_tree **tree, struct em_world *world, const char *like,
                     struct em_error *error)
{
    /* A file has its own LD_LIBRARY_PATH; ours is no part of that world unless it is given. */
    bool own = em_world_is_file(options->world) && !options->has_ld_library_path;
    struct em_world_wish wish = {
        .kind = options->world,
        .libc = options->libc,
        .ld_library_path = own ? NULL : options->ld_library_path,
        .like = like,
    };
    int r = *tree ? EM_OK : em_tree_disk(tree, options->root, error);

    if (r < 0)
        return r;
    return em_world_read(world, options->arena, *tree, &wish, error);
}

bool em_options_is_for_musl(const struct em_options *options, const struct em_world *world, const char *wheel)
{
    return !options->libc && !em_world_is_file(options->world) && world->libc == EM_LIBC_GLIBC && em_is_musl_wheel(wheel);
}

int em_options_musl_world(const struct em_options *options, struct em_tree **tree, struct em_world *world,
                          struct em_error *error)
{
    struct em_options musl = *options;

    musl.libc = "musl";
    musl.world = "empty";
    return em_options_world(&musl, tree, world, NULL, error);
}

int em_options_wheel_world(const struct em_options *options, struct em_tree **tree, struct em_world *world, const char *wheel,
                           struct em_error *error)
{
    int r = em_options_world(options, tree, world, NULL, error);

    return r == EM_OK && em_options_is_for_musl(options, world, wheel) ? em_options_musl_world(options, tree, world, error) : r;
}

int em_options_target(const struct em_options *options, size_t index, const char **target, struct em_error *error)
{
    const char *active = getenv("VIRTUAL_ENV");
    struct stat st;

    if (index < options->arguments.count)
        *target = options->arguments.items[index];
    else if (active && *active)
        *target = active;
    else if (stat(".venv", &st) == 0)
        *target = ".venv";
    else
        return em_fail(error, EM_USAGE, NULL, "no target: name an environment, or activate one, or make ./.venv");
    return EM_OK;
}

int em_options_targets(const struct em_options *options, struct em_strings *targets, struct em_error *error)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && (i == 0 || i < options->arguments.count); i++) {
        const char *target = NULL;

        r = em_options_target(options, i, &target, error);
        if (r == EM_OK)
            r = em_vec_push(options->arena, targets, target);
    }
    return r;
}
