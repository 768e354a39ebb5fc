#include "cli/repack.h"

#include "bundle/wheel/metadata.h"
#include "cli/beside.h"
#include "cli/repack_report.h"
#include "cli/steps.h"

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
        "is left where it is, but with --copy-unchanged, for who wants one wheel out for each in, as cibuildwheel does.\n"
        "Before anything is written each member is held against RECORD, and a wheel with one that differs is refused; that\n"
        "takes longer than all the rest, and is remembered as long as the file stays as it is.\n"
        "SOURCE_DATE_EPOCH is honoured. Exit status 1 if something is still wrong, 2 if a wheel was refused; the others are\n"
        "done all the same.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_FILTER | EM_TAKES_JOBS | EM_TAKES_KNOWLEDGE | EM_TAKES_SOURCE | EM_TAKES_STRATEGY |
               EM_TAKES_WITH | EM_TAKES_OUTPUT | EM_TAKES_REPACK | EM_TAKES_DRY_RUN,
    .run = em_cmd_repack,
};

struct command {
    struct em_options options;
    struct em_tree *here;
    struct em_world world, musl; /* musl: for wheels that want it; read with the first */
    struct em_knowledge knowledge;
    struct em_pins pins;
    struct em_filter filter; /* of the wheel at hand */
    struct em_repack_wish wish;
    json_t *wheels;         /* NULL: text */
    int status;             /* the worst so far */
    struct em_strings made; /* names of new wheels */
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
    if (options->plan && options->arguments.count > 1)
        return em_fail(error, EM_USAGE, NULL, "--plan takes one wheel: a plan is of one");
    if (options->root)
        return em_fail(error, EM_USAGE, NULL, "--root is for what lies in an image; a wheel does not");
    return EM_OK;
}

static int prepare(struct command *command, struct em_error *error)
{
    struct em_options *options = &command->options;
    struct em_repack_wish *wish = &command->wish;
    int r;

    /* What the result is must not depend on the shell that it was made in. */
    if (!options->has_ld_library_path)
        options->ld_library_path = NULL;
    r = em_tree_disk(&command->here, NULL, error);
    if (r == EM_OK)
        r = em_options_world(options, &command->here, &command->world, NULL, error);
    if (r == EM_OK)
        r = em_knowledge_load(&command->knowledge, options->arena, options->knowledge, error);
    if (r == EM_OK)
        r = em_open_sources(options, command->here, NULL, &command->pins, &wish->plan, error);
    if (r == EM_OK)
        r = em_filter_init(&command->filter, options, NULL, error);
    if (r < 0)
        return r;
    wish->plan.wants = em_filter_wants;
    wish->plan.wants_context = &command->filter;
    wish->output = options->output;
    wish->local = options->keep_name || options->build_tag ? NULL : options->local ? options->local : "mend.1";
    wish->build = options->build_tag;
    wish->copy_unchanged = options->copy_unchanged;
    wish->with = &options->with;
    wish->knowledge = &command->knowledge;
    wish->jobs = options->jobs;
    wish->made = &command->made;
    wish->epoch = source_date();
    wish->dry_run = options->dry_run;
    wish->digest = options->json;
    wish->sync = options->index != NULL;
    wish->plan.strategy = em_strategy_named(options->strategy);
    wish->plan.tag = options->runpath ? EM_TAG_RUNPATH : EM_TAG_KEEP;
    wish->plan.allow_unverified = options->allow_unverified;
    if (options->dry_run)
        return EM_OK;
    r = options->output ? em_make_directories(options->output, 0777, error) : EM_OK;
    return r == EM_OK && options->index ? em_make_directories(options->index, 0777, error) : r;
}

static int choose_world(struct command *command, const char *wheel, struct em_error *error)
{
    const struct em_options *options = &command->options;

    command->wish.world = &command->world;
    if (!em_options_is_for_musl(options, &command->world, wheel))
        return EM_OK;
    command->wish.world = &command->musl;
    return command->musl.tree ? EM_OK : em_options_musl_world(options, &command->here, &command->musl, error);
}

static int add_to_index(const struct em_options *options, struct em_arena *arena, const char *wheel, struct em_error *error)
{
    struct em_indexed indexed;
    int r = em_index_add(&indexed, options->index, arena, wheel, error);

    if (r == EM_OK)
        em_repack_report_indexed(&indexed, options);
    return r;
}

/* One that is refused does not stop the rest. */
static int repack_one(struct command *command, const char *path)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text json = { 0 };
    struct em_options *options = &command->options;
    struct em_error error = EM_ERROR_INIT;
    struct em_repack result;
    int status = EM_EXIT_OK, r;

    if (!arena)
        return em_repack_report_failure(path, command->wheels, &error, EM_NO_MEMORY);
    command->filter.env = &result.study.env;
    result = (struct em_repack){ 0 };
    r = choose_world(command, path, &error);
    if (r == EM_OK)
        r = em_repack(&result, arena, path, &command->wish, &error);
    if (r == EM_OK)
        r = em_repack_describe(result.plan.wheel, options, &error);
    if (r == EM_OK && (options->dry_run || command->wheels))
        r = em_plan_seal(&result.plan, arena, options->jobs, &error);
    if (r == EM_OK && options->plan)
        r = em_spell_plan(&result.plan, &json, &error);
    if (r == EM_OK && options->plan)
        r = em_write_plan(options->plan, &json, &error);
    if (r == EM_OK)
        r = em_repack_report(&result, options, command->wheels, &status, &error);
    if (r == EM_OK && options->index && !options->dry_run)
        r = add_to_index(options, arena, result.written || result.copied ? result.path : path, &error);
    if (r == EM_OK && (result.written || result.copied))
        r = em_vec_push(options->arena, &command->made, (const char *)em_arena_strdup(options->arena, result.file_name));
    em_repack_free(&result);
    command->filter.env = NULL;
    return r < 0 ? em_repack_report_failure(path, command->wheels, &error, r) : status;
}

