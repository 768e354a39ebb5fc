/* licences.h: the words under which a library may be handed on.
 *
 * A distribution's licence files are those that its RECORD lists below .dist-info/licenses/ (PEP 639) and, as before it, LICENSE,
 * COPYING, NOTICE and AUTHORS beside METADATA. With a copied library they come to lie below .dist-info/licenses/NAME-VERSION/ of the
 * distribution that gets it.
 */
#ifndef EM_BUNDLE_PLAN_LICENCES_H
#define EM_BUNDLE_PLAN_LICENCES_H

#include "bundle/env/env.h"
#include "bundle/plan/plan.h"

struct em_licence_file {
    const char *path;  /* absolute, where the distribution is */
    const char *place; /* "nvidia-cudnn-cu12-9.10.2.21/License.txt": below licenses/ */
    const struct em_record_row *row;
};

struct em_licence_files {
    EM_VEC(struct em_licence_file);
};

/* In the order of RECORD. EM_NO_MEMORY. */
int em_licence_files(struct em_licence_files *files, struct em_arena *arena, const struct em_distribution *distribution);

/* The place of the licence file that a step copies; NULL: it does something else. */
const char *em_step_licence(const struct em_step *step);

#endif
