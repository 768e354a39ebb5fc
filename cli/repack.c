#include "bundle/wheel/repack.h"
#include "bundle/wheel/index.h"
#include "bundle/wheel/metadata.h"
#include "cli/steps.h"
#include "cli/survey.h"

#include <string.h>

const struct em_command em_repack_command = {
    .name = "repack",
    .arguments = "WHEEL... -o DIR",
    .summary = "The same repair on wheels, new files in DIR; never touches its input",
    .example = "elfmend repack dist/*.whl -o mended",
    .details =
        "A wheel is audited as it would be installed, with what it requires and --with its siblings; what is changed is "
        "written\n"
        "anew, everything else copied as it is packed. Without --source, paths lead to where the packages that bring the\n"
        "libraries will be, and METADATA requires these; with --source, libraries are copied in. A wheel with nothing to mend\n"
        "is left where it is. SOURCE_DATE_EPOCH is honoured. Exit status 1 if something is still wrong, 2 if a wheel was\n"
        "refused; the others are done all the same.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_FILTER | EM_TAKES_JOBS | EM_TAKES_KNOWLEDGE | EM_TAKES_SOURCE | EM_TAKES_STRATEGY |
               EM_TAKES_WITH | EM_TAKES_REPACK | EM_TAKES_DRY_RUN,
    .run = em_cmd_repack,
};

struct command {
    struct em_options options;
    struct em_tree *here;
    struct em_world world;
    struct em_knowledge knowledge;
    struct em_pins pins;
    struct em_filter filter; /* of the wheel at hand */
    struct em_repack_wish wish;
    json_t *wheels; /* NULL: text */
};

/* ---- what is wished ---- */

static int64_t source_date(void)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end;
    long long value = text && *text ? strtoll(text, &end, 10) : -1;

    return text && *text && *end == '\0' && value >= 0 ? value : -1;
}

