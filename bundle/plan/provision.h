/* provision.h: which candidate of the sources answers a finding. Private to plan.
 *
 * The findings that ask for members of one family (a component of the packages table, of one major) are answered together and
 * once in a draft; what comes to light in a later round has to be of the version that was taken. Why others were not taken is kept
 * for the plan.
 */
#ifndef EM_BUNDLE_PLAN_PROVISION_H
#define EM_BUNDLE_PLAN_PROVISION_H

#include "bundle/plan/planner.h"

/* What is asked for in one round, so that ten thousand findings are not gone through for each of them. */
struct em_provision_round {
    const void *findings;    /* whose round it is */
    struct em_map by_family; /* family -> its findings */
    struct em_map parsed;    /* path of a requester -> struct em_object *, as it would be */
};

struct em_provision {
    struct em_arena *arena;
    const struct em_diagnosis *before;
    const struct em_plan_wish *wish;
    struct em_provision_round round;
    struct em_map installed; /* family -> the environment's objects that are of it; no arena: not gathered yet */
    struct em_map chosen;    /* family and name -> struct em_candidate * */
    struct em_map versions;  /* family -> the version that was taken */
    struct em_map families;  /* name of a library -> its family */
    struct {
        EM_VEC(struct em_passed_over);
    } passed_over;
};

void em_provision_init(struct em_provision *provision, struct em_arena *arena, const struct em_diagnosis *before,
                       const struct em_plan_wish *wish);

/* findings: all that a copy shall answer now, this one among them; tree: as it would be. *candidate NULL: no source has it, or none
 * that fits. */
int em_provide(struct em_provision *provision, struct em_tree *tree, const struct em_findings *findings,
               const struct em_finding *finding, struct em_candidate **candidate, struct em_error *error);

/* What was not taken, into the plan. */
int em_provision_tell(const struct em_provision *provision, struct em_plan *plan);

#endif
