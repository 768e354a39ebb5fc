#include "cli/doctor.h"

#include <string.h>

static bool exists(struct em_tree *tree, struct em_arena *arena, const char *directory, const char *name)
{
    const char *path = em_path_join(arena, directory, name);
    struct em_node node;

    return path && em_tree_stat(tree, path, &node) == 0;
}

/* PREFIX/bin/python3 belongs to PREFIX where that is an environment, else to its site-packages. NULL: to nothing that holds packages. */
static const char *place_of(struct em_arena *arena, struct em_tree *tree, const struct em_interpreter *interpreter)
{
    char *bin = em_path_dirname(arena, interpreter->path), *prefix = bin ? em_path_dirname(arena, bin) : NULL;
    const char *site = prefix ? em_arena_printf(arena, "lib/%s/site-packages", em_path_basename(interpreter->real)) : NULL;

    if (!site)
        return NULL;
    if (exists(tree, arena, prefix, "pyvenv.cfg") || exists(tree, arena, prefix, "conda-meta"))
        return prefix;
    return exists(tree, arena, prefix, site) ? em_path_join(arena, prefix, site) : NULL;
}

static bool is_known(const struct em_doctor_environment *environment, const struct em_doctor_library *library)
{
    em_vec_each (const struct em_doctor_library, other, &environment->libraries)
        if (strcmp(other->name, library->name) == 0 && !other->path == !library->path &&
            (!library->path || strcmp(other->path, library->path) == 0))
            return true;
    return false;
}

/* Each library and each answer to it once, however many ask. */
static int list_libraries(struct em_doctor_environment *environment, struct em_arena *arena,
                          const struct em_knowledge *knowledge)
{
    const struct em_env *env = &environment->env;

    em_vec_each (const struct em_edge, edge, &environment->diagnosis.edges) {
        const struct em_distribution *owner = em_env_owner(env, edge->object);
        struct em_doctor_library library = { .name = edge->name, .object = em_env_show(env, edge->object) };
        const char *normal = edge->path ? em_path_normal(arena, edge->path) : NULL;

        if (!owner || em_knowledge_is_vendor(knowledge, owner->normalized) ||
            !em_knowledge_package(knowledge, edge->name, NULL))
            continue;
        library.path = normal ? em_env_show(env, normal) : NULL;
        if (!is_known(environment, &library) && em_vec_push(arena, &environment->libraries, library) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

int em_doctor_environment_read(struct em_doctor_environment *environment, struct em_options *options,
                               const struct em_world *world, const struct em_knowledge *knowledge,
                               const struct em_interpreter *interpreter, struct em_error *error)
{
    struct em_diagnose_options how = { .integrity = true };
    int r;

    *environment = (struct em_doctor_environment){ 0 };
    if (!interpreter->path)
        return EM_OK;
    environment->path = place_of(options->arena, world->tree, interpreter);
    if (!environment->path)
        return EM_OK;
    r = em_env_read(&environment->env, options->arena, world->tree, environment->path, error);
    if (r == EM_OK)
        r = em_diagnose(&environment->diagnosis, options->arena, &environment->env, world, knowledge, &how, error);
    if (r == EM_OK)
        r = list_libraries(environment, options->arena, knowledge);
    if (r == EM_OK || r == EM_NO_MEMORY)
        return r;
    /* The machine can be told all the same. */
    em_warn("%s: is not looked at: %s", environment->path, error->sentence);
    *error = (struct em_error)EM_ERROR_INIT;
    environment->path = NULL;
    return EM_OK;
}

void em_doctor_environment_print(const struct em_doctor_environment *environment)
{
    size_t errors = 0;

    if (!environment->path)
        return;
    printf("packages    %s: %zu objects\n", em_plain(environment->path), environment->diagnosis.objects);
    em_vec_each (const struct em_doctor_library, library, &environment->libraries)
        printf("            %s => %s   (for %s)\n", em_plain(library->name),
               library->path ? em_plain(library->path) : "nothing", em_plain(library->object));
    em_vec_each (const struct em_finding, finding, &environment->diagnosis.findings)
        errors += finding->severity == EM_SEVERITY_ERROR;
    if (errors > 0)
        printf("            %zu error%s: elfmend audit %s says which\n", errors, em_plural(errors),
               em_plain(environment->path));
    em_print_frameworks(&environment->diagnosis.frameworks);
}

json_t *em_doctor_environment_json(const struct em_doctor_environment *environment)
{
    json_t *libraries = json_array();

    em_vec_each (const struct em_doctor_library, library, &environment->libraries) {
        json_t *object = json_object();

        json_object_set_new(object, "name", em_json_string(library->name));
        json_object_set_new(object, "path", em_json_string(library->path));
        json_object_set_new(object, "object", em_json_string(library->object));
        json_array_append_new(libraries, object);
    }
    if (environment->path)
        return json_pack("{s:o, s:o, s:o}", "path", em_json_string(environment->path), "libraries", libraries, "frameworks",
                         em_frameworks_json(&environment->diagnosis.frameworks));
    json_decref(libraries);
    return json_null();
}
