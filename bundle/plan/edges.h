/* edges.h: no edge is lost. Private to plan. */
#ifndef EM_BUNDLE_PLAN_EDGES_H
#define EM_BUNDLE_PLAN_EDGES_H

#include "bundle/plan/draft.h"

/* A request that resolved before, and would resolve to another file, or to none. */
struct em_lost {
    const struct em_edge *before;
    const struct em_edge *after; /* NULL: nobody asks any more, since the object itself is not loaded there any more */
};

struct em_losts {
    EM_VEC(struct em_lost);
};

/* All that the second tree would lose. What only the machine answered for a library that the tables give a package may change:
 * that is what was asked for; and so is what the draft renames or takes away, and all that a private copy asked for which it gives
 * up. */
int em_edges_lost(struct em_losts *losts, struct em_arena *arena, const struct em_diagnosis *before,
                  const struct em_diagnosis *after, const struct em_draft *draft);

#endif
