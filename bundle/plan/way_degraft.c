#include "bundle/plan/ways.h"

#include "bundle/plan/degraft.h"
#include "bundle/plan/pathlist.h"

/* A consumer of the private copy needs the public library, and has the path to it. */
static int rewire(struct em_planner *planner, const struct em_finding *finding, const struct em_degraft *degraft,
                  const struct em_env_object *consumer, const char *reason, struct em_draft_change **change, bool *progress)
{
    const struct em_rename rename = { degraft->from, degraft->to, reason };
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL, *entry;
    int r = em_planner_entry_to(planner, finding, consumer, em_path_dirname(planner->arena, degraft->provider->path), &entry);

    if (r == EM_OK && entry)
        r = em_planner_list_of(planner, consumer, &list, &tag);
    if (r == EM_OK && entry)
        r = em_planner_change_of(planner, consumer, list, tag, change);
    if (r < 0 || !entry)
        return r;
    /* What else it finds by a path that it inherits it must go on finding: DT_RPATH, if it has neither. */
    if ((*change)->tag == EM_TAG_KEEP)
        (*change)->tag = EM_TAG_RPATH;
    (*change)->value = em_pathlist_append(planner->arena, list, entry);
    (*change)->round = planner->round;
    if (!(*change)->value || em_vec_push(planner->arena, &(*change)->renames, rename) < 0)
        return EM_NO_MEMORY;
    return em_planner_lay_out(planner, *change, progress);
}

int em_way_degraft(struct em_planner *planner, const struct em_finding *finding, const char *because, struct em_degraft *found,
                   bool *progress)
{
    struct em_draft_change *change = em_map_get(&planner->draft.retired, finding->requester->path);
    const char *reason;
    int r;

    *found = (struct em_degraft){ 0 };
    if (change)
        return em_planner_resolve(planner, change, finding);
    r = em_degraft_find(found, planner->arena, planner->before->env, finding->requester, finding->provider, planner->error);
    for (size_t i = 0; r == EM_OK && !found->why && i < found->consumers.count; i++)
        found->why = em_planner_immovable(planner, found->consumers.items[i]);
    if (r < 0 || found->why)
        return r;
    reason = em_arena_printf(planner->arena, "%s of %s instead of the private copy of it: %s", found->to,
                             found->provider->owner ? found->provider->owner->name : "this environment", because);
    if (!reason)
        return EM_NO_MEMORY;
    em_vec_each (const struct em_env_object *, consumer, &found->consumers) {
        change = NULL;
        r = rewire(planner, finding, found, *consumer, reason, &change, progress);
        if (r < 0 || !change || planner->restart)
            return r;
    }
    r = em_map_put(&planner->draft.retired, finding->requester->path, change);
    return r < 0 ? r : em_planner_resolve(planner, change, finding);
}
