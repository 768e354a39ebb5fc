#include "bundle/diagnose/loading.h"

#include <stdio.h>
#include <string.h>

/* What a run works with; the results are in loading. */
struct run {
    struct em_loading *loading;
    struct em_arena *arena;
    struct em_env *env;
    const struct em_world *world;
    const struct em_knowledge *knowledge;
    struct em_diagnose_cache *cache;
    struct em_error *error;

    struct em_process *fresh;      /* the interpreter as started: forked for each root */
    struct em_arena *scratch;      /* what is gone when the next root is opened: its processes */
    bool *met;                     /* by index in the environment: some process has loaded the object */
    struct em_map by_request;      /* index of the object and name -> index into cases plus 1 */
    struct em_openings **openings; /* by the same index: an object's strings are read once */
};

#define IDENTITY_SIZE 48

static void write_identity(char text[IDENTITY_SIZE], const struct em_node *node)
{
    snprintf(text, IDENTITY_SIZE, "%llx:%llx", (unsigned long long)node->device, (unsigned long long)node->inode);
}

const struct em_env_object *em_loading_object(const struct em_loading *loading, const struct em_node *node)
{
    char identity[IDENTITY_SIZE];

    write_identity(identity, node);
    return em_map_get(&loading->objects, identity);
}

const char *em_case_name(const struct em_case *item)
{
    return item->opening ? item->opening->wanted : item->request->name;
}

static bool is_unanswered(const struct em_request *request)
{
    return request->result == EM_RESULT_MISSING || request->result == EM_RESULT_REFUSED;
}

bool em_case_is_missing(const struct em_case *item)
{
    return item->unreachable || is_unanswered(item->request);
}

bool em_case_is_by_luck(const struct em_case *item, const struct em_loading *loading, const struct em_knowledge *knowledge)
{
    const struct em_request *request = item->request;

    if (em_case_is_missing(item) || !request->file || em_loading_object(loading, &request->file->node))
        return false;
    /* A path relative to the object leads there on every machine; what is loaded already was somebody's own request. */
    if (request->rule == EM_RULE_SONAME || request->rule == EM_RULE_PATH ||
        (request->entry && (strncmp(request->entry, "$ORIGIN", 7) == 0 || strncmp(request->entry, "${ORIGIN}", 9) == 0)))
        return false;
    return em_knowledge_package(knowledge, em_case_name(item), NULL) != NULL;
}

bool em_loading_is_link(struct em_arena *arena, struct em_tree *tree, const char *path, const struct em_env_object *object)
{
    char *here = em_path_dirname(arena, path), *real_here, *real;
    struct em_node node;

    if (strcmp(path, object->path) == 0 || em_tree_stat_link(tree, path, &node) < 0 || node.kind != EM_NODE_LINK)
        return false;
    if (!here || em_tree_real_path(tree, arena, here, &real_here) < 0 || em_tree_real_path(tree, arena, path, &real) < 0)
        return false;
    real = em_path_dirname(arena, real);
    return real && strcmp(real, real_here) != 0;
}

/* The object stands for itself: its path would be long, and there may be a hundred thousand. */
static char *import_key(struct em_arena *arena, const struct em_env_object *object, const struct em_distribution *distribution)
{
    return em_arena_printf(arena, "%zx\n%s", (size_t)object, distribution ? distribution->normalized : "");
}

static size_t index_of(const struct run *run, const struct em_env_object *object)
{
    return (size_t)(object - run->env->objects.items);
}

/* Puts value under a key that was made in the scratch arena and is copied if it is new. */
static int put(struct run *run, struct em_map *map, const char *key, const void *value)
{
    if (!key)
        return EM_NO_MEMORY;
    if (!em_map_get(map, key) && !(key = em_arena_strdup(run->arena, key)))
        return EM_NO_MEMORY;
    return em_map_put(map, key, value);
}

