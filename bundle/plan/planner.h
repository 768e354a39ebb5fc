/* planner.h: findings to actions. Decides, writes nothing.
 *
 *     r = em_plan_make(&plan, arena, &diagnosis, &wish, error)
 *
 * The object that asks gets the path: the search path of the requester is what counts, however it was loaded. What the planner
 * decides it tries: each round lays its changes over the tree, diagnoses that tree, and goes on until nothing more can be mended.
 * So what a copied library needs in its new place, and the second missing request behind the first, come out by themselves.
 *
 * No edge is lost: a request that resolved before must resolve to the same file, in the same process, in the tree as it will be, unless
 * it was one that only this machine answered. The change that would break this is left out, and the plan says why (edges.c). No step is
 * useless either: a change after which the loader still does not find what it was made for is left out too.
 */
#ifndef EM_BUNDLE_PLAN_PLANNER_H
#define EM_BUNDLE_PLAN_PLANNER_H

#include "bundle/diagnose/diagnose.h"
#include "bundle/plan/plan.h"
#include "bundle/source/source.h"

enum em_strategy {
    EM_STRATEGY_AUTO, /* path where a provider is in the environment, copy where a source has it; degraft where no path can be written */
    EM_STRATEGY_PATH,
    EM_STRATEGY_COPY,
    EM_STRATEGY_DEGRAFT, /* who needs a private copy needs the provider itself; path for all else */
};

struct em_plan_wish {
    enum em_strategy strategy;
    enum em_path_tag tag;       /* for an object that has neither; KEEP means RPATH */
    struct em_sources sources;  /* searched in order */
    const struct em_pins *pins; /* NULL: none */
    bool allow_unverified;
    /* Which findings may be acted on; NULL: all. What a change made for one of them calls for in turn is acted on too. */
    bool (*wants)(const void *context, const struct em_finding *finding);
    const void *wants_context;
    const char *prefix; /* what --root is on this machine: put before the root of the plan; NULL: "" */
    /* A wheel: only what this distribution owns is changed, whatever is installed beside it, and nothing of it lies on a disk, so
     * that the plan has no inputs. NULL: an environment. */
    const struct em_distribution *only;
};

int em_plan_make(struct em_plan *plan, struct em_arena *arena, const struct em_diagnosis *diagnosis,
                 const struct em_plan_wish *wish, struct em_error *error);

#endif
