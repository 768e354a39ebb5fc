#include "cli/repack_report.h"

#include "bundle/plan/licences.h"
#include "cli/steps.h"

#include <stdio.h>
#include <string.h>

/* ---- what the plan says of where it is proved ---- */

/* For somebody who stands elsewhere. What is not there yet, a directory to be made, has no links to follow. */
static int make_absolute(const char **absolute, struct em_arena *arena, const char *place, struct em_error *error)
{
    em_cleanup_free char *real = NULL, *here = NULL;

    *absolute = NULL;
    if (!place)
        return EM_OK;
    real = realpath(place, NULL);
    if (!real && place[0] != '/') {
        here = getcwd(NULL, 0);
        if (!here)
            return em_fail_errno(error, place, "cannot be named by an absolute path");
    }
    *absolute = real ? em_arena_strdup(arena, real) : em_path_join(arena, here ? here : "/", place);
    return *absolute ? EM_OK : EM_NO_MEMORY;
}

int em_repack_describe(struct em_plan_wheel *wheel, const struct em_options *options, struct em_error *error)
{
    struct em_arena *arena = options->arena;
    int r = make_absolute(&wheel->output, arena, options->output, error);

    if (r == EM_OK)
        r = make_absolute(&wheel->knowledge, arena, options->knowledge, error);
    em_vec_each (const char *, place, &options->with) {
        const char *absolute = NULL;

        if (r == EM_OK)
            r = make_absolute(&absolute, arena, *place, error);
        if (r == EM_OK)
            r = em_vec_push(arena, &wheel->with, absolute);
    }
    wheel->world = options->world;
    if (r == EM_OK && em_world_is_file(options->world))
        r = make_absolute(&wheel->world, arena, options->world, error);
    wheel->libc = options->libc;
    wheel->ld_library_path = options->has_ld_library_path ? options->ld_library_path : NULL;
    return r;
}

/* ---- what came of it ---- */

static void print_result(const struct em_repack *result, const struct em_findings *left, const struct em_env *env,
                         const struct em_options *options)
{
    const struct em_plan_wheel *change = result->plan.wheel;

    printf("%s:\n", em_plain(result->wheel->given));
    em_vec_each (const struct em_step, step, &result->plan.steps)
        em_print_step(step, true);
    em_vec_each (const char *, requirement, &change->requires)
        printf("  require   %s\n", em_plain(*requirement));
    if (change->tags)
        printf("  tags      %s\n            was %s: %s\n", em_plain(change->tags), em_plain(result->wheel->tags),
               change->tags_reason ? em_plain(change->tags_reason) : "as the plan says");
    em_vec_each (const char *, name, &result->dropped)
        printf("  drop      %s   (a signature of what is no longer so)\n", em_plain(*name));
    em_vec_each (const char *, sentence, &result->tidied)
        printf("  tidy      %s\n", em_plain(*sentence));
    em_vec_each (const struct em_refusal, refusal, &result->plan.refused)
        printf("  refused   %s\n            %s\n", em_plain(refusal->finding), em_plain(refusal->why));
    if (result->plan.steps.count == 0)
        puts("  nothing to do");
    em_print_findings(left, env, options);
    if (!result->written && !result->copied)
        return;
    printf("  %s   %s   (%llu bytes)\n", result->written ? "written" : "copied ", em_plain(result->path),
           (unsigned long long)result->size);
}

void em_repack_report_indexed(const struct em_indexed *indexed, const struct em_options *options)
{
    if (!options->json && !options->quiet)
        printf("            %s==%s \\\n            --hash=sha256:%s\n", em_plain(indexed->name), em_plain(indexed->version),
               indexed->sha256);
}

static json_t *result_json(const struct em_repack *result, const struct em_findings *left, const struct em_env *env,
                           const struct em_options *options)
{
    const struct em_plan_wheel *change = result->plan.wheel;
    em_cleanup_text struct em_text text = { 0 };
    json_t *plan = NULL, *findings = json_array(), *requires = json_array(), *licences = json_array(), *dropped = json_array();
    const bool there = result->written || result->copied;
    json_t *tidied = json_array();
    char hex[EM_SHA256_HEX_SIZE];

    if (em_plan_to_json(&result->plan, &text) == EM_OK)
        plan = json_loadb(text.data, text.size, 0, NULL);
    em_vec_each (const char *, requirement, &change->requires)
        json_array_append_new(requires, json_string(*requirement));
    em_vec_each (const struct em_step, step, &result->plan.steps)
        if (em_step_licence(step))
            json_array_append_new(licences, json_string(em_step_licence(step)));
    em_vec_each (const char *, name, &result->dropped)
        json_array_append_new(dropped, json_string(*name));
    em_vec_each (const char *, sentence, &result->tidied)
        json_array_append_new(tidied, json_string(*sentence));
    em_vec_each (struct em_finding, finding, left)
        if (em_is_shown(finding, options))
            json_array_append_new(findings, em_finding_json(finding, env));
    em_sha256_hex(&result->sha256, hex);
    return json_pack("{s:s, s:s, s:s?, s:s?, s:I, s:o, s:o, s:s?, s:o, s:o, s:o?, s:o}", "path", result->wheel->given, "status",
                     result->written            ? "written"
                     : result->copied           ? "copied"
                     : result->plan.steps.count ? "planned"
                                                : "unchanged",
                     "output", there ? result->path : NULL, "sha256", there ? hex : NULL, "size", (json_int_t)result->size,
                     "requires", requires, "licences", licences, "tags", change->tags, "dropped", dropped, "tidied", tidied,
                     "plan", plan, "findings", findings);
}

int em_repack_report(struct em_repack *result, const struct em_options *options, json_t *wheels, int *status,
                     struct em_error *error)
{
    struct em_study *study = result->written ? &result->proof : &result->study;
    struct em_findings left = study->diagnosis.findings, none = { 0 };
    /* A plan that was made before, and that wants nothing: nobody has looked at the wheel. */
    int r = study->wheel ? em_filter_findings(&left, options, &study->env, error) : EM_OK;

    if (r < 0)
        return r;
    *status = em_status_of(&left, options);
    /* What a dry run would mend is in its plan. */
    if (wheels)
        json_array_append_new(wheels, result_json(result, &left, &study->env, options));
    else if (!options->quiet)
        print_result(result, options->dry_run && result->plan.steps.count > 0 ? &none : &left, &study->env, options);
    return EM_OK;
}

int em_repack_report_failure(const char *path, json_t *wheels, struct em_error *error, int r)
{
    if (r == EM_NO_MEMORY)
        em_fail(error, r, path, "out of memory");
    if (wheels)
        json_array_append_new(wheels, json_pack("{s:s, s:s, s:s}", "path", path, "status", "refused", "why",
                                                error->sentence[0] ? error->sentence : em_err_name(error->code)));
    return em_report_error(error);
}
