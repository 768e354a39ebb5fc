/* variable.h: what rests on LD_LIBRARY_PATH. Private to diagnose.
 *
 * Where the variable is set, the environment is opened a second time without it, and what answers differently is told:
 *   EM203  found through LD_LIBRARY_PATH only: another shell, a service or sudo does not find it. The provider is in the environment, and a
 *          path mends it; or it is not, and then nothing does but the package
 *   EM203  taken from LD_LIBRARY_PATH instead of what the object's own RUNPATH, or the system, would give it
 * Where the answer is the same without the variable nothing is said.
 *
 * Errors: EM_NO_MEMORY, EM_IO.
 */
#ifndef EM_BUNDLE_DIAGNOSE_VARIABLE_H
#define EM_BUNDLE_DIAGNOSE_VARIABLE_H

#include "bundle/diagnose/standing.h"

/* cache: as em_loading_run takes it. */
int em_judge_variable(struct em_findings *findings, const struct em_advisor *advisor, struct em_env *env,
                      struct em_diagnose_cache *cache, struct em_error *error);

#endif
