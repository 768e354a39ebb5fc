/* licences.h: the words under which a library that comes into a wheel may be handed on (bundle/plan/licences.h), read, and verified by
 * the RECORD that they come with. METADATA names them from version 2.4 on, which has the word for it.
 */
#ifndef EM_BUNDLE_WHEEL_LICENCES_H
#define EM_BUNDLE_WHEEL_LICENCES_H

#include "bundle/plan/planner.h"

struct em_licence {
    const char *file; /* "nvidia-cudnn-cu12-9.10.2.21/License.txt": below licenses/ */
    struct em_bytes text;
};

struct em_licences {
    EM_VEC(struct em_licence);
};

/* Of all distributions that the plan copies from. EM_REFUSED for a file that is not what its RECORD says. */
int em_licences_of(struct em_licences *licences, struct em_arena *arena, const struct em_plan *plan,
                   const struct em_sources *sources, struct em_error *error);

#endif
