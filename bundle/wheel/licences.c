#include "bundle/wheel/licences.h"

#include <string.h>

static int add_file(struct em_licences *licences, struct em_arena *arena, const struct em_source *source,
                    const struct em_distribution *distribution, const struct em_record_row *row, struct em_error *error)
{
    const char *path = em_path_join(arena, distribution->site, row->path), *below = strstr(row->path, ".dist-info/licenses/");
    const char *base = below ? below + strlen(".dist-info/licenses/") : em_path_basename(row->path);
    struct em_licence licence = { .file = em_arena_printf(arena, "%s-%s/%s", distribution->normalized, distribution->version,
                                                          base) };
    em_cleanup_file struct em_file *file = NULL;
    struct em_sha256 sha256;
    int r;

    if (!path || !licence.file)
        return EM_NO_MEMORY;
    /* Unpacked by an older version of us, or removed: what is not there cannot come along. */
    if (em_tree_open(source->env.tree, path, &file) < 0)
        return EM_OK;
    if (file->reader.size > EM_MAX_METADATA)
        return em_fail(error, EM_LIMIT, path, "is a licence file of more than %llu bytes", (unsigned long long)EM_MAX_METADATA);
    r = em_hash_reader(&file->reader, &sha256, NULL, error);
    if (r == EM_OK)
        r = em_read_bytes(&file->reader, arena, 0, file->reader.size, &licence.text, error);
    if (r < 0)
        return r;
    if (row->has_sha256 && !em_sha256_equal(&sha256, &row->sha256))
        return em_fail(error, EM_REFUSED, path, "is not what the RECORD of %s %s says", distribution->name,
                       distribution->version);
    return em_vec_push(arena, licences, licence);
}

static int add_distribution(struct em_licences *licences, struct em_arena *arena, const struct em_source *source,
                            const struct em_distribution *distribution, struct em_error *error)
{
    size_t length = strlen(em_path_basename(distribution->dist_info));

    em_vec_each (const struct em_record_row, row, &distribution->record.rows) {
        int r;

        if (strncmp(row->path, em_path_basename(distribution->dist_info), length) != 0 || row->path[length] != '/' ||
            !em_is_licence_name(row->path) || !em_path_is_contained(row->path))
            continue;
        r = add_file(licences, arena, source, distribution, row, error);
        if (r < 0)
            return r;
    }
    return EM_OK;
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

int em_licences_of(struct em_licences *licences, struct em_arena *arena, const struct em_plan *plan,
                   const struct em_sources *sources, struct em_error *error)
{
    *licences = (struct em_licences){ 0 };
    em_vec_each (struct em_source *, source, sources)
        em_vec_each (struct em_distribution *, distribution, &(*source)->env.distributions) {
            int r = is_copied_from(plan, *source, *distribution)
                        ? add_distribution(licences, arena, *source, *distribution, error)
                        : EM_OK;

            if (r < 0)
                return r;
        }
    return EM_OK;
}
