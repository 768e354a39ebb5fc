/* review.h: what a finished draft must not do. Private to plan.
 *
 * A repair that the loader does not take is none; what was answered before must be answered after; and no edge is lost (edges.h). What
 * breaks one of these is barred, with the reason, and planner->restart says that the draft must begin anew without it.
 */
#ifndef EM_BUNDLE_PLAN_REVIEW_H
#define EM_BUNDLE_PLAN_REVIEW_H

#include "bundle/plan/ways.h"

/* planner->now must be of the tree as the draft would make it. */
int em_review_draft(struct em_planner *planner);

#endif
