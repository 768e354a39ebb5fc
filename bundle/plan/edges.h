/* edges.h: no edge is lost. Private to plan. */
#ifndef EM_BUNDLE_PLAN_EDGES_H
#define EM_BUNDLE_PLAN_EDGES_H

#include "bundle/diagnose/diagnose.h"

/* The first request that resolved in before and in after does not, or to another file; NULL: none. What only the machine answered
 * for a library that the tables give a package may change: that is what was asked for. Where it leads afterwards is in *now, NULL
 * if nowhere. */
const struct em_edge *em_edges_lost(const struct em_diagnosis *before, const struct em_diagnosis *after, struct em_arena *arena,
                                    const char **now, int *status);

#endif
