/* model.c: the same case, asked of the model; and what both say, compared. */
#include "tests/oracle/oracle.h"

#include <string.h>

static const struct line *next_line(const struct recipe *recipe, size_t *at)
{
    while (*at < recipe->lines.count) {
        const struct line *line = &recipe->lines.items[(*at)++];

        if (!line->off)
            return line;
    }
    return NULL;
}

static bool read_world(struct bench *bench, const struct recipe *recipe, const char *directory, struct em_world *world)
{
    const struct line *line;

    *world = bench->world;
    for (size_t at = 0; (line = next_line(recipe, &at)) != NULL;) {
        if (strcmp(line->verb, "cache") == 0) {
            struct em_world_wish wish = { .libc = bench->libc, .cwd = "/" };

            wish.cache_path = em_arena_printf(recipe->arena, "%s/cache", directory);
            if (em_world_read(world, recipe->arena, bench->tree, &wish, NULL) < 0)
                return false;
        }
    }
    world->cwd = directory;
    for (size_t at = 0; (line = next_line(recipe, &at)) != NULL;) {
        if (strcmp(line->verb, "environment") == 0)
            world->ld_library_path = recipe_text(recipe, line->argument, directory);
        if (strcmp(line->verb, "preload") == 0)
            world->ld_preload = recipe_text(recipe, line->argument, directory);
    }
    return true;
}

static const char *failure(const struct recipe *recipe, const struct em_open *open)
{
    if (open->failure)
        return em_arena_printf(recipe->arena, "%s: %s", open->failure->name, open->why);
    return open->why ? open->why : "?";
}

static const char *death(const struct em_open *open)
{
    return strstr(open->why, "stack overflows") ? "signal" : "abort";
}

static const struct em_loaded *find_object(const struct em_process *process, const char *name)
{
    for (size_t i = 0; i < process->objects.count; i++) {
        if (!process->objects.items[i]->is_main && strcmp(process->objects.items[i]->name, name) == 0)
            return process->objects.items[i];
    }
    return NULL;
}

/* One open; false: the process is dead. */
static bool model_step(struct em_process *process, const struct recipe *recipe, const struct line *line, const char *directory,
                       struct outcome *outcome)
{
    bool call = strcmp(line->verb, "call") == 0;
    const struct em_loaded *caller = NULL;
    struct em_open open;

    if (call) {
        caller = find_object(process, recipe_text(recipe, line->argument, directory));
        if (!caller) {
            em_vec_push(recipe->arena, &outcome->steps, (struct step){ '-', "" });
            return true;
        }
    }
    if (em_process_open(process, recipe_text(recipe, call ? line->second : line->argument, directory), caller, &open) < 0)
        abort();
    if (open.aborts) {
        outcome->end = death(&open);
        return false;
    }
    em_vec_push(recipe->arena, &outcome->steps, (struct step){ open.ok ? '+' : '!', open.ok ? "" : failure(recipe, &open) });
    return true;
}

bool model_run(struct bench *bench, const struct recipe *recipe, struct outcome *outcome)
{
    const char *directory = em_arena_printf(recipe->arena, "%s/c", bench->directory);
    struct em_error error = EM_ERROR_INIT;
    struct em_process *process;
    struct em_loader *loader;
    const struct line *line;
    struct em_world *world = em_new(recipe->arena, struct em_world);

    *outcome = (struct outcome){ 0 };
    if (!read_world(bench, recipe, directory, world))
        return false;
    loader = em_loader_new(world, recipe->arena);
    if (em_process_new(&process, loader, em_arena_printf(recipe->arena, "%s/program", directory), &error) < 0) {
        fprintf(stderr, "model: %s: %s\n", error.path, error.sentence);
        return false;
    }
    if (!process->start.ok) {
        outcome->end = process->start.aborts ? death(&process->start) : failure(recipe, &process->start);
        return true;
    }
    outcome->started = true;
    for (size_t at = 0; (line = next_line(recipe, &at)) != NULL;) {
        if ((strcmp(line->verb, "open") == 0 || (strcmp(line->verb, "call") == 0 && line->second)) &&
            !model_step(process, recipe, line, directory, outcome))
            return true;
    }
    outcome->ended = true;
    for (size_t i = 0; i < process->objects.count; i++) {
        if (!process->objects.items[i]->is_main)
            em_vec_push(recipe->arena, &outcome->list, process->objects.items[i]->name);
    }
    em_loader_free(loader);
    return true;
}

/* ---- comparing ---- */

