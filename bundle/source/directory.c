#include "bundle/source/inside.h"

#include <string.h>

/* What the owner's RECORD says of the file. */
static int find_expected(struct em_env *env, struct em_candidate *candidate)
{
    const struct em_record_row *row;
    const char *spelled;

    if (!candidate->distribution)
        return EM_OK;
    spelled = em_env_row_spelling(env, candidate->distribution, candidate->path);
    if (!spelled)
        return EM_NO_MEMORY;
    row = em_record_find(&candidate->distribution->record, spelled);
    if (!row)
        return EM_OK;
    candidate->has_expected = row->has_sha256;
    candidate->expected = row->sha256;
    candidate->has_expected_size = row->has_size;
    candidate->expected_size = row->size;
    return EM_OK;
}

/* Unpacked or fetched, it lies where nobody put it. */
static const char *show(const struct em_source *source, const char *path)
{
    bool is_there = strcmp(source->env.given, source->place) == 0;

    return is_there ? path : em_arena_printf(source->env.arena, "%s: %s", source->place, em_path_after(path, source->env.path));
}

int em_source_add_candidate(struct em_source *source, const struct em_env_object *object, struct em_error *error)
{
    struct em_candidate *candidate = em_new(source->env.arena, struct em_candidate);
    em_cleanup_file struct em_file *file = NULL;
    struct em_error problem = EM_ERROR_INIT;
    int r;

    if (!candidate)
        return EM_NO_MEMORY;
    *candidate = (struct em_candidate){ .path = object->path,
                                        .shown = show(source, object->path),
                                        .tree = source->env.tree,
                                        .node = object->node,
                                        .place = source->place,
                                        .container = source->container,
                                        .distribution = object->owner };
    if (!candidate->shown)
        return EM_NO_MEMORY;
    r = em_tree_open(candidate->tree, candidate->path, &file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, candidate->shown, "cannot be opened");
    }
    r = em_object_read(&candidate->object, source->env.arena, &file->reader, &problem);
    if (r == EM_BAD_ELF || r == EM_NOT_ELF || r == EM_LIMIT || r == EM_UNSUPPORTED) {
        candidate->object = (struct em_object){ 0 };
        candidate->problem = em_arena_strdup(source->env.arena, problem.sentence);
        r = candidate->problem ? EM_OK : EM_NO_MEMORY;
    } else if (r < 0 && error) {
        *error = problem;
    }
    if (r == EM_OK)
        r = find_expected(&source->env, candidate);
    return r < 0 ? r : em_vec_push(source->env.arena, &source->candidates, candidate);
}

/* A library by its name alone: one that was cut off, or whose first byte is another, shall be refused and not passed over. */
static int add_impostor(struct em_source *source, const char *path, struct em_error *error)
{
    struct em_env_object object = { .path = path, .owner = em_env_owner(&source->env, path) };

    return em_tree_stat(source->env.tree, path, &object.node) < 0 ? EM_OK : em_source_add_candidate(source, &object, error);
}

int em_source_read_directory(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *directory,
                             struct em_error *error)
{
    int r = em_env_read(&source->env, arena, tree, directory, error);

    if (r < 0)
        return r;
    if (source->env.objects.count + source->env.impostors.count == 0)
        return em_fail(error, EM_UNSUPPORTED, source->place, "holds no library that could be copied");
    em_vec_each (struct em_env_object, object, &source->env.objects)
        if (r == EM_OK)
            r = em_source_add_candidate(source, object, error);
    em_vec_each (const char *, path, &source->env.impostors)
        if (r == EM_OK)
            r = add_impostor(source, *path, error);
    return r;
}