bool em_loading_is_imported(const struct em_loading *loading, const struct em_env_object *object,
                            const struct em_distribution *distribution)
{
    char *key = import_key(loading->imported.arena, object, distribution);

    return key && em_map_get(&loading->imported, key);
}

static int index_objects(struct run *run)
{
    run->loading->objects.arena = run->arena;
    em_vec_each (struct em_env_object, object, &run->env->objects) {
        char identity[IDENTITY_SIZE];
        char *key;

        write_identity(identity, &object->node);
        if (em_map_get(&run->loading->objects, identity))
            continue;
        key = em_arena_strdup(run->arena, identity);
        if (!key || em_map_put(&run->loading->objects, key, object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* Missing is worse than an answer from outside, which is worse than one from the environment. */
static int badness(const struct run *run, const struct em_case *item)
{
    if (em_case_is_missing(item))
        return 2;
    return item->request->file && em_loading_object(run->loading, &item->request->file->node) ? 0 : 1;
}

/* What a plan must not lose: the answer, without the search that led to it. */
static int keep_edge(struct run *run, const struct em_case *item)
{
    const struct em_request *request = item->request;
    bool answered = !em_case_is_missing(item);
    struct em_edge edge = {
        .object = item->object->path,
        .name = request->name,
        .via = request->via,
        .result = item->unreachable ? EM_RESULT_MISSING : request->result,
        .rule = request->rule,
        .path = answered ? request->path : NULL,
        .root = item->root->path,
        .owner = answered && request->owner ? request->owner->name : NULL,
    };

    return em_vec_push(run->arena, &run->loading->edges, edge);
}

/* As a case that outlives its process. */
static int keep_request(struct run *run, struct em_case *item)
{
    item->request = em_request_keep(run->arena, item->request);
    return item->request ? EM_OK : EM_NO_MEMORY;
}

static int keep_case(struct run *run, struct em_case item)
{
    char *key = em_arena_printf(run->scratch, "%zx\n%s", index_of(run, item.object), em_case_name(&item));
    struct em_case *known;
    size_t index;
    int r;

    if (!key || keep_edge(run, &item) < 0)
        return EM_NO_MEMORY;
    index = (size_t)(uintptr_t)em_map_get(&run->by_request, key);
    if (index > 0) {
        known = &run->loading->cases.items[index - 1];
        /* A consumer that an import reaches counts before an object opened by itself. */
        item.inherited = item.inherited || known->inherited;
        if (badness(run, &item) > badness(run, known)) {
            r = keep_request(run, &item);
            if (r < 0)
                return r;
            *known = item;
        }
        known->inherited = item.inherited;
        return EM_OK;
    }
    r = keep_request(run, &item);
    if (r == EM_OK)
        r = em_vec_push(run->arena, &run->loading->cases, item);
    return r < 0 ? r : put(run, &run->by_request, key, (void *)(uintptr_t)run->loading->cases.count);
}

static struct em_openings *openings_of(struct run *run, const struct em_env_object *object, const struct em_object *elf, int *r)
{
    struct em_openings *openings = run->openings[index_of(run, object)];

    *r = EM_OK;
    if (openings)
        return openings;
    openings = em_new(run->arena, struct em_openings);
    *r = EM_NO_MEMORY;
    if (!openings)
        return NULL;
    *r = em_openings_of(openings, run->arena, run->knowledge, run->env->tree, object->path, elf, run->cache,
                        &run->loading->bytes_read, run->error);
    if (*r < 0)
        return NULL;
    run->openings[index_of(run, object)] = openings;
    return openings;
}

/* Asks for an opening's names in turn, as the object would; the last answer is the one to the wanted name if none is found. */
static int ask_opening(struct em_process *process, const struct em_loaded *caller, const struct em_opening *opening,
                       struct em_request **answer)
{
    struct em_request *wanted = NULL;

    em_vec_each (const char *, name, &opening->names) {
        int r = em_process_ask(process, *name, caller, EM_VIA_DLOPEN, answer);

        if (r < 0)
            return r;
        if (!is_unanswered(*answer))
            return EM_OK;
        if (strcmp(*name, opening->wanted) == 0)
            wanted = *answer;
    }
    if (wanted)
        *answer = wanted;
    return EM_OK;
}

/* A member that another member opens can be had only if that one can. It is then asked for in that one's own process. */
static bool through_is_missing(const struct em_openings *openings, const bool *missing, const struct em_opening *opening)
{
    for (size_t i = 0; i < openings->count; i++) {
        const char *member = openings->items[i].entry->member;

        if (member && strcmp(member, opening->entry->through) == 0)
            return missing[i];
    }
    return false;
}

/* Of each object of a process: DT_RPATH of an object that loaded it, or of the main program, found something for it. NULL: no memory. */
static const bool *find_heirs(struct run *run, const struct em_process *process)
{
    bool *heirs = em_arena_array(run->scratch, process->objects.count + 1, sizeof *heirs);

    em_vec_each (struct em_request *, at, &process->requests) {
        const struct em_request *request = *at;

        if (heirs && request->from && request->rule == EM_RULE_RPATH && request->owner && request->owner != request->from)
            heirs[request->from->index] = true;
    }
    return heirs;
}

/* Writes down what objects of the environment asked for since the open began. */
static int keep_requests(struct run *run, const struct em_process *process, const struct em_open *open, const bool *heirs,
                         struct em_case base)
{
    for (size_t i = open->first_request; i < process->requests.count; i++) {
        struct em_case item = base;
        int r;

        item.request = process->requests.items[i];
        item.object = item.request->from && item.request->from->file
                          ? em_loading_object(run->loading, &item.request->from->file->node)
                          : NULL;
        if (!item.object)
            continue;
        item.inherited = heirs[item.request->from->index];
        r = keep_case(run, item);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* What answers an opening is opened as a root of its own elsewhere, under its own path. Found through a link it has another $ORIGIN,
 * so that path is tried here. */
static int open_through_link(struct run *run, struct em_process *process, const struct em_loaded *caller,
                             const struct em_request *answer, struct em_case base)
{
    const struct em_env_object *object = answer->file ? em_loading_object(run->loading, &answer->file->node) : NULL;
    struct em_process *fork;
    struct em_open open;
    const bool *heirs;
    int r;

    if (!object || !em_loading_is_link(run->scratch, run->env->tree, answer->path, object))
        return EM_OK;
    r = em_process_fork(&fork, process, run->scratch);
    if (r < 0)
        return r;
    fork->keep_going = true;
    r = em_process_open(fork, answer->name, fork->objects.items[caller->index], &open);
    if (r < 0)
        return r;
    heirs = find_heirs(run, fork);
    return heirs ? keep_requests(run, fork, &open, heirs, base) : EM_NO_MEMORY;
}

static int ask_openings(struct run *run, struct em_process *process, const struct em_loaded *loaded, struct em_case base)
{
    int r;
    struct em_openings *openings = openings_of(run, base.object, &loaded->file->object, &r);
    bool *missing;

    if (!openings)
        return r;
    missing = em_arena_array(run->scratch, openings->count, sizeof *missing);
    if (!missing)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < openings->count; i++) {
        struct em_case item = base;
        struct em_request *answer;

        item.opening = &openings->items[i];
        if (item.opening->entry->through) {
            if (!through_is_missing(openings, missing, item.opening))
                continue;
            item.unreachable = true;
        }
        r = ask_opening(process, loaded, item.opening, &answer);
        if (r < 0)
            return r;
        item.request = answer;
        missing[i] = em_case_is_missing(&item) || em_case_is_by_luck(&item, run->loading, run->knowledge);
        r = keep_case(run, item);
        if (r == EM_OK && !missing[i])
            r = open_through_link(run, process, loaded, answer, base);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* Writes down what the objects of the environment asked for while root was opened. */
static int gather(struct run *run, struct em_process *process, const struct em_open *open, const struct em_env_object *root,
                  bool by_import)
{
    const bool *heirs = find_heirs(run, process);
    int r = heirs ? keep_requests(run, process, open, heirs, (struct em_case){ .root = root, .by_import = by_import })
                  : EM_NO_MEMORY;

    if (r < 0)
        return r;
    for (size_t i = 0; i < process->objects.count; i++) {
        const struct em_loaded *loaded = process->objects.items[i];
        struct em_case item = { .root = root, .by_import = by_import };

        item.object = loaded->file ? em_loading_object(run->loading, &loaded->file->node) : NULL;
        if (!item.object)
            continue;
        item.inherited = heirs[i];
        run->met[index_of(run, item.object)] = true;
        if (by_import && put(run, &run->loading->imported, import_key(run->scratch, item.object, root->owner), run) < 0)
            return EM_NO_MEMORY;
        if (by_import)
            run->loading->reached[index_of(run, item.object)] = true;
        r = ask_openings(run, process, loaded, item);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int note_versions(struct run *run, const struct em_open *open, bool by_import)
{
    em_vec_each (const struct em_version_problem, problem, &open->versions) {
        struct em_version_miss miss = { .version = problem->version, .why = problem->why, .by_import = by_import };
        char *key;

        miss.object = problem->from->file ? em_loading_object(run->loading, &problem->from->file->node) : NULL;
        if (problem->weak || !miss.object)
            continue;
        key = em_arena_printf(run->scratch, "%zx\nversion\n%s", index_of(run, miss.object),
                              problem->version ? problem->version : problem->why);
        if (!key)
            return EM_NO_MEMORY;
        if (em_map_get(&run->by_request, key))
            continue;
        if (put(run, &run->by_request, key, run) < 0 || em_vec_push(run->arena, &run->loading->versions, miss) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int note_refused(struct run *run, const struct em_env_object *root, const struct em_request *request, bool by_import)
{
    struct em_refused_root refused = { .root = root, .by_import = by_import };

    refused.request = em_request_keep(run->arena, request);
    return refused.request ? em_vec_push(run->arena, &run->loading->refused, refused) : EM_NO_MEMORY;
}

static int open_root(struct run *run, const struct em_env_object *root, bool by_import)
{
    struct em_process *process;
    struct em_open open;
    int r = em_process_fork(&process, run->fresh, run->scratch);

    if (r < 0)
        return r;
    /* Past the first miss too: the second one behind it is worth knowing. */
    process->keep_going = true;
    r = em_process_open(process, root->path, NULL, &open);
    if (r == EM_OK)
        r = em_vec_push(run->arena, &run->loading->roots,
                        (struct em_root){ .object = root, .by_import = by_import, .ok = open.ok });
    if (r < 0)
        return r;
    if (!open.ok && open.failure && !open.failure->from && open.failure->result == EM_RESULT_REFUSED)
        r = note_refused(run, root, open.failure, by_import);
    if (r == EM_OK)
        r = note_versions(run, &open, by_import);
    if (r < 0)
        return r;
    return gather(run, process, &open, root, by_import);
}

bool em_loading_is_library(const struct em_world *world, const struct em_loadable *file)
{
    return file && file->code == EM_OK && file->object.type == ET_DYN && file->object.has_dynamic &&
           file->object.machine == world->machine && file->object.is64 == world->is64 && !file->object.interpreter;
}

/* A broken library of an environment is a finding; a broken one that the user named is no target at all. */
static int note_unreadable(struct run *run, const struct em_env_object *object, const struct em_loadable *file)
{
    struct em_unreadable unreadable = { .object = object, .problem = file->problem ? file->problem : em_err_name(file->code) };

    if (file->code == EM_NOT_ELF || file->code == EM_NOT_FOUND)
        return EM_OK;
    if (run->env->kind == EM_ENV_OBJECT)
        return em_fail(run->error, file->code, run->env->given, "%s", unreadable.problem);
    return em_vec_push(run->arena, &run->loading->unreadable, unreadable);
}

/* The name as one that objects of the same distribution need. */
static const char *names_owner(struct run *run, const struct em_env_object *object, const char *name)
{
    return em_arena_printf(run->scratch, "%s\n%s", object->owner ? object->owner->normalized : "", name);
}

/* Every name that an object of the environment needs: whoever has one of them is loaded by its consumers. */
static int needed_names(struct run *run, struct em_map *needed)
{
    needed->arena = run->arena;
    em_vec_each (struct em_env_object, object, &run->env->objects) {
        struct em_loadable *file = em_loader_look(run->loading->loader, object->path);

        if (!file)
            return EM_NO_MEMORY;
        run->loading->files[index_of(run, object)] = file;
        if (file->code != EM_OK) {
            int r = note_unreadable(run, object, file);

            if (r < 0)
                return r;
            continue;
        }
        for (size_t i = 0; i < file->object.needed.count; i++) {
            const struct em_arena_mark mark = em_arena_mark(run->scratch);
            const char *name = file->object.needed.items[i];

            if (em_map_put(needed, name, run) < 0 || put(run, needed, names_owner(run, object, name), run) < 0)
                return EM_NO_MEMORY;
            em_arena_rewind(run->scratch, mark);
        }
    }
    return EM_OK;
}

static bool is_needed(struct run *run, const struct em_map *needed, const struct em_env_object *object)
{
    const struct em_loadable *file = em_loader_look(run->loading->loader, object->path);

    return em_map_get(needed, em_path_basename(object->path)) ||
           (file && file->object.soname && em_map_get(needed, file->object.soname));
}

/* A private copy under a name that nobody but its own package ever knew, and that package asks for the public one by now: nothing can
 * load it. */
static bool is_retired(struct run *run, const struct em_map *needed, const struct em_env_object *object, bool *retired)
{
    struct em_strings names;

    *retired = false;
    if (is_needed(run, needed, object))
        return true;
    if (em_env_public_names(&names, run->scratch, em_path_basename(object->path)) < 0)
        return false;
    em_vec_each (const char *, name, &names) {
        const char *key = names_owner(run, object, *name);

        if (!key)
            return false;
        *retired = *retired || em_map_get(needed, key);
    }
    return true;
}

/* The distributions that tag their modules. What has a bare name there is a module if it has a module's entry, and otherwise a library
 * that something else opens: the operators that open3d has for torch. */
static int tagging_owners(struct run *run, struct em_map *tagging)
{
    tagging->arena = run->arena;
    em_vec_each (struct em_env_object, object, &run->env->objects)
        if (object->owner && em_env_is_tagged(object->path) && em_map_put(tagging, object->owner->normalized, run) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static bool is_module(struct run *run, const struct em_map *tagging, const struct em_env_object *object)
{
    em_cleanup_file struct em_file *file = NULL;
    const char *name = em_path_basename(object->path), *entry;
    bool defines = false;

    if (!em_env_is_extension(object->path))
        return false;
    if (em_env_is_tagged(object->path) || !object->owner || !em_map_get(tagging, object->owner->normalized))
        return true;
    entry = em_arena_printf(run->scratch, "PyInit_%.*s", (int)strcspn(name, "."), name);
    if (!entry || em_tree_open(run->env->tree, object->path, &file) < 0)
        return true;
    if (em_object_defines(&defines, run->scratch, &file->reader, entry, NULL) < 0)
        return true;
    run->loading->bytes_read += file->reader.bytes_read;
    return defines;
}

/* What all objects of the environment say together. */
struct crowd {
    struct em_map needed;  /* names that somebody needs */
    struct em_map tagging; /* distributions that tag their modules */
};

enum pass {
    PASS_IMPORTS,
    PASS_CONSUMERS, /* what no import loads, before what it needs */
    PASS_REST,
    PASSES,
};

static int open_if_due(struct run *run, const struct crowd *crowd, enum pass pass, const struct em_env_object *object)
{
    const struct em_loadable *file = run->loading->files[index_of(run, object)];
    bool retired = false;

    if (!em_loading_is_library(run->world, file))
        return EM_OK;
    if (pass == PASS_IMPORTS)
        return is_module(run, &crowd->tagging, object) ? open_root(run, object, true) : EM_OK;
    if (run->met[index_of(run, object)] || (pass == PASS_CONSUMERS && is_needed(run, &crowd->needed, object)))
        return EM_OK;
    if (!is_retired(run, &crowd->needed, object, &retired))
        return EM_NO_MEMORY;
    return retired ? EM_OK : open_root(run, object, false);
}

/* An object met on the way is not opened again. What only one root needed to be known is forgotten with it: there may be a hundred
 * thousand. */
static int open_roots(struct run *run)
{
    struct crowd crowd = { 0 };
    int r = needed_names(run, &crowd.needed);

    if (r == EM_OK)
        r = tagging_owners(run, &crowd.tagging);
    for (enum pass pass = PASS_IMPORTS; pass < PASSES; pass++) {
        em_vec_each (const struct em_env_object, object, &run->env->objects) {
            const struct em_arena_mark mark = em_arena_mark(run->scratch);

            if (r == EM_OK)
                r = open_if_due(run, &crowd, pass, object);
            em_arena_rewind(run->scratch, mark);
        }
    }
    return r;
}

/* What is opened by what an import loads can be in its process too, and what that needs. */
static void spread_reach(struct run *run)
{
    const struct em_env_object *first = run->env->objects.items;
    bool *reached = run->loading->reached;
    bool more = true;

    while (more) {
        more = false;
        em_vec_each (struct em_case, item, &run->loading->cases) {
            const struct em_env_object *object;

            if (!reached[item->object - first] || em_case_is_missing(item) || !item->request->file)
                continue;
            object = em_loading_object(run->loading, &item->request->file->node);
            if (object && !reached[object - first])
                more = reached[object - first] = true;
        }
    }
}

int em_loading_run(struct em_loading *loading, struct em_arena *arena, struct em_env *env, const struct em_world *world,
                   const struct em_knowledge *knowledge, struct em_diagnose_cache *cache, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct run run = { .loading = loading,
                       .arena = arena,
                       .scratch = scratch,
                       .env = env,
                       .world = world,
                       .knowledge = knowledge,
                       .cache = cache,
                       .error = error,
                       .by_request = { .arena = arena } };
    int r;

    *loading = (struct em_loading){ .imported = { .arena = arena } };
    loading->loader = em_loader_new(world, arena);
    loading->files = em_arena_array(arena, env->objects.count + 1, sizeof(struct em_loadable *));
    loading->reached = em_arena_array(arena, env->objects.count + 1, sizeof(bool));
    run.met = em_arena_array(arena, env->objects.count + 1, sizeof *run.met);
    run.openings = em_arena_array(arena, env->objects.count + 1, sizeof(struct em_openings *));
    if (!scratch || !loading->loader || !loading->files || !loading->reached || !run.met || !run.openings)
        return EM_NO_MEMORY;
    r = index_objects(&run);
    if (r == EM_OK)
        r = em_process_new(&run.fresh, loading->loader, env->python, error);
    if (r == EM_OK)
        r = open_roots(&run);
    if (r == EM_OK)
        spread_reach(&run);
    loading->bytes_read += em_loader_bytes_read(loading->loader);
    return r == EM_LIMIT ? em_loader_fail_limit(error, env->given) : r;
}
