#include "bundle/plan/licences.h"

#include "bundle/source/source.h"

#include <string.h>

#define LICENCES ".dist-info/licenses/"

static int add(struct em_licence_files *files, struct em_arena *arena, const struct em_distribution *distribution,
               const struct em_record_row *row)
{
    const char *below = strstr(row->path, LICENCES);
    struct em_licence_file file = {
        .path = em_path_join(arena, distribution->site, row->path),
        .place = em_arena_printf(arena, "%s-%s/%s", distribution->normalized, distribution->version,
                                 below ? below + strlen(LICENCES) : em_path_basename(row->path)),
        .row = row,
    };

    return file.path && file.place ? em_vec_push(arena, files, file) : EM_NO_MEMORY;
}

int em_licence_files(struct em_licence_files *files, struct em_arena *arena, const struct em_distribution *distribution)
{
    const char *info = em_path_basename(distribution->dist_info);
    size_t length = strlen(info);

    *files = (struct em_licence_files){ 0 };
    em_vec_each (const struct em_record_row, row, &distribution->record.rows)
        if (strncmp(row->path, info, length) == 0 && row->path[length] == '/' && em_is_licence_name(row->path) &&
            em_path_is_contained(row->path) && add(files, arena, distribution, row) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

const char *em_step_licence(const struct em_step *step)
{
    const char *at = step->kind == EM_STEP_COPY ? strstr(step->path, LICENCES) : NULL;

    return at ? at + strlen(LICENCES) : NULL;
}
