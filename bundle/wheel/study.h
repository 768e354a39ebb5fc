/* study.h: a wheel diagnosed as it would be installed, with its siblings and what it requires.
 *
 *     struct em_study study;
 *     r = em_study_run(&study, arena, &wheel, &world, &knowledge, &wish, error)
 *     study.diagnosis, study.env        findings are those of the wheel's own objects
 *     em_study_free(&study)             on errors too; the wheel stays open
 *
 * world is read by the caller over a tree of this machine; the study lays the wheel over that tree.
 */
#ifndef EM_BUNDLE_WHEEL_STUDY_H
#define EM_BUNDLE_WHEEL_STUDY_H

#include "bundle/plan/planner.h"
#include "bundle/wheel/wheel.h"

struct em_study_wish {
    const struct em_strings *with;
    bool undeclared;                    /* see em_wheel_promise */
    const struct em_plan_wish *sources; /* what they have is not promised; NULL: none */
    bool install_only;                  /* as far as it takes to know what is promised: the diagnosis is empty afterwards */
    struct em_diagnose_options diagnose;
};

struct em_study {
    const struct em_wheel *wheel;
    struct em_installed installed;
    struct em_promises promises;
    struct em_env env;
    struct em_world world;
    struct em_diagnosis diagnosis;
    const struct em_distribution *distribution; /* the wheel's; NULL: it has no .dist-info */
};

int em_study_run(struct em_study *study, struct em_arena *arena, const struct em_wheel *wheel, const struct em_world *world,
                 const struct em_knowledge *knowledge, const struct em_study_wish *wish, struct em_error *error);
void em_study_free(struct em_study *study);

/* Installed and read, not diagnosed: for verify. */
int em_study_read(struct em_study *study, struct em_arena *arena, const struct em_wheel *wheel, struct em_tree *below,
                  const struct em_strings *with, struct em_error *error);

#endif
