#include "cli/explain.h"

#include "bundle/diagnose/opens.h"
#include "cli/survey.h"

#include <string.h>

const struct em_command em_explain_command = {
    .name = "explain",
    .arguments = "TARGET NAME",
    .summary = "Why NAME, a soname or a file, resolves to what it does for those in TARGET who ask for it",
    .example = "elfmend explain .venv libcudnn_cnn.so.9",
    .details =
        "Each object in TARGET that needs or opens NAME is shown with the directories that the loader tries for it, in "
        "order, the\n"
        "rule that leads there, and the one change that would alter the outcome. For a library that is opened and not found\n"
        "what people try is tried: LD_LIBRARY_PATH, a copy or a link, a preload; which of them helps, and why.\n"
        "A wheel is looked at as it would be installed, with what it requires and --with its siblings.\n"
        "Exit status: 0 all who ask find it, 1 somebody does not, 2 bad input.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_KNOWLEDGE | EM_TAKES_WITH,
    .run = em_cmd_explain,
};

/* What stands at index of a list, of the objects or of the edges, is about this object. */
static int add_place(struct em_explain *explain, struct em_places *places, const struct em_env_object *object, size_t index)
{
    const struct em_loadable *file = em_loader_look(explain->loader, object->path);

    return file ? em_places_add(places, explain->options.arena, file, index) : EM_NO_MEMORY;
}

static int index_objects(struct em_explain *explain)
{
    const struct em_env_object *objects = explain->env.objects.items;
    int r = EM_OK;

    explain->by_name.arena = explain->options.arena;
    for (size_t i = 0; r == EM_OK && i < explain->env.objects.count; i++) {
        const char *name = em_path_basename(objects[i].path);

        r = add_place(explain, &explain->objects_by_file, &objects[i], i);
        if (r == EM_OK && !em_map_get(&explain->by_name, name))
            r = em_map_put(&explain->by_name, name, &objects[i]);
    }
    em_places_sort(&explain->objects_by_file);
    return r;
}

/* ---- who asks ---- */

static bool has(const struct em_strings *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], name) == 0)
            return true;
    }
    return false;
}

/* A file of the target stands for its SONAME, or for its name if it has none. */
static int find_name(struct em_explain *explain, const char *given, struct em_error *error)
{
    const struct em_loadable *file;
    char *real;

    explain->given = explain->name = given;
    if (!strchr(given, '/'))
        return EM_OK;
    if (em_tree_real_path(explain->env.tree, explain->options.arena, given, &real) < 0)
        return em_fail(error, EM_NOT_FOUND, given, "is not there; give a file, or the name that is asked for");
    file = em_loader_look(explain->loader, real);
    if (!file)
        return EM_NO_MEMORY;
    if (file->code != EM_OK)
        return em_fail(error, file->code, given, "%s", file->problem);
    explain->name = file->object.soname ? file->object.soname : em_path_basename(given);
    return EM_OK;
}

/* By the tables and the strings they point at, or by its own strings if it calls dlopen itself. asked: the names by which it does, the
 * one that is explained among them; empty if it does not. */
static int opens(struct em_explain *explain, const struct em_env_object *object, const struct em_loadable *file,
                 struct em_strings *asked)
{
    struct em_arena *arena = explain->options.arena;
    em_cleanup_file struct em_file *opened = NULL;
    struct em_openings openings;
    struct em_strings names = { 0 };
    uint64_t bytes = 0;
    bool imports = false;
    int r = em_openings_of(&openings, arena, &explain->knowledge, explain->env.tree, object->path, &file->object, NULL, &bytes,
                           NULL);

