/* undone.h: what others have done to our repairs, as findings.
 *
 *     r = em_undone_judge(&findings, arena, &env, &trail)     EM605, one for each distribution that was repaired and is not any more
 *     r = em_undone_mark(&finding, arena, &env, &trail)       says in a finding about one file what our part in it is
 *
 * A package manager knows nothing of a repair. It removes what RECORD lists, our copies too, and puts there what the wheel has. How
 * that looks afterwards says what was done:
 *
 *     the RECORD that we wrote    the distribution
 *     another one is there        is there             installed again, of the same or another version: a warning
 *     is as we left it            is there             somebody changed or removed single files: a warning
 *     gone                        gone                 uninstalled: a note, since nothing asks for the repair any more
 *
 * A RECORD that a later repair wrote anew counts alone: that repair has looked at all files of its distribution.
 *
 * Errors: EM_NO_MEMORY.
 */
#ifndef EM_BUNDLE_PLAN_UNDONE_H
#define EM_BUNDLE_PLAN_UNDONE_H

#include "bundle/diagnose/finding.h"
#include "bundle/plan/trail.h"

int em_undone_judge(struct em_findings *findings, struct em_arena *arena, const struct em_env *env,
                    const struct em_trail *trail);

/* A file that is as we left it is no worse than a note: whoever repaired it knew. */
int em_undone_mark(struct em_finding *finding, struct em_arena *arena, const struct em_env *env, const struct em_trail *trail);

#endif
