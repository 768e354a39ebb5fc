#include "bundle/wheel/licences.h"

#include "bundle/plan/licences.h"

#include <string.h>

static int add_file(struct em_plan_wheel *wheel, struct em_arena *arena, const struct em_source *source,
                    const struct em_distribution *distribution, const struct em_licence_file *from, struct em_error *error)
{
    struct em_plan_licence licence = { .file = from->place, .from = from->path };
    em_cleanup_file struct em_file *file = NULL;
    int r;

    /* Unpacked by an older version of us, or removed: what is not there cannot come along. */
    if (em_tree_open(source->env.tree, from->path, &file) < 0)
        return EM_OK;
    r = em_hash_reader(&file->reader, &licence.sha256, NULL, error);
    if (r < 0)
        return r;
    if (from->row->has_sha256 && !em_sha256_equal(&licence.sha256, &from->row->sha256))
        return em_fail(error, EM_REFUSED, from->path, "is not what the RECORD of %s %s says", distribution->name,
                       distribution->version);
    return em_vec_push(arena, &wheel->licences, licence);
}

int em_licence_read(const struct em_plan_licence *licence, struct em_arena *arena, struct em_bytes *text,
                    struct em_error *error)
{
    int r = em_read_file_at(AT_FDCWD, licence->from, EM_MAX_METADATA, arena, text, error);
    struct em_reader reader;
    struct em_sha256 sha256;

    if (r < 0)
        return r;
    reader = em_reader_memory(text, licence->from);
    r = em_hash_reader(&reader, &sha256, NULL, error);
    if (r < 0 || em_sha256_equal(&sha256, &licence->sha256))
        return r;
    return em_fail(error, EM_CHANGED, licence->from, "has changed since the plan was made; make a new plan");
}

static int add_distribution(struct em_plan_wheel *wheel, struct em_arena *arena, const struct em_source *source,
                            const struct em_distribution *distribution, struct em_error *error)
{
    struct em_licence_files files;
    int r = em_licence_files(&files, arena, distribution);

    em_vec_each (const struct em_licence_file, file, &files)
        if (r == EM_OK)
            r = add_file(wheel, arena, source, distribution, file, error);
    return r;
}

/* Some step copies a file of the source's distribution. */
static bool is_copied_from(const struct em_plan *plan, const struct em_source *source,
                           const struct em_distribution *distribution)
{
    em_vec_each (const struct em_step, step, &plan->steps)
        if (step->kind == EM_STEP_COPY && em_path_is_below(step->from, source->env.path) &&
            em_env_owner(&source->env, step->from) == distribution)
            return true;
    return false;
}

int em_licences_of(struct em_plan *plan, struct em_arena *arena, const struct em_sources *sources, struct em_error *error)
{
    em_vec_each (struct em_source *, source, sources)
        em_vec_each (struct em_distribution *, distribution, &(*source)->env.distributions) {
            int r = is_copied_from(plan, *source, *distribution)
                        ? add_distribution(plan->wheel, arena, *source, *distribution, error)
                        : EM_OK;

            if (r < 0)
                return r;
        }
    return EM_OK;
}
