#include "cli/steps.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void print_path_list(const struct em_step *step)
{
    if (step->value)
        printf("            %s %s\n", step->tag == EM_TAG_RUNPATH ? "DT_RUNPATH" : "DT_RPATH", em_plain(step->value));
}

static void print_reason(const struct em_step *step)
{
    if (step->reason && strcmp(step->reason, EM_REASON_USUAL) != 0)
        printf("            reason: %s\n", em_plain(step->reason));
}

static void print_rest(const struct em_step *step)
{
    print_path_list(step);
    if (step->old_value)
        printf("            was %s\n", em_plain(step->old_value));
    print_reason(step);
}

void em_print_step(const struct em_step *step, bool in_wheel)
{
    switch (step->kind) {
    case EM_STEP_SET_PATH:
        printf("  set-path  %s\n", em_plain(step->path));
        print_rest(step);
        break;
    case EM_STEP_REPLACE_NEEDED:
        printf("  replace-needed  %s\n            needs %s\n            was %s\n", em_plain(step->path), em_plain(step->by),
               em_plain(step->needed));
        print_reason(step);
        break;
    case EM_STEP_CLEAR_STACK: printf("  clear-execstack  %s\n", em_plain(step->path)); break;
    case EM_STEP_REMOVE:
        printf("  remove    %s\n", em_plain(step->path));
        print_reason(step);
        break;
    case EM_STEP_COPY:
        printf("  copy      %s\n            from %s\n", em_plain(step->path), em_plain(step->from));
        printf("            vouched for by %s\n", step->voucher ? em_plain(step->voucher) : "nothing (--allow-unverified)");
        print_path_list(step);
        break;
    case EM_STEP_SBOM:
        printf("  sbom      %s   (%zu librar%s)\n", em_plain(step->path), step->files.count,
               step->files.count == 1 ? "y" : "ies");
        break;
    case EM_STEP_RECORD:
        if (!in_wheel)
            printf("  record    %s   (%zu file%s)\n", em_plain(step->path), step->files.count,
                   step->files.count == 1 ? "" : "s");
        break;
    case EM_STEP_CONDA:
        printf("  conda-meta  %s   (%zu file%s)\n", em_plain(step->path), step->files.count, step->files.count == 1 ? "" : "s");
        break;
    }
}

int em_spell_plan(const struct em_plan *plan, struct em_text *json, struct em_error *error)
{
    int r = em_plan_to_json(plan, json);

    if (r == EM_UNSUPPORTED)
        return em_fail(error, r, plan->target, "has names that are not UTF-8, which no JSON document can hold");
    return r;
}

int em_write_plan(const char *path, const struct em_text *json, struct em_error *error)
{
    em_cleanup_fd int fd = em_open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666, error);

    return fd < 0 ? fd : em_write_all(fd, json->data, json->size, path, error);
}

void em_print_receipt(const char *where, const struct em_receipt *receipt)
{
    printf("%s%s%zu file%s replaced, %zu added", where ? where : "\n", where ? ": " : "", receipt->replaced,
           receipt->replaced == 1 ? "" : "s", receipt->created);
    if (receipt->removed > 0)
        printf(", %zu taken away", receipt->removed);
    if (receipt->id)
        printf("; elfmend undo takes it back, as %s", receipt->id);
    putchar('\n');
    em_vec_each (const struct em_privileged, file, &receipt->privileged)
        printf("  keeps     %s: %s\n", em_plain(file->path), file->by);
}

json_t *em_privileged_json(const struct em_receipt *receipt)
{
    json_t *array = json_array();

    em_vec_each (const struct em_privileged, file, &receipt->privileged)
        json_array_append_new(array, json_pack("{s:o, s:s}", "path", em_json_string(file->path), "keeps", file->by));
    return array;
}

enum em_strategy em_strategy_named(const char *name)
{
    static const struct {
        const char *name;
        enum em_strategy strategy;
    } strategies[] = { { "path", EM_STRATEGY_PATH }, { "copy", EM_STRATEGY_COPY }, { "degraft", EM_STRATEGY_DEGRAFT } };

    for (size_t i = 0; name && i < sizeof strategies / sizeof *strategies; i++)
        if (strcmp(strategies[i].name, name) == 0)
            return strategies[i].strategy;
    return EM_STRATEGY_AUTO;
}

int em_open_sources(const struct em_options *options, struct em_tree *here, const struct em_env *target, struct em_pins *pins,
                    struct em_plan_wish *wish, struct em_error *error)
{
    bool is_warned = false;
    int r = EM_OK;

    if (options->require_hashes) {
        r = em_pins_read(pins, options->arena, options->require_hashes, error);
        wish->pins = pins;
    }
    em_vec_each (const char *, place, &options->sources) {
        struct em_source *source;

        if (r == EM_OK)
            r = em_source_open_for(&source, options->arena, here, *place, target, error);
        if (r == EM_OK)
            r = em_vec_push(options->arena, &wish->sources, source);
        if (r < 0)
            return r;
        if (source->warning && !is_warned)
            em_warn("%s", source->warning);
        is_warned = is_warned || source->warning;
    }
    return r;
}
