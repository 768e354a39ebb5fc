#include "bundle/loader/loader.h"
#include "cli/cli.h"
#include "cli/loading.h"

#include <string.h>

const struct em_command em_trace_command = {
    .name = "trace",
    .arguments = "FILE...",
    .summary = "What the dynamic loader does with FILEs, opened in order in one fresh process",
    .example = "elfmend trace .venv/lib/python3.11/site-packages/ctranslate2/_ext.cpython-311-x86_64-linux-gnu.so",
    .details = "Each FILE is opened as dlopen does it, from a bare program; with --exec, FILE is the program, and what is "
               "traced is its\n"
               "start; with --each, no FILE sees what another one has loaded. A FILE without a slash that is not in the "
               "working directory is a name that the loader searches.\n"
               "Exit status: 0 all is found, 1 something is missing or refused, 2 bad input.\n",
    .accepts = EM_TAKES_WORLD | EM_TAKES_EXEC,
    .run = em_cmd_trace,
};

struct trace {
    struct em_options options;
    struct em_tree *tree;
    struct em_world world;
    struct em_loader *loader;
    struct em_process *process;
    struct {
        EM_VEC(struct em_open);
    } opens;
    struct em_strings files;
    size_t first, count; /* of files: those of this process */
    bool ok;
};

/* ---- input ---- */

/* The FILE in the tree's terms: an image's files may be named from inside or from outside of it. A bare name that is a file here is
 * that file, since dlopen would search for it. */
static int find_file(struct trace *trace, const char *given, const char **file, struct em_error *error)
{
    struct em_arena *arena = trace->options.arena;
    const char *root = trace->options.root;
    struct em_node node;
    const char *path = given;

    if (root && em_path_is_below(em_path_normal(arena, given), em_path_normal(arena, root)))
        path = em_arena_printf(arena, "/%s", em_path_after(em_path_normal(arena, given), em_path_normal(arena, root)));
    else if (root && given[0] != '/' && strchr(given, '/'))
        path = em_arena_printf(arena, "/%s", given);
    if (!path)
        return EM_NO_MEMORY;
    if (!strchr(path, '/')) {
        if (!root && em_tree_stat(trace->tree, path, &node) == 0)
            path = em_arena_printf(arena, "./%s", path);
        *file = path;
        return path ? EM_OK : EM_NO_MEMORY;
    }
    *file = path;
    if (em_tree_stat(trace->tree, path, &node) < 0)
        return em_fail(error, EM_NOT_FOUND, given, "is not there");
    return EM_OK;
}

/* Bad input ends all before anything is said: a FILE that is no object is a mistake of the user's, not an answer. */
static int check_file(struct trace *trace, const char *file, struct em_error *error)
{
    const struct em_loadable *object;

    if (!strchr(file, '/'))
        return EM_OK;
    object = em_loader_look(trace->loader, file);
    if (!object)
        return EM_NO_MEMORY;
    return object->code == EM_OK ? EM_OK : em_fail(error, object->code, file, "%s", object->problem);
}

/* The first FILE that is an object says which machine's loader is meant, and a program names its own. */
static const char *likeness(struct trace *trace)
{
    return trace->files.count && strchr(trace->files.items[0], '/') ? trace->files.items[0] : NULL;
}

static int prepare(struct trace *trace, struct em_error *error)
{
    struct em_options *options = &trace->options;
    int r;

    if (options->arguments.count == 0)
        return em_fail(error, EM_USAGE, NULL, "trace: no FILE; `elfmend trace --help` has an example");
    if (options->exec && options->arguments.count > 1 && !options->each)
        return em_fail(error, EM_USAGE, NULL,
                       "trace --exec: one FILE at a time, or --each, since each program is a process of its own");
    r = em_tree_disk(&trace->tree, options->root, error);
    for (size_t i = 0; r == EM_OK && i < options->arguments.count; i++) {
        const char *file;

        r = find_file(trace, options->arguments.items[i], &file, error);
        if (r == EM_OK && options->exec && !strchr(file, '/'))
            return em_fail(error, EM_NOT_FOUND, file, "is not there");
        if (r == EM_OK)
            r = em_vec_push(options->arena, &trace->files, file);
    }
    if (r == EM_OK)
        r = em_options_world(options, &trace->tree, &trace->world, likeness(trace), error);
    if (r < 0)
        return r;
    trace->loader = em_loader_new(&trace->world, options->arena);
    if (!trace->loader)
        return EM_NO_MEMORY;
    for (size_t i = 0; r == EM_OK && i < trace->files.count; i++)
        r = check_file(trace, trace->files.items[i], error);
    return r;
}

