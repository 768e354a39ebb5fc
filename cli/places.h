/* places.h: from a file to where it stands in a list, for lists of a hundred thousand objects that are not to be gone through for each.
 *
 *     r = em_places_add(&places, arena, file, index)      as often as a file stands in the list
 *     em_places_sort(&places)                             then, and before the first question
 *     for (at = em_places_first(&places, file); at < places.count && places.items[at].file == file; at++)
 *         use(places.items[at].index);                    in the order of the list
 */
#ifndef EM_CLI_PLACES_H
#define EM_CLI_PLACES_H

#include "bundle/loader/loader.h"

struct em_place {
    const struct em_loadable *file;
    size_t index;
};
struct em_places {
    EM_VEC(struct em_place);
};

int em_places_add(struct em_places *places, struct em_arena *arena, const struct em_loadable *file, size_t index);
void em_places_sort(struct em_places *places);
size_t em_places_first(const struct em_places *places, const struct em_loadable *file); /* count: it stands nowhere */

#endif