static int check_usage(const struct command *command, struct em_error *error)
{
    const struct em_options *options = &command->options;

    if (options->arguments.count == 0)
        return em_fail(error, EM_USAGE, NULL, "repack takes one wheel or more");
    if (!options->output && !options->dry_run)
        return em_fail(error, EM_USAGE, NULL, "repack needs a directory for the new wheels: -o DIR");
    if (options->keep_name + !!options->local + !!options->build_tag > 1)
        return em_fail(error, EM_USAGE, NULL, "--local, --build-tag and --keep-name exclude each other");
    if (options->local && !em_metadata_is_local(options->local))
        return em_fail(error, EM_USAGE, NULL, "--local %s: letters, digits and single dots between them", options->local);
    if (options->build_tag && (strspn(options->build_tag, "0123456789") == 0 ||
                               strspn(options->build_tag, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.") !=
                                   strlen(options->build_tag)))
        return em_fail(error, EM_USAGE, NULL, "--build-tag %s: it begins with a digit, and letters and digits follow",
                       options->build_tag);
    if (options->plan)
        return em_fail(error, EM_USAGE, NULL, "--plan is for fix: a wheel's plan is carried out by repack itself");
    if (options->root)
        return em_fail(error, EM_USAGE, NULL, "--root is for what lies in an image; a wheel does not");
    return EM_OK;
}

static int open_sources(struct command *command, struct em_error *error)
{
    struct em_options *options = &command->options;
    int r = EM_OK;

    if (options->require_hashes) {
        r = em_pins_read(&command->pins, options->arena, options->require_hashes, error);
        command->wish.plan.pins = &command->pins;
    }
    em_vec_each (const char *, place, &options->sources) {
        struct em_source *source;

        if (r == EM_OK)
            r = em_source_open(&source, options->arena, command->here, *place, error);
        if (r == EM_OK)
            r = em_vec_push(options->arena, &command->wish.plan.sources, source);
    }
    return r;
}

static int prepare(struct command *command, struct em_error *error)
{
    struct em_options *options = &command->options;
    struct em_repack_wish *wish = &command->wish;
    int r = check_usage(command, error);

    /* What the result is must not depend on the shell that it was made in. */
    if (!options->has_ld_library_path)
        options->ld_library_path = NULL;
    if (r == EM_OK)
        r = em_tree_disk(&command->here, NULL, error);
    if (r == EM_OK)
        r = em_options_world(options, &command->here, &command->world, NULL, error);
    if (r == EM_OK)
        r = em_knowledge_load(&command->knowledge, options->arena, options->knowledge, error);
    if (r == EM_OK)
        r = open_sources(command, error);
    if (r == EM_OK)
        r = em_filter_init(&command->filter, options, NULL, error);
    if (r < 0)
        return r;
    wish->plan.wants = em_filter_wants;
    wish->plan.wants_context = &command->filter;
    wish->output = options->output;
    wish->local = options->keep_name || options->build_tag ? NULL : options->local ? options->local : "mend.1";
    wish->build = options->build_tag;
    wish->with = &options->with;
    wish->world = &command->world;
    wish->knowledge = &command->knowledge;
    wish->jobs = options->jobs;
    wish->epoch = source_date();
    wish->dry_run = options->dry_run;
    wish->digest = options->json || !options->quiet;
    wish->plan.strategy = em_strategy_named(options->strategy);
    wish->plan.tag = options->runpath ? EM_TAG_RUNPATH : EM_TAG_KEEP;
    wish->plan.allow_unverified = options->allow_unverified;
    return options->output && !options->dry_run ? em_make_directories(options->output, 0777, error) : EM_OK;
}

/* ---- what came of it ---- */

static void print_result(const struct command *command, const struct em_repack *result, const struct em_findings *left,
                         const struct em_env *env)
{
    char hex[EM_SHA256_HEX_SIZE];

    printf("%s:\n", result->wheel->given);
    em_vec_each (const struct em_step, step, &result->plan.steps)
        em_print_step(step, true);
    em_vec_each (const char *, requirement, &result->words.requirements)
        printf("  require   %s\n", *requirement);
    em_vec_each (const struct em_licence, licence, &result->licences)
        printf("  licence   %s\n", licence->file);
    if (result->lowered)
        printf("  tags      %s\n            was %s: %s\n", result->lowered, result->wheel->tags, result->lowered_by);
    em_vec_each (const char *, name, &result->dropped)
        printf("  drop      %s   (a signature of what is no longer so)\n", *name);
    em_vec_each (const struct em_refusal, refusal, &result->plan.refused)
        printf("  refused   %s\n            %s\n", refusal->finding, refusal->why);
    if (result->plan.steps.count == 0)
        puts("  nothing to do");
    em_print_findings(left, env, &command->options);
    if (!result->written)
        return;
    em_sha256_hex(&result->sha256, hex);
    printf("  written   %s   (%llu bytes)\n            --hash=sha256:%s\n", result->path, (unsigned long long)result->size,
           hex);
}

static json_t *strings_json(const struct em_strings *strings)
{
    json_t *array = json_array();

    em_vec_each (const char *, string, strings)
        json_array_append_new(array, json_string(*string));
    return array;
}

static json_t *result_json(const struct command *command, const struct em_repack *result, const struct em_findings *left,
                           const struct em_env *env)
{
    em_cleanup_text struct em_text text = { 0 };
    json_t *plan = NULL, *findings = json_array();
    char hex[EM_SHA256_HEX_SIZE];

    if (em_plan_to_json(&result->plan, &text) == EM_OK)
        plan = json_loadb(text.data, text.size, 0, NULL);
    em_vec_each (struct em_finding, finding, left)
        if (em_is_shown(finding, &command->options))
            json_array_append_new(findings, em_finding_json(finding, env));
    em_sha256_hex(&result->sha256, hex);
    return json_pack("{s:s, s:s, s:s?, s:s?, s:I, s:o, s:o, s:s?, s:o, s:o?, s:o}", "path", result->wheel->given, "status",
                     result->written            ? "written"
                     : result->plan.steps.count ? "planned"
                                                : "unchanged",
                     "output", result->written ? result->path : NULL, "sha256", result->written ? hex : NULL, "size",
                     (json_int_t)result->size, "requires", strings_json(&result->words.requirements), "licences",
                     strings_json(&result->words.license_files), "tags", result->lowered, "dropped",
                     strings_json(&result->dropped), "plan", plan, "findings", findings);
}

static int report(struct command *command, struct em_repack *result, int *status, struct em_error *error)
{
    struct em_study *study = result->written ? &result->proof : &result->study;
    struct em_findings left = study->diagnosis.findings, none = { 0 };
    int r;

    r = em_filter_findings(&left, &command->options, &study->env, error);
    if (r < 0)
        return r;
    *status = em_status_of(&left, &command->options);
    /* What a dry run would mend is in its plan. */
    if (command->wheels)
        json_array_append_new(command->wheels, result_json(command, result, &left, &study->env));
    else if (!command->options.quiet)
        print_result(command, result, command->wish.dry_run && result->plan.steps.count > 0 ? &none : &left, &study->env);
    return EM_OK;
}

static int failed(struct command *command, const char *path, struct em_error *error, int r)
{
    if (r == EM_NO_MEMORY)
        em_fail(error, r, path, "out of memory");
    if (command->wheels)
        json_array_append_new(command->wheels, json_pack("{s:s, s:s, s:s}", "path", path, "status", "refused", "why",
                                                         error->sentence[0] ? error->sentence : em_err_name(error->code)));
    return em_report_error(error);
}

/* One wheel after the other: each uses all cores where there is work for them. One that is refused does not stop the rest. */
static int repack_one(struct command *command, const char *path)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_error error = EM_ERROR_INIT;
    struct em_repack result;
    int status = EM_EXIT_OK, r;

    if (!arena)
        return failed(command, path, &error, EM_NO_MEMORY);
    command->filter.env = &result.study.env;
    r = em_repack(&result, arena, path, &command->wish, &error);
    if (r == EM_OK && (command->wish.dry_run || command->wheels))
        r = em_plan_seal(&result.plan, arena, command->options.jobs, &error);
    if (r == EM_OK)
        r = report(command, &result, &status, &error);
    if (r == EM_OK && command->options.index)
        r = em_index_add(command->options.index, arena, result.written ? result.path : path, &error);
    em_repack_free(&result);
    return r < 0 ? failed(command, path, &error, r) : status;
}

int em_cmd_repack(int argc, char **argv)
{
    struct command command = { 0 };
    struct em_error error = EM_ERROR_INIT;
    int status = em_options_parse(&command.options, argc, argv, &em_repack_command);
    int r;

    if (status >= 0)
        goto done;
    r = prepare(&command, &error);
    if (r == EM_NO_MEMORY)
        em_fail(&error, r, NULL, "out of memory");
    status = r < 0 ? em_report_error(&error) : EM_EXIT_OK;
    if (r < 0)
        goto done;
    command.wheels = command.options.json ? json_array() : NULL;
    em_vec_each (const char *, path, &command.options.arguments) {
        int one = repack_one(&command, *path);

        status = one > status ? one : status;
    }
    if (command.wheels && em_json_print(json_pack("{s:s, s:o}", "schema", "elfmend.repack/1", "wheels", command.wheels)))
        status = EM_EXIT_FAILED;
done:
    em_tree_close(command.here);
    em_options_free(&command.options);
    return status;
}