static int run(struct trace *trace, size_t first, size_t count, struct em_error *error)
{
    const char *program = trace->options.exec ? trace->files.items[first] : NULL;
    int r = em_process_new(&trace->process, trace->loader, program, error);

    if (r < 0)
        return r;
    trace->first = first;
    trace->count = count;
    trace->opens.count = 0;
    if (program)
        r = em_vec_push(trace->options.arena, &trace->opens, trace->process->start);
    for (size_t i = 0; !program && r == EM_OK && i < count; i++) {
        struct em_open open;

        r = em_process_open(trace->process, trace->files.items[first + i], NULL, &open);
        if (r == EM_OK)
            r = em_vec_push(trace->options.arena, &trace->opens, open);
        /* A process that died opens nothing any more. */
        if (r == EM_OK && open.aborts)
            break;
    }
    trace->ok = trace->opens.count == count;
    em_vec_each (struct em_open, open, &trace->opens)
        trace->ok &= open->ok;
    return r;
}

/* ---- JSON ---- */

static json_t *objects_json(const struct trace *trace)
{
    json_t *list = json_array();

    for (size_t i = 0; i < trace->process->objects.count; i++) {
        const struct em_loaded *object = trace->process->objects.items[i];
        json_t *item = json_object();

        json_object_set_new(item, "path", em_json_string(object->name));
        json_object_set_new(item, "soname", em_json_string(object->file->object.soname));
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *versions_json(const struct trace *trace)
{
    json_t *list = json_array();

    em_vec_each (struct em_open, open, &trace->opens) {
        em_vec_each (struct em_version_problem, problem, &open->versions) {
            json_t *item = json_object();

            json_object_set_new(item, "from", em_json_string(problem->from->name));
            json_object_set_new(item, "file", em_json_string(problem->file));
            json_object_set_new(item, "version", em_json_string(problem->version));
            json_object_set_new(item, "provider", em_json_string(problem->provider ? problem->provider->name : NULL));
            json_object_set_new(item, "weak", json_boolean(problem->weak));
            json_object_set_new(item, "why", em_json_string(problem->why));
            json_array_append_new(list, item);
        }
    }
    return list;
}

static json_t *opens_json(const struct trace *trace)
{
    json_t *list = json_array();

    for (size_t i = 0; i < trace->opens.count; i++) {
        const struct em_open *open = &trace->opens.items[i];
        json_t *item = json_object();

        json_object_set_new(item, "file", em_json_string(trace->files.items[trace->first + i]));
        json_object_set_new(item, "ok", json_boolean(open->ok));
        json_object_set_new(item, "why", em_json_string(open->ok ? NULL : open->why));
        json_object_set_new(item, "aborts", json_boolean(open->aborts));
        json_array_append_new(list, item);
    }
    return list;
}

static void process_json(const struct trace *trace, json_t *document)
{
    json_t *requests = json_array();

    for (size_t i = 0; i < trace->process->requests.count; i++)
        json_array_append_new(requests, em_loading_request(trace->process->requests.items[i]));
    json_object_set_new(document, "ok", json_boolean(trace->ok));
    json_object_set_new(document, "opens", opens_json(trace));
    json_object_set_new(document, "objects", objects_json(trace));
    json_object_set_new(document, "requests", requests);
    json_object_set_new(document, "versions", versions_json(trace));
}

/* ---- text ---- */

static void print_open(const struct trace *trace, size_t index)
{
    const struct em_open *open = &trace->opens.items[index];
    bool on = em_color_on(&trace->options, stdout);
    const struct em_requests *requests = &trace->process->requests;
    size_t end = index + 1 < trace->opens.count ? trace->opens.items[index + 1].first_request : requests->count;
    const struct em_loaded *from = NULL;

    fputs(em_paint(on, "bold"), stdout);
    em_put_plain(trace->files.items[trace->first + index], stdout);
    fputs(em_paint(on, "reset"), stdout);
    printf(open->ok ? "\n" : ": %s%s%s\n", em_paint(on, "red"), open->ok ? "" : em_plain(open->why), em_paint(on, "reset"));
    for (size_t i = open->first_request; i < end; i++) {
        const struct em_request *request = requests->items[i];

        if (request->via == EM_VIA_OPEN && request->result != EM_RESULT_MISSING)
            continue;
        /* What is found again says little, unless all is asked for. */
        if (request->result == EM_RESULT_REUSED && !trace->options.verbose)
            continue;
        if (request->from != from && request->from) {
            printf("  ");
            em_put_plain(request->from->name, stdout);
            putchar('\n');
            from = request->from;
        }
        em_loading_print(request, on);
    }
    em_vec_each (struct em_version_problem, problem, &open->versions) {
        printf("  ");
        em_put_plain(problem->from->name, stdout);
        printf(": %s%s", problem->weak ? "weak " : "", em_plain(problem->why));
        if (problem->provider) {
            printf(" in ");
            em_put_plain(problem->provider->name, stdout);
        }
        putchar('\n');
    }
}

static void print_text(const struct trace *trace)
{
    for (size_t i = 0; i < trace->opens.count; i++)
        print_open(trace, i);
    if (trace->opens.count < trace->count)
        printf("The process is dead by now: %zu more not opened\n", trace->count - trace->opens.count);
    if (trace->options.verbose) {
        puts("mapped, in order:");
        for (size_t i = 0; i < trace->process->objects.count; i++) {
            printf("  ");
            em_put_plain(trace->process->objects.items[i]->name, stdout);
            putchar('\n');
        }
    }
}

/* All FILEs in one process, or each in its own: then the document has a list of what it would have for each. */
static int run_all(struct trace *trace, struct em_error *error, int *status)
{
    size_t step = trace->options.each ? 1 : trace->files.count;
    json_t *document = trace->options.json ? json_pack("{s:s}", "schema", "elfmend.trace/1") : NULL;
    json_t *each = document && trace->options.each ? json_array() : NULL;
    bool ok = true;
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < trace->files.count; i += step) {
        json_t *part = each ? json_object() : document;

        r = run(trace, i, step, error);
        ok &= trace->ok;
        if (r == EM_OK && part)
            process_json(trace, part);
        else if (r == EM_OK)
            print_text(trace);
        if (each)
            json_array_append_new(each, part);
    }
    if (each) {
        json_object_set_new(document, "ok", json_boolean(ok));
        json_object_set_new(document, "each", each);
    }
    *status = ok ? EM_EXIT_OK : EM_EXIT_FINDINGS;
    if (r < 0)
        json_decref(document);
    else if (document && em_json_print(document) != EM_EXIT_OK)
        *status = EM_EXIT_FAILED;
    return r;
}

int em_cmd_trace(int argc, char **argv)
{
    struct em_error error = EM_ERROR_INIT;
    struct trace trace = { 0 };
    int status = em_options_parse(&trace.options, argc, argv, &em_trace_command), r;

    if (status >= 0) {
        em_options_free(&trace.options);
        return status;
    }
    r = prepare(&trace, &error);
    if (r == EM_OK)
        r = run_all(&trace, &error, &status);
    if (r < 0) {
        error.code = r;
        status = em_report_error(&error);
    }
    em_tree_close(trace.tree);
    em_options_free(&trace.options);
    return status;
}