    *asked = (struct em_strings){ 0 };
    for (size_t i = 0; r == EM_OK && i < openings.count; i++)
        if (has(&openings.items[i].names, explain->name))
            *asked = openings.items[i].names;
    if (asked->count > 0 || r == EM_NO_MEMORY || em_tree_open(explain->env.tree, object->path, &opened) < 0)
        return r == EM_NO_MEMORY ? r : EM_OK;
    if (em_object_imports(&imports, &opened->reader, "dlopen", NULL) < 0 || !imports)
        return EM_OK;
    if (em_names_scan(&names, arena, &opened->reader, NULL) < 0)
        return EM_OK;
    return has(&names, explain->name) ? em_vec_push(arena, asked, explain->name) : EM_OK;
}

static int add_edge(struct em_explain *explain, const struct em_env_object *object, const char *name,
                    const struct em_strings *asked)
{
    struct em_explain_edge edge = { .object = object, .name = name, .dlopens = asked != NULL };

    if (asked)
        edge.names = *asked;
    return em_vec_push(explain->options.arena, &explain->edges, edge);
}

static int find_askers(struct em_explain *explain)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < explain->env.objects.count; i++) {
        const struct em_env_object *object = &explain->env.objects.items[i];
        const struct em_loadable *file = em_loader_look(explain->loader, object->path);
        struct em_strings asked = { 0 };

        if (!file)
            return EM_NO_MEMORY;
        if (file->code != EM_OK)
            continue;
        for (size_t j = 0; r == EM_OK && j < file->object.needed.count; j++) {
            if (strcmp(file->object.needed.items[j], explain->name) == 0 ||
                (strchr(file->object.needed.items[j], '/') &&
                 strcmp(em_path_basename(file->object.needed.items[j]), explain->name) == 0))
                r = add_edge(explain, object, file->object.needed.items[j], NULL);
        }
        if (r == EM_OK)
            r = opens(explain, object, file, &asked);
        if (r == EM_OK && asked.count > 0)
            r = add_edge(explain, object, explain->name, &asked);
    }
    if (r == EM_OK && explain->edges.count == 0)
        r = add_edge(explain, NULL, explain->name, &(struct em_strings){ 0 });
    for (size_t i = 0; r == EM_OK && i < explain->edges.count; i++)
        if (explain->edges.items[i].object)
            r = add_place(explain, &explain->edges_by_file, explain->edges.items[i].object, i);
    em_places_sort(&explain->edges_by_file);
    return r;
}

/* ---- what they get ---- */

/* The first of its names that is found, as the object asks for them in turn; else the one that is explained. */
static int ask(struct em_explain_edge *edge, struct em_process *process, const struct em_loaded *from,
               struct em_request **answer)
{
    int r = EM_OK;

    em_vec_each (const char *, name, &edge->names) {
        r = em_process_ask(process, *name, from, EM_VIA_DLOPEN, answer);
        if (r < 0 || !em_request_is_unanswered(*answer))
            return r;
    }
    return em_process_ask(process, edge->name, from, EM_VIA_DLOPEN, answer);
}

static int keep_answer(struct em_explain *explain, struct em_explain_edge *edge, const struct em_request *request)
{
    const struct em_request *kept = em_request_keep(explain->options.arena, request);

    return kept ? em_vec_push(explain->options.arena, &edge->answers, kept) : EM_NO_MEMORY;
}

/* One root in a fresh process, where the edges that it leads to get an answer. */
struct attempt {
    struct em_explain *explain;
    const struct em_env_object *root;
    const struct em_explain_edge *only; /* NULL: all */
    struct em_process *process;
    struct em_open open;
};

/* The edges of one file: by made, a request that it made, or by what it opens, once loaded. */
static int answer(const struct attempt *attempt, const struct em_loaded *from, const struct em_request *made)
{
    struct em_explain *explain = attempt->explain;
    const struct em_places *places = &explain->edges_by_file;
    int r = EM_OK;

    for (size_t at = em_places_first(places, from->file); at < places->count && places->items[at].file == from->file; at++) {
        struct em_explain_edge *edge = &explain->edges.items[places->items[at].index];
        struct em_request *request = NULL;

        if ((attempt->only && edge != attempt->only) || edge->dlopens != !made || edge->tried_in == explain->roots ||
            (made && strcmp(made->name, edge->name) != 0))
            continue;
        if (!made)
            r = ask(edge, attempt->process, from, &request);
        if (r == EM_OK)
            r = keep_answer(explain, edge, made ? made : request);
        if (r < 0)
            return r;
        edge->tried_in = explain->roots;
        if (!edge->root)
            edge->root = attempt->root;
    }
    return EM_OK;
}

