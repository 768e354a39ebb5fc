#include "bundle/plan/ways.h"

#include "bundle/plan/pathlist.h"

/* The tag that an object has is kept. One with none gets DT_RPATH: its needed inherit it, and LD_LIBRARY_PATH does not win. A
 * RUNPATH would switch off what the object inherits, so it is never put where something is found that way. */
static void choose_tag(const struct em_planner *planner, struct em_draft_change *change, const struct em_finding *finding)
{
    if (change->tag != EM_TAG_KEEP)
        return;
    change->tag = EM_TAG_RPATH;
    if (planner->wish->tag != EM_TAG_RUNPATH)
        return;
    if (finding->inherited)
        change->reason =
            "DT_RPATH although DT_RUNPATH was asked for: the object finds other libraries by a path that it inherits, "
            "and DT_RUNPATH would switch that off";
    else
        change->tag = EM_TAG_RUNPATH;
}

/* One entry finds all members of a family: what the same round has put on the path resolves the others too. If it was there before
 * and the library is still not found, a path is not what is missing. */
static int already_there(struct em_planner *planner, const struct em_finding *finding)
{
    struct em_draft_change *change = em_draft_find(&planner->draft, finding->requester->path);

    if (change && change->round == planner->round)
        return em_planner_resolve(planner, change, finding);
    return em_planner_give_up(planner, finding, "the directory is on the path already, and it is not found there");
}

int em_way_lead(struct em_planner *planner, const struct em_finding *finding, const char *directory, bool *progress)
{
    struct em_draft_change *change;
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL, *entry;
    int r = em_planner_entry_to(planner, finding, finding->requester, directory, &entry);

    if (r < 0 || !entry)
        return r;
    r = em_planner_list_of(planner, finding->requester, &list, &tag);
    if (r < 0)
        return r;
    if (em_pathlist_has(list, entry))
        return already_there(planner, finding);
    r = em_planner_change_of(planner, finding->requester, list, tag, &change);
    if (r < 0)
        return r;
    choose_tag(planner, change, finding);
    change->value = em_pathlist_append(planner->arena, list, entry);
    change->round = planner->round;
    if (!change->value)
        return EM_NO_MEMORY;
    r = em_planner_lay_out(planner, change, progress);
    return r < 0 ? r : em_planner_resolve(planner, change, finding);
}

int em_way_path(struct em_planner *planner, const struct em_finding *finding, const char *reason, bool *progress)
{
    int r = em_way_lead(planner, finding, em_path_dirname(planner->arena, finding->provider->path), progress);
    struct em_draft_change *change = em_draft_find(&planner->draft, finding->requester->path);

    if (change && reason)
        change->reason = reason;
    return r;
}
