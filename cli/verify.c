#include "bundle/diagnose/integrity.h"
#include "bundle/plan/undone.h"
#include "bundle/wheel/wheel.h"
#include "cli/survey.h"

#include <string.h>
#include <time.h>

const struct em_command em_verify_command = {
    .name = "verify",
    .arguments = "[TARGET...]",
    .summary = "RECORD against disk, both ways: changed, missing, unlisted, owned twice; writes nothing",
    .example = "elfmend verify .venv",
    .details =
        "Reads and hashes every file that a RECORD lists. TARGET is as for audit; without it: $VIRTUAL_ENV, else ./.venv.\n"
        "In a conda prefix its conda-meta counts like a RECORD.\n"
        "A changed file is a warning (EM601), a missing library an error (EM602), a file of two distributions that\n"
        "disagree about it a warning (EM206); files that no RECORD lists (EM603) are notes, which --verbose shows.\n"
        "What elfmend has changed itself is a note too; a repair that somebody has undone since is a warning (EM605).\n"
        "Exit status 1 if a finding is at or above --fail-on.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_FILTER | EM_TAKES_JOBS,
    .run = em_cmd_verify,
};

/* One target: read, verified, and what came of it. */
struct verified {
    struct em_tree *tree;
    struct em_wheel *wheel;
    struct em_installed packed; /* of a wheel */
    struct em_env env;
    struct em_findings findings;
    size_t files;
    uint64_t bytes_read;
};

struct totals {
    size_t errors, warnings, notes, files, distributions;
    uint64_t bytes_read;
    int status;
};

static bool has_record(const struct em_env *env)
{
    em_vec_each (struct em_distribution *, distribution, &env->distributions)
        if ((*distribution)->has_record)
            return true;
    return env->conda.count > 0;
}

/* What is wrong with the files, and our own part in that. */
static int add_findings(struct verified *verified, const struct em_options *options, const struct em_deviations *deviations)
{
    struct em_trail trail = { 0 };
    int r = EM_OK;

    if (!verified->wheel)
        r = em_survey_trail(&trail, options, &verified->env);
    if (r < 0)
        return r;
    em_vec_each (const struct em_deviation, deviation, deviations) {
        struct em_finding finding;

        r = em_finding_of_deviation(&finding, options->arena, deviation);
        /* All nvidia-*-cu12 list an empty nvidia/__init__.py: worth a word, and no more. */
        if (deviation->kind == EM_DEVIATION_SHARED && deviation->same_bytes)
            finding.severity = EM_SEVERITY_NOTE;
        if (r == EM_OK)
            r = em_undone_mark(&finding, options->arena, &verified->env, &trail);
        if (r == EM_OK)
            r = em_vec_push(options->arena, &verified->findings, finding);
        if (r < 0)
            return r;
    }
    return em_undone_judge(&verified->findings, options->arena, &verified->env, &trail);
}

/* A wheel as it is packed, and not as it would be installed: its RECORD is to list every member, and no other's RECORD counts. */
static int read_wheel(struct verified *verified, const struct em_options *options, const char *target, struct em_error *error)
{
    int r = em_wheel_open(&verified->wheel, options->arena, target, error);
    struct em_distribution *distribution;

    if (r == EM_OK)
        r = em_wheel_lay_out(&verified->packed, verified->wheel, verified->tree, error);
    if (r == EM_OK)
        r = em_env_read_wheel(&verified->env, options->arena, verified->packed.tree, verified->packed.site, target, error);
    if (r < 0)
        return r;
    distribution = em_wheel_distribution(verified->wheel, &verified->env);
    verified->env.distributions.count = 0;
    return distribution ? em_vec_push(options->arena, &verified->env.distributions, distribution) : EM_OK;
}

static void forget(struct verified *verified)
{
    em_wheel_uninstall(&verified->packed);
    em_wheel_close(verified->wheel);
    em_tree_close(verified->tree);
}

static int verify(struct verified *verified, const struct em_options *options, const char *target, struct em_error *error)
{
    const struct em_verify_options how = { .jobs = options->jobs, .hash = true, .unlisted = true };
    struct em_deviations deviations;
    int r;

    *verified = (struct verified){ 0 };
    r = em_tree_disk(&verified->tree, options->root, error);
    if (r == EM_OK)
        r = em_is_wheel_name(target) && !options->root
                ? read_wheel(verified, options, target, error)
                : em_env_read(&verified->env, options->arena, verified->tree, target, error);
    if (r == EM_OK && !verified->wheel)
        em_survey_warn_unfinished(&verified->env, options);
    if (r == EM_OK && !has_record(&verified->env))
        return em_fail(error, EM_UNSUPPORTED, target, "has no RECORD that it could be verified against");
    if (r == EM_OK)
        r = em_env_verify(&deviations, &verified->env, &how, &verified->bytes_read, error);
    if (r < 0)
        return r;
    verified->files = deviations.files;
    r = add_findings(verified, options, &deviations);
    return r < 0 ? r : em_filter_findings(&verified->findings, options, &verified->env, error);
}

