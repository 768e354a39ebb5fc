/* paths.h: search paths that lead where they should not. Private to diagnose.
 *
 * A path list is judged by what comes of it. An entry that nothing is ever sought in does no harm: it is a note, one for a
 * distribution's objects together. It is a warning where an import makes the loader look for a library there.
 *   EM301  the current directory: an empty or relative entry
 *   EM302  a directory that is not there, mostly of the machine that built the object
 *   EM303  a directory outside of the environment that anyone may write, or make
 *   EM304  a driver's stand-in before the driver: the toolkit's stub for linking, or a compat libcuda
 *   EM305  DT_RPATH beside DT_RUNPATH: the loader does not look at it
 */
#ifndef EM_BUNDLE_DIAGNOSE_PATHS_H
#define EM_BUNDLE_DIAGNOSE_PATHS_H

#include "bundle/diagnose/loading.h"

int em_judge_paths(struct em_findings *findings, struct em_arena *arena, const struct em_env *env, const struct em_world *world,
                   const struct em_loading *loading, struct em_error *error);

#endif