/* ---- several wheels ---- */

static int work(void *context, size_t index)
{
    struct command *command = context;
    int status;

    /* What is in it so far is of others. */
    if (command->wheels)
        json_array_clear(command->wheels);
    status = repack_one(command, command->options.arguments.items[index]);
    if (command->wheels)
        json_dumpf(json_array_get(command->wheels, 0), stdout, 0);
    return status;
}

static void done(void *context, size_t index, int status, const struct em_text *output)
{
    struct command *command = context;
    json_t *wheel = command->wheels ? json_loads(output->data ? output->data : "", 0, NULL) : NULL;

    command->status = status > command->status ? status : command->status;
    if (!command->wheels)
        fwrite(output->data ? output->data : "", 1, output->size, stdout);
    else if (wheel)
        json_array_append_new(command->wheels, wheel);
    else
        json_array_append_new(command->wheels,
                              json_pack("{s:s, s:s, s:s}", "path", command->options.arguments.items[index], "status", "refused",
                                        "why", "the process that worked on it was ended"));
}

/* Two wheels of one name: of what they become there can be one. */
static bool has_twins(const struct em_strings *paths)
{
    em_vec_each (const char *, path, paths)
        for (const char **other = paths->items; other < path; other++)
            if (strcmp(em_path_basename(*other), em_path_basename(*path)) == 0)
                return true;
    return false;
}

/* One alone has all cores; several are done beside each other, and share them. */
static int repack_all(struct command *command, struct em_error *error)
{
    struct em_options *options = &command->options;
    const size_t count = options->arguments.count;
    const unsigned cores = options->jobs ? options->jobs : em_pool_cores();
    const unsigned beside = has_twins(&options->arguments) ? 1 : cores < count ? cores : (unsigned)count;

    if (beside > 1) {
        options->jobs = command->wish.jobs = cores / beside;
        if (options->color == EM_COLOR_AUTO)
            options->color = em_color_on(options, stdout) ? EM_COLOR_ALWAYS : EM_COLOR_NEVER;
        return em_beside(beside, count, work, done, command, error);
    }
    em_vec_each (const char *, path, &options->arguments) {
        const int status = repack_one(command, *path);

        command->status = status > command->status ? status : command->status;
    }
    return EM_OK;
}

static int print_json(const struct command *command, int status)
{
    if (command->wheels && em_json_print(json_pack("{s:s, s:o}", "schema", "elfmend.repack/1", "wheels", command->wheels)))
        return EM_EXIT_FAILED;
    return status;
}

int em_cmd_repack(int argc, char **argv)
{
    struct command command = { 0 };
    struct em_error error = EM_ERROR_INIT;
    int status = em_options_parse(&command.options, argc, argv, &em_repack_command);
    int r;

    if (status >= 0)
        goto done;
    r = check_usage(&command, &error);
    if (r == EM_OK)
        r = prepare(&command, &error);
    command.wheels = r == EM_OK && command.options.json ? json_array() : NULL;
    if (r == EM_OK)
        r = repack_all(&command, &error);
    status = r < 0 ? em_report_failure(&error, r) : command.status;
    status = print_json(&command, status);
done:
    em_tree_close(command.here);
    em_options_free(&command.options);
    return status;
}

/* ---- a plan that was made before ---- */

/* As if the options were those that it was made with. */
static int adopt(struct command *command, const struct em_options *options, const struct em_plan_wheel *wheel,
                 struct em_error *error)
{
    command->options = *options;
    command->options.output = options->output ? options->output : wheel->output;
    command->options.with = wheel->with;
    command->options.world = wheel->world;
    command->options.libc = wheel->libc;
    command->options.knowledge = wheel->knowledge;
    command->options.ld_library_path = wheel->ld_library_path;
    command->options.has_ld_library_path = wheel->ld_library_path != NULL;
    if (options->no_undo)
        return em_fail(error, EM_USAGE, NULL, "--no-undo is for an environment: a wheel stays as it is beside the new one");
    if (!command->options.output)
        return em_fail(error, EM_USAGE, NULL, "the plan names no directory for the new wheel: -o DIR");
    return prepare(command, error);
}

int em_repack_plan(struct em_options *options, const struct em_plan *plan)
{
    struct command command = { .wheels = options->json ? json_array() : NULL };
    struct em_error error = EM_ERROR_INIT;
    struct em_repack result = { 0 };
    int status = EM_EXIT_OK, r = adopt(&command, options, plan->wheel, &error);

    if (r == EM_OK)
        r = choose_world(&command, plan->wheel->path, &error);
    if (r == EM_OK)
        r = em_repack_apply(&result, options->arena, plan, &command.wish, &error);
    if (r == EM_OK)
        r = em_repack_report(&result, &command.options, command.wheels, &status, &error);
    if (r == EM_OK && options->index)
        r = add_to_index(options, options->arena, result.written ? result.path : plan->wheel->path, &error);
    em_repack_free(&result);
    if (r < 0)
        status = em_repack_report_failure(plan->target, command.wheels, &error, r);
    status = print_json(&command, status);
    em_tree_close(command.here);
    return status;
}