static int try_root_in(struct em_arena *scratch, struct em_explain *explain, const struct em_env_object *root,
                       struct em_explain_edge *only)
{
    struct attempt attempt = { .explain = explain, .root = root, .only = only };
    struct em_process *process;
    int r = em_process_fork(&process, explain->base, scratch);

    if (r == EM_OK)
        r = em_process_open(process, root->path, NULL, &attempt.open);
    if (r < 0)
        return r;
    attempt.process = process;
    explain->roots++;
    for (size_t i = attempt.open.first_request; r == EM_OK && i < process->requests.count; i++) {
        const struct em_request *made = process->requests.items[i];

        if (made->from && made->via == EM_VIA_NEEDED)
            r = answer(&attempt, made->from, made);
    }
    for (size_t i = 0; r == EM_OK && attempt.open.ok && i < process->objects.count; i++)
        r = answer(&attempt, process->objects.items[i], NULL);
    if (only && !attempt.open.ok)
        only->alone_why = attempt.open.why;
    return r;
}

static int try_root(struct em_explain *explain, const struct em_env_object *root, struct em_explain_edge *only)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    int r;

    if (!scratch)
        return EM_NO_MEMORY;
    em_arena_bound(scratch, EM_MAX_PROCESS);
    r = try_root_in(scratch, explain, root, only);
    return em_arena_is_full(scratch) ? em_loader_fail_memory(explain->error, explain->env.given, EM_MAX_PROCESS) : r;
}

static int find_answers(struct em_explain *explain)
{
    int r = EM_OK;

    /* As the modules that Python imports lead there. */
    for (size_t i = 0; r == EM_OK && i < explain->env.objects.count; i++) {
        if (em_env_is_extension(explain->env.objects.items[i].path))
            r = try_root(explain, &explain->env.objects.items[i], NULL);
    }
    for (size_t i = 0; r == EM_OK && i < explain->edges.count; i++) {
        struct em_explain_edge *edge = &explain->edges.items[i];
        struct em_request *request;

        if (edge->answers.count > 0)
            continue;
        if (edge->object) {
            r = try_root(explain, edge->object, edge);
            continue;
        }
        r = em_process_ask(explain->base, edge->name, NULL, EM_VIA_DLOPEN, &request);
        if (r == EM_OK)
            r = keep_answer(explain, edge, request);
    }
    return r;
}

/* ---- what people try ---- */

/* Only where an opening does not come to the target's own file. */
static int try_attempts(struct em_explain *explain, struct em_error *error)
{
    int r = EM_OK;

    em_vec_each (struct em_explain_edge, edge, &explain->edges) {
        const struct em_request *request = edge->answers.count ? edge->answers.items[0] : NULL;
        struct em_attempt_wish wish = { .env = &explain->env,
                                        .world = &explain->world,
                                        .knowledge = &explain->knowledge,
                                        .root = edge->root,
                                        .object = edge->object,
                                        .names = edge->names };

        for (size_t i = 0; i < edge->names.count && !wish.provider; i++)
            wish.provider = em_map_get(&explain->by_name, edge->names.items[i]);
        if (!request || !wish.root || !wish.object || !wish.provider || wish.provider == wish.object)
            continue;
        if (request->result == EM_RESULT_MISSING || request->rule == EM_RULE_CACHE || request->rule == EM_RULE_DEFAULT)
            r = em_attempts_make(&edge->attempts, explain->options.arena, &wish, error);
        if (r < 0)
            break;
    }
    return r;
}

