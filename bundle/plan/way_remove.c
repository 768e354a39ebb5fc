#include "bundle/plan/ways.h"

#include <string.h>

int em_way_remove(struct em_planner *planner, const struct em_finding *finding, bool *progress)
{
    const bool copies = planner->wish->strategy == EM_STRATEGY_AUTO || planner->wish->strategy == EM_STRATEGY_COPY;
    const char *barred = em_map_get(&planner->barred, finding->obstacle);
    struct em_draft_change *change = em_draft_find(&planner->draft, finding->obstacle);

    if (planner->wish->only || !em_planner_passes(planner, finding))
        return EM_OK;
    if (barred)
        return em_planner_give_up(planner, finding, barred);
    if (!em_path_is_below(finding->obstacle, planner->before->env->path))
        return em_planner_give_up(planner, finding, "it lies outside of the target");
    if (!finding->provider && (!copies || planner->wish->sources.count == 0))
        return em_planner_give_up(planner, finding,
                                  "nothing would take its place: install the package, or name a place with --source");
    if (change && change->remove)
        return em_planner_resolve(planner, change, finding);
    if (!change)
        change = em_draft_add(&planner->draft, finding->obstacle, NULL);
    if (!change)
        return EM_NO_MEMORY;
    *change = (struct em_draft_change){ .path = change->path,
                                        .remove = true,
                                        .reason = "nobody installed it, and it hides the library that belongs there" };
    *progress = true;
    if (strcmp(finding->object, finding->obstacle) != 0 && em_map_put(&planner->draft.unlinked, finding->object, change) < 0)
        return EM_NO_MEMORY;
    return em_planner_resolve(planner, change, finding);
}
