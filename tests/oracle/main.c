/* main.c: oracle COUNT SEED [LIBC], oracle --recipe FILE [LIBC]: runs cases in the working directory on both loaders and prints TAP.
 * A case that differs is shrunk to the lines that matter and printed as a recipe, which can be kept under tests/oracle/cases. */
#include "tests/oracle/oracle.h"

#include <string.h>

/* How the cases of a run ended: a generator that only makes failures proves little. */
static struct {
    uint64_t not_started, aborted, opened, refused, mapped, unrun;
} tally;

static void count(const struct outcome *real)
{
    tally.not_started += !real->started;
    tally.aborted += real->started && !real->ended;
    tally.mapped += real->list.count;
    for (size_t i = 0; i < real->steps.count; i++) {
        tally.opened += real->steps.items[i].sign == '+';
        tally.refused += real->steps.items[i].sign == '!';
    }
}

static bool differs(struct bench *bench, const struct recipe *recipe, FILE *stream)
{
    struct outcome real, model;

    /* While a case shrinks it may become nonsense; that is no difference. */
    if (!case_build(bench, recipe) || !real_run(bench, recipe, &real) || real.impossible || !model_run(bench, recipe, &model)) {
        tally.unrun++;
        return false;
    }
    count(&real);
    return outcome_differs(&real, &model, stream);
}

/* A list in which the part from start to end is left out. */
static const char *without(struct em_arena *arena, const char *list, size_t start, size_t end)
{
    if (list[end])
        end++;
    else if (start > 0)
        start--;
    return em_arena_printf(arena, "%.*s%s", (int)start, list, list + end);
}

/* Each entry of each field, then the field: kept out if the case differs without it. */
static bool shrink_fields(struct bench *bench, struct recipe *recipe, struct line *line)
{
    bool smaller = false;

    em_vec_each (struct field, field, &line->fields) {
        const char *whole = field->value;

        if (!whole)
            continue;
        field->value = NULL;
        if (differs(bench, recipe, NULL)) {
            smaller = true;
            continue;
        }
        field->value = whole;
        for (size_t start = 0; whole[start];) {
            size_t end = start + strcspn(whole + start, ":,");

            if (!strpbrk(whole, ":,"))
                break;
            field->value = without(recipe->arena, whole, start, end);
            if (differs(bench, recipe, NULL)) {
                smaller = true;
                whole = field->value;
                continue;
            }
            field->value = whole;
            start = whole[end] ? end + 1 : end;
        }
    }
    return smaller;
}

static void shrink(struct bench *bench, struct recipe *recipe)
{
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (size_t i = recipe->lines.count; i-- > 0;) {
            struct line *line = &recipe->lines.items[i];

            if (line->off)
                continue;
            line->off = true;
            if (differs(bench, recipe, NULL)) {
                smaller = true;
                continue;
            }
            line->off = false;
            smaller |= shrink_fields(bench, recipe, line);
        }
    }
}

static bool run_seed(struct bench *bench, uint64_t seed, const char *libc, uint64_t *cached)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct recipe recipe;

    graph_make(&recipe, arena, seed, libc);
    for (size_t i = 0; i < recipe.lines.count; i++)
        *cached += strcmp(recipe.lines.items[i].verb, "cache") == 0;
    if (!differs(bench, &recipe, NULL))
        return true;
    printf("# seed %llu: the loaders differ\n", (unsigned long long)seed);
    shrink(bench, &recipe);
    recipe_print(&recipe, stdout, "#   ");
    differs(bench, &recipe, stdout);
    fflush(stdout);
    return false;
}

static int run_random(struct bench *bench, uint64_t cases, uint64_t seed, const char *libc)
{
    uint64_t wrong = 0, cached = 0;

    printf("# %s: seeds %llu to %llu\n", libc, (unsigned long long)seed, (unsigned long long)(seed + cases - 1));
    for (uint64_t i = 0; i < cases && wrong < 5; i++)
        wrong += !run_seed(bench, seed + i, libc, &cached);
    printf("%s 1 - %llu random %s cases, %llu of them with a cache%s, %llu differ\n1..1\n", wrong ? "not ok" : "ok",
           (unsigned long long)cases, libc, (unsigned long long)cached, bench->no_mounts ? " that could not be mounted" : "",
           (unsigned long long)wrong);
    printf(
        "# %llu opens, %llu refused; %llu programs did not start, %llu were aborted; %llu objects mapped; %llu cases not run\n",
        (unsigned long long)(tally.opened + tally.refused), (unsigned long long)tally.refused,
        (unsigned long long)tally.not_started, (unsigned long long)tally.aborted, (unsigned long long)tally.mapped,
        (unsigned long long)tally.unrun);
    return wrong ? 1 : 0;
}

/* A file of recipes, each under a line "== NAME". */
static int run_recipes(struct bench *bench, const char *path)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_error error = EM_ERROR_INIT;
    struct em_bytes bytes;
    unsigned number = 0, wrong = 0;
    char *text, *at;

    if (em_read_file_at(AT_FDCWD, path, 1 << 24, arena, &bytes, &error) < 0) {
        fprintf(stderr, "%s: %s\n", path, error.sentence);
        return 2;
    }
    text = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    for (at = strstr(text, "== "); at;) {
        char *name = at + 3, *body = strchr(name, '\n'), *next;
        struct outcome real, model;
        struct recipe recipe;
        bool bad;

        if (!body)
            break;
        *body++ = '\0';
        next = strstr(body, "\n== ");
        if (next)
            *next++ = '\0';
        bad = !recipe_parse(&recipe, arena, body) || !case_build(bench, &recipe) || !real_run(bench, &recipe, &real);
        if (!bad && real.impossible) {
            printf("ok %u - %s # SKIP no mount namespace here\n", ++number, name);
        } else {
            bad = bad || !model_run(bench, &recipe, &model) || outcome_differs(&real, &model, stdout);
            bad = bad || outcome_unexpected(bench, &recipe, &model, stdout);
            printf("%s %u - %s\n", bad ? "not ok" : "ok", ++number, name);
        }
        wrong += bad;
        at = next;
    }
    printf("1..%u\n", number);
    return wrong || number == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    bool recipes = argc > 2 && strcmp(argv[1], "--recipe") == 0;
    bool show = argc > 2 && strcmp(argv[1], "--show") == 0;
    const char *libc = argc > 3 ? argv[3] : "glibc";
    char here[4096];
    struct bench bench;
    int status;

    if (argc < 3) {
        fprintf(stderr, "usage: oracle COUNT SEED [glibc|musl] | oracle --recipe FILE [glibc|musl]\n");
        return 2;
    }
    if (!arena || !getcwd(here, sizeof here) || !bench_open(&bench, arena, libc, here)) {
        printf("1..0 # SKIP %s: %s\n", libc, bench.why ? bench.why : "no working directory");
        return 0;
    }
    if (show) {
        struct recipe recipe;

        graph_make(&recipe, arena, strtoull(argv[2], NULL, 0), libc);
        recipe_print(&recipe, stdout, "");
        return 0;
    }
    status = recipes ? run_recipes(&bench, argv[2])
                     : run_random(&bench, strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0), libc);
    em_tree_close(bench.tree);
    return status;
}