/* Those whose files lie in the target. */
static size_t count_distributions(const struct em_env *env)
{
    size_t count = env->conda.count;

    em_vec_each (struct em_distribution *, distribution, &env->distributions)
        count += !em_env_is_beside(env, (*distribution)->site);
    return count;
}

static void add_totals(struct totals *totals, const struct verified *verified, const struct em_options *options)
{
    totals->errors += em_count_findings(&verified->findings, EM_SEVERITY_ERROR);
    totals->warnings += em_count_findings(&verified->findings, EM_SEVERITY_WARNING);
    totals->notes += em_count_findings(&verified->findings, EM_SEVERITY_NOTE);
    totals->files += verified->files;
    totals->distributions += count_distributions(&verified->env);
    totals->bytes_read += verified->bytes_read;
    if (em_status_of(&verified->findings, options) > totals->status)
        totals->status = em_status_of(&verified->findings, options);
}

static void print_summary(const struct totals *totals, const struct em_options *options)
{
    if (options->quiet)
        return;
    if (totals->errors + totals->warnings > 0 || (options->verbose && totals->notes > 0))
        putchar('\n');
    printf("%zu error%s, %zu warning%s", totals->errors, em_plural(totals->errors), totals->warnings,
           em_plural(totals->warnings));
    if (totals->notes > 0)
        printf(", %zu note%s%s", totals->notes, em_plural(totals->notes), options->verbose ? "" : " (--verbose shows them)");
    printf(" in %zu file%s of %zu distribution%s; %.1f MB hashed\n", totals->files, em_plural(totals->files),
           totals->distributions, em_plural(totals->distributions), (double)totals->bytes_read / 1e6);
}

static int verify_text(const struct em_options *options, const struct em_strings *targets, struct totals *totals,
                       struct em_error *error)
{
    em_vec_each (const char *, target, targets) {
        struct verified verified;
        int r = verify(&verified, options, *target, error);

        if (r == EM_OK) {
            if (targets->count > 1)
                printf("%s%s:\n", target == targets->items ? "" : "\n", *target);
            em_print_findings(&verified.findings, &verified.env, options);
            add_totals(totals, &verified, options);
        }
        forget(&verified);
        if (r < 0)
            return r;
    }
    print_summary(totals, options);
    return EM_OK;
}

static json_t *target_json(const struct verified *verified)
{
    json_t *target = em_target_json(&verified->env);

    json_object_del(target, "objects");
    json_object_set_new(target, "files", json_integer((json_int_t)verified->files));
    return target;
}

static int verify_json(const struct em_options *options, const struct em_strings *targets, struct totals *totals,
                       struct em_error *error)
{
    em_cleanup_text struct em_text findings = { 0 };
    json_t *places = json_array();
    int r = EM_OK;

    em_vec_each (const char *, target, targets) {
        struct verified verified;

        r = verify(&verified, options, *target, error);
        if (r == EM_OK) {
            json_array_append_new(places, target_json(&verified));
            /* Everything: who reads JSON can choose. */
            em_vec_each (struct em_finding, finding, &verified.findings)
                em_json_item_add(&findings, em_finding_json(finding, &verified.env));
            add_totals(totals, &verified, options);
        }
        forget(&verified);
        if (r < 0)
            break;
    }
    if (r < 0) {
        json_decref(places);
        return r;
    }
    r = em_json_print_items(json_pack("{s:s, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}}", "schema", "elfmend.verify/1", "targets",
                                      places, "findings", json_array(), "summary", "error", (json_int_t)totals->errors,
                                      "warning", (json_int_t)totals->warnings, "note", (json_int_t)totals->notes, "files",
                                      (json_int_t)totals->files, "bytes_read", (json_int_t)totals->bytes_read),
                            "findings", &findings);
    return r == EM_EXIT_OK ? EM_OK : em_fail(error, EM_IO, NULL, "the report cannot be written");
}

int em_cmd_verify(int argc, char **argv)
{
    struct em_options options = { 0 };
    struct em_error error = EM_ERROR_INIT;
    struct em_strings targets = { 0 };
    struct totals totals = { 0 };
    int status = em_options_parse(&options, argc, argv, &em_verify_command);
    int r;

    if (status >= 0)
        goto done;
    r = em_options_targets(&options, &targets, &error);
    if (r == EM_OK)
        r = options.json ? verify_json(&options, &targets, &totals, &error) : verify_text(&options, &targets, &totals, &error);
    status = r == EM_OK ? totals.status : em_report_failure(&error, r);
done:
    em_options_free(&options);
    return status;
}
