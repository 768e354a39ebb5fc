#include "bundle/diagnose/loading_work.h"

#include <string.h>

static int open_root(struct em_loading_work *work, const struct em_env_object *root, bool by_import)
{
    struct em_process *process;
    struct em_open open;
    int r = em_process_fork(&process, work->fresh, work->scratch);

    if (r < 0)
        return r;
    /* Past the first miss too: the second one behind it is worth knowing. */
    process->keep_going = true;
    r = em_process_open(process, root->path, NULL, &open);
    if (r == EM_OK)
        r = em_vec_push(work->arena, &work->loading->roots,
                        (struct em_root){ .object = root, .by_import = by_import, .ok = open.ok });
    return r < 0 ? r : em_loading_gather(work, process, &open, root, by_import);
}

/* A broken library of an environment is a finding; a broken one that the user named is no target at all. */
static int note_unreadable(struct em_loading_work *work, const struct em_env_object *object, const struct em_loadable *file)
{
    struct em_unreadable unreadable = { .object = object, .problem = file->problem ? file->problem : em_err_name(file->code) };

    if (file->code == EM_NOT_ELF || file->code == EM_NOT_FOUND)
        return EM_OK;
    if (work->env->kind == EM_ENV_OBJECT)
        return em_fail(work->error, file->code, work->env->given, "%s", unreadable.problem);
    return em_vec_push(work->arena, &work->loading->unreadable, unreadable);
}

/* The name as one that objects of the same distribution need. */
static const char *names_owner(struct em_loading_work *work, const struct em_env_object *object, const char *name)
{
    return em_arena_printf(work->scratch, "%s\n%s", object->owner ? object->owner->normalized : "", name);
}

/* Every name that an object of the environment needs: whoever has one of them is loaded by its consumers. */
static int needed_names(struct em_loading_work *work, struct em_map *needed)
{
    needed->arena = work->arena;
    em_vec_each (struct em_env_object, object, &work->env->objects) {
        struct em_loadable *file = em_loader_look(work->loading->loader, object->path);

        if (!file)
            return EM_NO_MEMORY;
        work->loading->files[em_loading_index(work, object)] = file;
        if (file->code != EM_OK) {
            int r = note_unreadable(work, object, file);

            if (r < 0)
                return r;
            continue;
        }
        for (size_t i = 0; i < file->object.needed.count; i++) {
            const struct em_arena_mark mark = em_arena_mark(work->scratch);
            const char *name = file->object.needed.items[i];

            if (em_map_put(needed, name, work) < 0 || em_loading_put(work, needed, names_owner(work, object, name), work) < 0)
                return EM_NO_MEMORY;
            em_arena_rewind(work->scratch, mark);
        }
    }
    return EM_OK;
}

static bool is_needed(struct em_loading_work *work, const struct em_map *needed, const struct em_env_object *object)
{
    const struct em_loadable *file = em_loader_look(work->loading->loader, object->path);

    return em_map_get(needed, em_path_basename(object->path)) ||
           (file && file->object.soname && em_map_get(needed, file->object.soname));
}

/* A private copy under a name that nobody but its own package ever knew, and that package asks for the public one by now: nothing can
 * load it. */
static bool is_retired(struct em_loading_work *work, const struct em_map *needed, const struct em_env_object *object,
                       bool *retired)
{
    struct em_strings names;

    *retired = false;
    if (is_needed(work, needed, object))
        return true;
    if (em_env_public_names(&names, work->scratch, em_path_basename(object->path)) < 0)
        return false;
    em_vec_each (const char *, name, &names) {
        const char *key = names_owner(work, object, *name);

        if (!key)
            return false;
        *retired = *retired || em_map_get(needed, key);
    }
    return true;
}

/* The distributions that tag their modules. What has a bare name there is a module if it has a module's entry, and otherwise a library
 * that something else opens: the operators that open3d has for torch. */
static int tagging_owners(struct em_loading_work *work, struct em_map *tagging)
{
    tagging->arena = work->arena;
    em_vec_each (struct em_env_object, object, &work->env->objects)
        if (object->owner && em_env_is_tagged(object->path) && em_map_put(tagging, object->owner->normalized, work) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static bool is_module(struct em_loading_work *work, const struct em_map *tagging, const struct em_env_object *object)
{
    em_cleanup_file struct em_file *file = NULL;
    const char *name = em_path_basename(object->path), *entry;
    bool defines = false;

    if (!em_env_is_extension(object->path))
        return false;
    if (em_env_is_tagged(object->path) || !object->owner || !em_map_get(tagging, object->owner->normalized))
        return true;
    entry = em_arena_printf(work->scratch, "PyInit_%.*s", (int)strcspn(name, "."), name);
    if (!entry || em_tree_open(work->env->tree, object->path, &file) < 0)
        return true;
    if (em_object_defines(&defines, &file->reader, entry, NULL) < 0)
        return true;
    work->loading->bytes_read += file->reader.bytes_read;
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

static int open_if_due(struct em_loading_work *work, const struct crowd *crowd, enum pass pass,
                       const struct em_env_object *object)
{
    const struct em_loadable *file = work->loading->files[em_loading_index(work, object)];
    bool retired = false;

    if (!em_loading_is_library(work->world, file))
        return EM_OK;
    if (pass == PASS_IMPORTS)
        return is_module(work, &crowd->tagging, object) ? open_root(work, object, true) : EM_OK;
    if (work->met[em_loading_index(work, object)] || (pass == PASS_CONSUMERS && is_needed(work, &crowd->needed, object)))
        return EM_OK;
    if (!is_retired(work, &crowd->needed, object, &retired))
        return EM_NO_MEMORY;
    return retired ? EM_OK : open_root(work, object, false);
}

/* An object met on the way is not opened again. What only one root needed to be known is forgotten with it: there may be a hundred
 * thousand. */
int em_loading_open_roots(struct em_loading_work *work)
{
    struct crowd crowd = { 0 };
    int r = needed_names(work, &crowd.needed);

    if (r == EM_OK)
        r = tagging_owners(work, &crowd.tagging);
    for (enum pass pass = PASS_IMPORTS; pass < PASSES; pass++) {
        em_vec_each (const struct em_env_object, object, &work->env->objects) {
            const struct em_arena_mark mark = em_arena_mark(work->scratch);

            if (r == EM_OK)
                r = open_if_due(work, &crowd, pass, object);
            em_arena_rewind(work->scratch, mark);
        }
    }
    return r;
}
