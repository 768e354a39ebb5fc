#include "bundle/source/inside.h"

#include <string.h>

static bool fits(const struct em_candidate *candidate, bool is64, bool big_endian, uint16_t machine)
{
    const struct em_object *object = &candidate->object;

    if (candidate->problem)
        return true;
    return object->type == ET_DYN && object->is64 == is64 && object->big_endian == big_endian && object->machine == machine;
}

/* How a candidate answers to a name: by SONAME, as a loader that looks among what it has loaded; by its file name alone, as one that
 * looks in a directory. 0: not at all. */
static int answers(const struct em_candidate *candidate, const char *soname)
{
    if (candidate->object.soname && strcmp(candidate->object.soname, soname) == 0)
        return 2;
    return strcmp(em_path_basename(candidate->path), soname) == 0 ? 1 : 0;
}

/* The better answer first; among equals what a RECORD vouches for, then by path. */
int em_source_find(const struct em_source *source, const char *soname, bool is64, bool big_endian, uint16_t machine,
                   struct em_arena *arena, struct em_candidates *found)
{
    for (int rank = 3; rank >= 0; rank--) {
        em_vec_each (struct em_candidate *, candidate, &source->candidates) {
            int answer = answers(*candidate, soname);
            int r;

            if (answer == 0 || (answer - 1) * 2 + (*candidate)->has_expected != rank ||
                !fits(*candidate, is64, big_endian, machine))
                continue;
            r = em_vec_push(arena, found, *candidate);
            if (r < 0)
                return r;
        }
    }
    return EM_OK;
}
