/* steps.h: what the files that write the draft down as steps share. Private to plan.
 *
 * Paths of the environment become relative to the plan's root; what a step rests on becomes an input.
 */
#ifndef EM_BUNDLE_PLAN_STEPS_H
#define EM_BUNDLE_PLAN_STEPS_H

#include "bundle/plan/draft.h"

/* What is written from, and where to. */
struct em_steps_writer {
    struct em_arena *arena;
    const char *root; /* of the target, in the environment's terms: plan->root is the same on this machine */
    struct em_plan *plan;
    const struct em_draft *draft;
    const struct em_diagnosis *after;
    const struct em_map *gave_up;
    const struct em_plan_wish *wish;
    struct em_error *error;
};

const char *em_steps_in_root(const struct em_steps_writer *writer, const char *path);
/* What the plan rests on becomes an input, as it is now. path: relative to the plan's root, or absolute if it is a source. Known
 * already: once is enough. */
int em_steps_add_input(struct em_steps_writer *writer, const char *path, bool is_source);

/* papers.c: what goes along with the libraries that are copied for a distribution: the licences under which they may be handed on, and a
 * bill of where they come from (sbom.h). Their paths are added to files, for its RECORD. Nothing for a wheel, which is written whole
 * (bundle/wheel/rewrite.c). */
int em_papers_add(struct em_steps_writer *writer, const struct em_distribution *distribution, struct em_strings *files);

#endif
