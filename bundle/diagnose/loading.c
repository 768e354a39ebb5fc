#include "bundle/diagnose/loading_work.h"

#include <string.h>

const struct em_env_object *em_loading_object(const struct em_loading *loading, const struct em_node *node)
{
    char identity[EM_NODE_KEY_SIZE];

    em_node_key(identity, node);
    return em_map_get(&loading->objects, identity);
}

const char *em_case_name(const struct em_case *item)
{
    return item->opening ? item->opening->wanted : item->request->name;
}

bool em_case_is_missing(const struct em_case *item)
{
    return item->unreachable || em_request_is_unanswered(item->request);
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

char *em_loading_key(struct em_arena *arena, uint64_t number, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *key = em_arena_alloc(arena, 17 + size), *at = key ? em_put_hex(key, number) : NULL;

    if (key) {
        *at = '\n';
        memcpy(at + 1, text, size);
    }
    return key;
}

/* The object stands for itself: its path would be long, and there may be a hundred thousand. */
char *em_loading_import_key(struct em_arena *arena, const struct em_env_object *object,
                            const struct em_distribution *distribution)
{
    return em_loading_key(arena, (uintptr_t)object, distribution ? distribution->normalized : "");
}

size_t em_loading_index(const struct em_loading_work *work, const struct em_env_object *object)
{
    return (size_t)(object - work->env->objects.items);
}

int em_loading_put(struct em_loading_work *work, struct em_map *map, const char *key, const void *value)
{
    if (!key)
        return EM_NO_MEMORY;
    if (!em_map_get(map, key) && !(key = em_arena_strdup(work->arena, key)))
        return EM_NO_MEMORY;
    return em_map_put(map, key, value);
}

bool em_loading_is_imported(const struct em_loading *loading, const struct em_env_object *object,
                            const struct em_distribution *distribution)
{
    char *key = em_loading_import_key(loading->imported.arena, object, distribution);

    return key && em_map_get(&loading->imported, key);
}

bool em_loading_is_library(const struct em_world *world, const struct em_loadable *file)
{
    return file && file->code == EM_OK && file->object.type == ET_DYN && file->object.has_dynamic &&
           file->object.machine == world->machine && file->object.is64 == world->is64 && !file->object.interpreter;
}

static int index_objects(struct em_loading_work *work)
{
    work->loading->objects.arena = work->arena;
    em_vec_each (struct em_env_object, object, &work->env->objects) {
        char identity[EM_NODE_KEY_SIZE];
        char *key;

        em_node_key(identity, &object->node);
        if (em_map_get(&work->loading->objects, identity))
            continue;
        key = em_arena_strdup(work->arena, identity);
        if (!key || em_map_put(&work->loading->objects, key, object) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* What is opened by what an import loads can be in its process too, and what that needs. */
static void spread_reach(struct em_loading_work *work)
{
    const struct em_env_object *first = work->env->objects.items;
    bool *reached = work->loading->reached;
    bool more = true;

    while (more) {
        more = false;
        em_vec_each (struct em_case, item, &work->loading->cases) {
            const struct em_env_object *object;

            if (!reached[item->object - first] || em_case_is_missing(item) || !item->request->file)
                continue;
            object = em_loading_object(work->loading, &item->request->file->node);
            if (object && !reached[object - first])
                more = reached[object - first] = true;
        }
    }
}

int em_loading_run(struct em_loading *loading, struct em_arena *arena, struct em_env *env, const struct em_world *world,
                   const struct em_knowledge *knowledge, struct em_diagnose_cache *cache, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_loading_work work = { .loading = loading,
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
    work.met = em_arena_array(arena, env->objects.count + 1, sizeof *work.met);
    work.openings = em_arena_array(arena, env->objects.count + 1, sizeof(struct em_openings *));
    if (!scratch || !loading->loader || !loading->files || !loading->reached || !work.met || !work.openings)
        return EM_NO_MEMORY;
    em_arena_bound(scratch, EM_MAX_PROCESS);
    r = index_objects(&work);
    if (r == EM_OK)
        r = em_process_new(&work.fresh, loading->loader, env->python, error);
    if (r == EM_OK)
        r = em_loading_open_roots(&work);
    if (r == EM_OK)
        spread_reach(&work);
    loading->bytes_read += em_loader_bytes_read(loading->loader);
    if (em_arena_is_full(scratch))
        return em_loader_fail_memory(error, env->given, EM_MAX_PROCESS);
    return r == EM_LIMIT ? em_loader_fail_limit(error, env->given) : r;
}
