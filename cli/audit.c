#include "cli/survey.h"

#include <string.h>

const struct em_command em_audit_command = {
    .name = "audit",
    .arguments = "[TARGET...]",
    .summary = "What will fail to load, and why, as the dynamic loader would decide; writes nothing",
    .example = "elfmend audit .venv",
    .details = "TARGET is a virtual environment, a conda prefix, a --target directory, any directory, a wheel, or one object.\n"
               "A wheel is looked at as it would be installed, with what it requires and --with its siblings. Without TARGET:\n"
               "$VIRTUAL_ENV, else ./.venv. Exit status 1 if a finding is at or above --fail-on.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_FILTER | EM_TAKES_JOBS | EM_TAKES_KNOWLEDGE | EM_TAKES_WITH | EM_TAKES_GPU,
    .run = em_cmd_audit,
};

/* Sums over all targets of a run. */
struct totals {
    size_t errors, warnings, notes, objects;
    uint64_t bytes_read;
    double seconds;
    int status;
};

static void add_totals(struct totals *totals, const struct em_survey *survey, const struct em_options *options)
{
    const struct em_findings *findings = &survey->findings;

    totals->errors += em_count_findings(findings, EM_SEVERITY_ERROR);
    totals->warnings += em_count_findings(findings, EM_SEVERITY_WARNING);
    totals->notes += em_count_findings(findings, EM_SEVERITY_NOTE);
    totals->objects += survey->diagnosis.objects;
    totals->bytes_read += survey->diagnosis.bytes_read;
    totals->seconds += survey->seconds;
    if (em_status_of(findings, options) > totals->status)
        totals->status = em_status_of(findings, options);
}

static void print_summary(const struct totals *totals, const struct em_options *options)
{
    if (options->quiet)
        return;
    if (totals->errors + totals->warnings > 0)
        putchar('\n');
    printf("%zu error%s, %zu warning%s", totals->errors, em_plural(totals->errors), totals->warnings,
           em_plural(totals->warnings));
    if (totals->notes > 0)
        printf(", %zu note%s%s", totals->notes, em_plural(totals->notes), options->verbose ? "" : " (--verbose shows them)");
    printf(" in %zu object%s; %.1f MB read\n", totals->objects, em_plural(totals->objects), (double)totals->bytes_read / 1e6);
}

static int audit_text(struct em_options *options, const struct em_strings *targets, struct totals *totals,
                      struct em_error *error)
{
    em_vec_each (const char *, target, targets) {
        struct em_survey survey;
        int r = em_survey_run(&survey, options, *target, error);

        if (r == EM_OK) {
            if (targets->count > 1)
                printf("%s%s:\n", target == targets->items ? "" : "\n", em_plain(*target));
            em_print_findings(&survey.findings, &survey.env, options);
            if (!options->quiet)
                em_print_frameworks(&survey.diagnosis.frameworks);
            add_totals(totals, &survey, options);
        }
        em_survey_free(&survey);
        if (r < 0)
            return r;
    }
    print_summary(totals, options);
    return EM_OK;
}

static json_t *summary_json(const struct totals *totals)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "error", (json_int_t)totals->errors, "warning",
                     (json_int_t)totals->warnings, "note", (json_int_t)totals->notes, "objects", (json_int_t)totals->objects,
                     "bytes_read", (json_int_t)totals->bytes_read, "seconds", totals->seconds);
}

static int audit_json(struct em_options *options, const struct em_strings *targets, struct totals *totals,
                      struct em_error *error)
{
    em_cleanup_text struct em_text findings = { 0 };
    json_t *world = NULL, *places = json_array(), *place;
    int r = EM_OK;

    em_vec_each (const char *, target, targets) {
        struct em_survey survey;

        r = em_survey_run(&survey, options, *target, error);
        if (r == EM_OK) {
            if (!world)
                world = em_world_json(&survey.world);
            place = em_target_json(&survey.env);
            json_object_set_new(place, "frameworks", em_frameworks_json(&survey.diagnosis.frameworks));
            json_array_append_new(places, place);
            em_vec_each (struct em_finding, finding, &survey.findings)
                if (em_is_shown(finding, options))
                    em_json_item_add(&findings, em_finding_json(finding, &survey.env));
            add_totals(totals, &survey, options);
        }
        em_survey_free(&survey);
        if (r < 0)
            break;
    }
    if (r < 0) {
        json_decref(world);
        json_decref(places);
        return r;
    }
    return em_json_print_items(json_pack("{s:s, s:o, s:o, s:o, s:o}", "schema", "elfmend.audit/1", "world", world, "targets",
                                         places, "findings", json_array(), "summary", summary_json(totals)),
                               "findings", &findings) == EM_EXIT_OK
               ? EM_OK
               : em_fail(error, EM_IO, NULL, "the report cannot be written");
}

int em_cmd_audit(int argc, char **argv)
{
    struct em_options options;
    struct em_error error = EM_ERROR_INIT;
    struct em_strings targets = { 0 };
    struct totals totals = { 0 };
    int status = em_options_parse(&options, argc, argv, &em_audit_command);
    int r;

    if (status >= 0)
        goto done;
    r = em_options_targets(&options, &targets, &error);
    if (r == EM_OK)
        r = options.json ? audit_json(&options, &targets, &totals, &error) : audit_text(&options, &targets, &totals, &error);
    status = r == EM_OK ? totals.status : em_report_failure(&error, r);
done:
    em_options_free(&options);
    return status;
}