/* The kind of a message: what stands behind the last ": " that is not the errno's, roughly, without names. */
static const char *class_of(const char *message)
{
    static const char *const classes[] = {
        "Inconsistency detected",
        "abort",
        "cannot open shared object file",
        "wrong ELF class",
        "version `",
        "invalid ELF header",
        "file too short",
        "data encoding",
        "OS ABI",
        "ABI version",
        "padding",
        "only ET_DYN",
        "no dynamic section",
        "position-independent",
        "dynamically load executable",
        "dlopen()ed",
        "loadable segments",
        "executable stack",
        "cannot read file data",
        "CPU ISA",
        "token",
        "Error loading shared library",
        "signal",
    };

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strstr(message, classes[i]))
            return i == 0 ? "abort" : classes[i];
    }
    return message;
}

static bool same_message(const char *real, const char *model)
{
    return strcmp(class_of(real), class_of(model)) == 0;
}

bool outcome_differs(const struct outcome *real, const struct outcome *model, FILE *stream)
{
    bool differs = false;
    size_t steps = real->steps.count < model->steps.count ? real->steps.count : model->steps.count;

    if (real->started != model->started || real->ended != model->ended || real->steps.count != model->steps.count ||
        (!real->ended && !same_message(real->end, model->end ? model->end : ""))) {
        differs = true;
        if (stream)
            fprintf(stream, "# real: started %d, ended %d, %zu steps: %s\n# model: started %d, ended %d, %zu steps: %s\n",
                    real->started, real->ended, real->steps.count, real->end ? real->end : "", model->started, model->ended,
                    model->steps.count, model->end ? model->end : "");
    }
    for (size_t i = 0; i < steps; i++) {
        const struct step *a = &real->steps.items[i], *b = &model->steps.items[i];

        if (a->sign == b->sign && (a->sign != '!' || same_message(a->message, b->message)))
            continue;
        differs = true;
        if (stream)
            fprintf(stream, "# open %zu: real %c %s\n#         model %c %s\n", i, a->sign, a->message, b->sign, b->message);
    }
    for (size_t i = 0; real->ended && model->ended && (i < real->list.count || i < model->list.count); i++) {
        const char *a = i < real->list.count ? real->list.items[i] : "(none)";
        const char *b = i < model->list.count ? model->list.items[i] : "(none)";

        if (strcmp(a, b) == 0)
            continue;
        differs = true;
        if (stream)
            fprintf(stream, "# object %zu: real %s\n#           model %s\n", i, a, b);
    }
    return differs;
}

static const char *word_of(const struct outcome *outcome, size_t step)
{
    if (!outcome->started)
        return "start";
    if (step >= outcome->steps.count)
        return outcome->ended ? "none" : "abort";
    return outcome->steps.items[step].sign == '+' ? "ok" : outcome->steps.items[step].sign == '!' ? "no" : "absent";
}

/* "listed" speaks of the case's own files. */
static bool unlisted(const struct bench *bench, const struct recipe *recipe, const struct outcome *outcome,
                     const struct line *line, FILE *stream)
{
    const char *directory = em_arena_printf(recipe->arena, "%s/c", bench->directory);
    size_t at = 0;

    for (size_t i = 0; i < outcome->list.count; i++) {
        const char *name = outcome->list.items[i];
        bool ours = name[0] != '/' || em_path_is_below(name, directory);

        if (!ours)
            continue;
        if (at >= line->rest.count || (strcmp(name, recipe_text(recipe, line->rest.items[at], directory)) != 0)) {
            fprintf(stream, "# %s is mapped, and \"listed\" has %s\n", name,
                    at < line->rest.count ? line->rest.items[at] : "no more");
            return true;
        }
        at++;
    }
    if (at < line->rest.count)
        fprintf(stream, "# \"listed\" has %s, and it is not mapped\n", line->rest.items[at]);
    return at < line->rest.count;
}

bool outcome_unexpected(const struct bench *bench, const struct recipe *recipe, const struct outcome *outcome, FILE *stream)
{
    const struct line *line;
    bool wrong = false;

    for (size_t at = 0; (line = next_line(recipe, &at)) != NULL;) {
        if (strcmp(line->verb, "expect") == 0) {
            for (size_t i = 0; i < line->rest.count; i++) {
                if (strcmp(word_of(outcome, i), line->rest.items[i]) != 0) {
                    fprintf(stream, "# open %zu: expected %s, and it is %s\n", i, line->rest.items[i], word_of(outcome, i));
                    wrong = true;
                }
            }
        } else if (strcmp(line->verb, "listed") == 0) {
            wrong |= unlisted(bench, recipe, outcome, line, stream);
        }
    }
    return wrong;
}
