#include "bundle/plan/ways.h"

#include "bundle/plan/pathlist.h"

#include <string.h>

/* A copy searches the same directories as the original did, spelled from its new place. */
static int move_paths(struct em_planner *planner, struct em_draft_change *change, const struct em_finding *finding)
{
    const struct em_object *object = &change->candidate->object;
    const struct em_distribution *distribution = change->candidate->distribution;
    const struct em_env *env = planner->before->env;
    const char *site = finding->requester->owner ? finding->requester->owner->site
                       : env->sites.count > 0    ? env->sites.items[0]
                                                 : em_draft_root(planner->arena, env);
    const char *from = em_path_dirname(planner->arena, change->candidate->path);
    const char *to = em_path_dirname(planner->arena, change->path);
    const char *list = object->runpath ? object->runpath : object->rpath;
    const char *moved;

    change->old_value = list;
    change->tag = object->runpath ? EM_TAG_RUNPATH : object->rpath ? EM_TAG_RPATH : EM_TAG_KEEP;
    if (!list)
        return EM_OK;
    if (!from || !to)
        return EM_NO_MEMORY;
    moved = em_pathlist_move(planner->arena, list, from, distribution ? distribution->site : NULL, to, site, env->tree);
    if (!moved)
        return EM_NO_MEMORY;
    if (strcmp(moved, list) == 0)
        return EM_OK;
    change->value = moved;
    return em_draft_patch(&planner->draft, change, planner->error);
}

/* The family is looked for as a whole: with all that is asked for now. */
static int find_candidate(struct em_planner *planner, const struct em_finding *finding, struct em_candidate **candidate)
{
    *candidate = NULL;
    if (planner->wish->sources.count == 0)
        return EM_OK;
    if (!planner->together.items)
        em_vec_each (struct em_finding, other, &planner->now.findings)
            if (em_planner_is_actionable(planner, other) && em_planner_wants_copy(planner, other) &&
                em_vec_push(planner->arena, &planner->together, *other) < 0)
                return EM_NO_MEMORY;
    return em_provide(&planner->provision, planner->draft.overlay ? planner->draft.overlay : planner->before->env->tree,
                      &planner->together, finding, candidate, planner->error);
}

/* The copy that is made at path; one that takes the place of what goes from there is no removal any more. */
static struct em_draft_change *copy_to(struct em_planner *planner, const char *path, const struct em_finding *finding,
                                       struct em_candidate *candidate)
{
    struct em_draft_change *change = em_draft_find(&planner->draft, path);
    struct em_distribution *owner = finding->requester->owner;

    if (change)
        *change = (struct em_draft_change){ .path = change->path, .owner = owner, .resolves = change->resolves };
    else
        change = em_draft_add(&planner->draft, path, owner);
    if (change)
        change->candidate = candidate;
    return change;
}

int em_way_copy(struct em_planner *planner, const struct em_finding *finding, bool *progress)
{
    const char *directory = em_path_dirname(planner->arena, finding->requester->path);
    const char *path = directory ? em_path_join(planner->arena, directory, finding->request) : NULL;
    struct em_draft_change *change;
    struct em_candidate *candidate;
    struct em_node node;
    int r;

    if (!path)
        return EM_NO_MEMORY;
    change = em_draft_find(&planner->draft, path);
    if (change && !change->remove)
        return EM_OK;
    if (em_map_get(&planner->barred, path))
        return em_planner_give_up(planner, finding, em_map_get(&planner->barred, path));
    r = find_candidate(planner, finding, &candidate);
    if (r < 0)
        return r;
    /* Not in the sources, but in the environment: then a path to it does what the copy would have done. */
    if (!candidate && finding->provider)
        return em_way_path(planner, finding, NULL, progress);
    if (!candidate)
        return em_planner_give_up(planner, finding,
                                  planner->wish->sources.count > 0
                                      ? "no source has it, or its family whole, as this environment needs it"
                                  : em_planner_is_other_major(finding)
                                      ? "another major is never bridged: install the package that the help names, or name a "
                                        "place with --source to copy it from"
                                      : "nothing to copy it from: name a place with --source");
    if (!change && em_tree_stat_link(planner->before->env->tree, path, &node) == 0)
        return em_planner_give_up(planner, finding, "a file of that name is there already and is not what is asked for");
    r = em_candidate_vouch(candidate, planner->wish->pins, planner->wish->allow_unverified, planner->error);
    if (r < 0)
        return r;
    change = copy_to(planner, path, finding, candidate);
    if (!change)
        return EM_NO_MEMORY;
    *progress = true;
    r = move_paths(planner, change, finding);
    if (r == EM_OK)
        r = em_planner_resolve(planner, change, finding);
    return r < 0 ? r : em_way_lead(planner, finding, directory, progress);
}
