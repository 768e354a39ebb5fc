#include "bundle/plan/plan.h"
#include "cli/cli.h"
#include "cli/repack.h"
#include "cli/steps.h"

#include <string.h>

const struct em_command em_apply_command = {
    .name = "apply",
    .arguments = "PLAN.json",
    .summary = "Execute a plan that `fix` or `repack` has written with --dry-run --plan PLAN.json",
    .example = "elfmend fix .venv --dry-run --plan plan.json; elfmend apply plan.json",
    .details =
        "Refuses, and changes nothing, if a file that the plan rests on has changed since. What a plan changes lies below\n"
        "its root, which is printed; it executes nothing. A wheel's plan makes the new wheel where repack would have put\n"
        "it, or in -o DIR.\n",
    .accepts = EM_TAKES_NO_UNDO | EM_TAKES_JOBS | EM_TAKES_OUTPUT,
    .run = em_cmd_apply,
};

static int report(const struct em_options *options, const struct em_plan *plan, const struct em_receipt *receipt)
{
    if (options->json) {
        json_t *document = json_pack("{s:s, s:s, s:s?, s:I, s:I, s:I, s:I, s:o}", "schema", "elfmend.apply/1", "root",
                                     plan->root, "undo", receipt->id, "replaced", (json_int_t)receipt->replaced, "created",
                                     (json_int_t)receipt->created, "removed", (json_int_t)receipt->removed, "bytes_written",
                                     (json_int_t)receipt->bytes_written, "privileged", em_privileged_json(receipt));

        if (!document)
            return EM_NO_MEMORY;
        return em_json_print(document) == EM_EXIT_OK ? EM_OK : EM_IO;
    }
    if (options->quiet)
        return EM_OK;
    if (receipt->replaced + receipt->created + receipt->removed == 0)
        printf("%s: nothing to do, it is as the plan wants it\n", em_plain(plan->root));
    else
        em_print_receipt(plan->root, receipt);
    return EM_OK;
}

static int apply(struct em_options *options, const struct em_plan *plan, struct em_error *error)
{
    const struct em_apply_options wish = {
        .keep_undo = !options->no_undo, .jobs = options->jobs, .progress = em_progress, .context = options
    };
    struct em_receipt receipt;
    int r;

    if (options->output || options->index)
        return em_fail(error, EM_USAGE, plan->target, "is an environment: -o and --index are for a wheel's plan");
    r = em_plan_apply(plan, &wish, options->arena, &receipt, error);
    em_progress_end();
    return r == EM_OK ? report(options, plan, &receipt) : r;
}

static int run(struct em_options *options, int *status, struct em_error *error)
{
    struct em_bytes bytes;
    struct em_plan plan;
    const char *file;
    int r;

    if (options->arguments.count != 1)
        return em_fail(error, EM_USAGE, NULL, "apply takes one plan file; fix and repack write one with --dry-run --plan FILE");
    file = options->arguments.items[0];
    r = em_read_file_at(AT_FDCWD, file, EM_MAX_JSON, options->arena, &bytes, error);
    if (r == EM_OK)
        r = em_plan_from_json(&plan, options->arena, bytes, file, error);
    if (r < 0)
        return r;
    if (!plan.wheel)
        return apply(options, &plan, error);
    *status = em_repack_plan(options, &plan);
    return EM_OK;
}

int em_cmd_apply(int argc, char **argv)
{
    struct em_options options = { 0 };
    struct em_error error = EM_ERROR_INIT;
    int status = em_options_parse(&options, argc, argv, &em_apply_command);
    int r;

    if (status >= 0)
        goto done;
    status = EM_EXIT_OK;
    r = run(&options, &status, &error);
    if (r < 0)
        status = em_report_failure(&error, r);
done:
    em_options_free(&options);
    return status;
}