static int read_target(struct em_explain *explain, struct em_error *error)
{
    struct em_options *options = &explain->options;
    int r = em_env_read(&explain->env, options->arena, explain->tree, options->arguments.items[0], error);

    if (r == EM_OK)
        em_survey_warn_unfinished(&explain->env, options);
    if (r == EM_OK)
        r = em_options_world(options, &explain->tree, &explain->world, explain->env.python, error);
    return r < 0 ? r : em_knowledge_load(&explain->knowledge, options->arena, options->knowledge, error);
}

/* As audit looks at it: installed, with its siblings and what it requires. */
static int read_wheel(struct em_explain *explain, struct em_error *error)
{
    struct em_options *options = &explain->options;
    const struct em_study_wish wish = { .with = &options->with, .install_only = true };
    int r = em_options_wheel_world(options, &explain->tree, &explain->world, options->arguments.items[0], error);

    if (r == EM_OK)
        r = em_knowledge_load(&explain->knowledge, options->arena, options->knowledge, error);
    if (r == EM_OK)
        r = em_wheel_open(&explain->wheel, options->arena, options->arguments.items[0], error);
    if (r == EM_OK)
        r = em_study_run(&explain->study, options->arena, explain->wheel, &explain->world, &explain->knowledge, &wish, error);
    explain->env = explain->study.env;
    explain->world = explain->study.world;
    return r;
}

static int prepare(struct em_explain *explain, struct em_error *error)
{
    struct em_options *options = &explain->options;
    int r;

    if (options->arguments.count != 2)
        return em_fail(error, EM_USAGE, NULL, "explain: it takes a TARGET and a NAME; `elfmend explain --help` has an example");
    r = em_tree_disk(&explain->tree, options->root, error);
    if (r == EM_OK)
        r = em_is_wheel_name(options->arguments.items[0]) && !options->root ? read_wheel(explain, error)
                                                                            : read_target(explain, error);
    if (r < 0)
        return r;
    explain->loader = em_loader_new(&explain->world, options->arena);
    if (!explain->loader)
        return EM_NO_MEMORY;
    r = em_process_new(&explain->base, explain->loader, explain->env.python, error);
    return r < 0 ? r : find_name(explain, options->arguments.items[1], error);
}

/* The same bounds as a diagnosis has. */
static int look_through(struct em_explain *explain)
{
    const uint64_t most = EM_MAX_DIAGNOSIS + explain->env.objects.count * EM_MAX_DIAGNOSIS_OBJECT;
    int r;

    em_arena_bound(explain->options.arena, most);
    r = index_objects(explain);
    if (r == EM_OK)
        r = find_askers(explain);
    if (r == EM_OK)
        r = find_answers(explain);
    if (em_arena_is_full(explain->options.arena))
        r = em_loader_fail_memory(explain->error, explain->env.given, most);
    else if (r == EM_LIMIT && !explain->error->sentence[0])
        r = em_loader_fail_limit(explain->error, explain->env.given);
    if (r == EM_OK)
        r = try_attempts(explain, explain->error);
    em_arena_bound(explain->options.arena, EM_ARENA_UNBOUND);
    return r;
}

int em_cmd_explain(int argc, char **argv)
{
    struct em_error error = EM_ERROR_INIT;
    struct em_explain explain = { .error = &error };
    int status = em_options_parse(&explain.options, argc, argv, &em_explain_command), r;

    if (status >= 0) {
        em_options_free(&explain.options);
        return status;
    }
    r = prepare(&explain, &error);
    if (r == EM_OK)
        r = look_through(&explain);
    if (r < 0) {
        error.code = r;
        status = em_report_error(&error);
    } else {
        status = em_explain_report(&explain);
    }
    em_study_free(&explain.study);
    em_wheel_close(explain.wheel);
    em_tree_close(explain.tree);
    em_options_free(&explain.options);
    return status;
}
