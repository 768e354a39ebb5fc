/* licences.h: the words under which a library that comes into a wheel may be handed on (bundle/plan/licences.h), read, and verified by
 * the RECORD that they come with. METADATA names them from version 2.4 on, which has the word for it.
 */
#ifndef EM_BUNDLE_WHEEL_LICENCES_H
#define EM_BUNDLE_WHEEL_LICENCES_H

#include "bundle/plan/planner.h"

/* Of all distributions that the plan copies from, into plan->wheel. EM_REFUSED for a file that is not what its RECORD says. */
int em_licences_of(struct em_plan *plan, struct em_arena *arena, const struct em_sources *sources, struct em_error *error);

/* EM_CHANGED if it is not what it was when the plan was made. */
int em_licence_read(const struct em_plan_licence *licence, struct em_arena *arena, struct em_bytes *text,
                    struct em_error *error);

#endif
