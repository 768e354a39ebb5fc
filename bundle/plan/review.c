#include "bundle/plan/review.h"

#include "bundle/plan/edges.h"

#include <string.h>

/* A change after which the loader still misses all that it was made for is no repair. What is left of a change's reasons stands. */
static int drop_useless(struct em_planner *planner)
{
    em_vec_each (struct em_finding, finding, &planner->now.findings) {
        struct em_draft_change *change = finding->requester ? em_draft_find(&planner->draft, finding->requester->path) : NULL;
        const char *text;
        size_t kept = 0;

        if (!change || !finding->request || change->candidate)
            continue;
        text = em_arena_printf(planner->arena, "%s %s", finding->id, finding->request);
        if (!text)
            return EM_NO_MEMORY;
        for (size_t i = 0; i < change->resolves.count; i++)
            if (strcmp(change->resolves.items[i], text) != 0)
                change->resolves.items[kept++] = change->resolves.items[i];
        if (kept == change->resolves.count)
            continue;
        change->resolves.count = kept;
        if (kept == 0 && em_planner_bar(planner, change->path,
                                        "a path to it was tried, and the loader still does not take what is there") < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* What goes must be missed by nobody: what was answered before is answered by something else then, or it stays. */
static int keep_answers(struct em_planner *planner)
{
    struct em_map before = { .arena = planner->arena };
    const char *missed = NULL;

    em_vec_each (const struct em_finding, finding, &planner->before->findings) {
        const char *name = em_draft_finding_name(planner->arena, planner->before->env, finding);

        if (!name || em_map_put(&before, name, finding) < 0)
            return EM_NO_MEMORY;
    }
    em_vec_each (const struct em_finding, finding, &planner->now.findings) {
        const char *name = em_draft_finding_name(planner->arena, planner->before->env, finding);

        if (!name)
            return EM_NO_MEMORY;
        if (finding->severity == EM_SEVERITY_ERROR && finding->requester && !em_map_get(&before, name))
            missed = name;
    }
    em_vec_each (struct em_draft_change *, change, &planner->draft.changes)
        if (missed && (*change)->remove &&
            em_planner_bar(planner, (*change)->path, em_arena_printf(planner->arena, "without it there would be %s", missed)) <
                0)
            return EM_NO_MEMORY;
    return EM_OK;
}

/* The change to blame for a lost edge: of the object that asks; else of the one whose path now answers; NULL: neither is touched. */
static struct em_draft_change *blame(struct em_planner *planner, const struct em_lost *lost)
{
    struct em_draft_change *change = em_draft_find(&planner->draft, lost->before->object);
    const char *owner = lost->after && lost->after->owner ? em_path_normal(planner->arena, lost->after->owner) : NULL;

    if (!change && owner)
        change = em_draft_find(&planner->draft, owner);
    return change;
}

static const char *tell_lost(struct em_planner *planner, const struct em_lost *lost)
{
    return em_arena_printf(planner->arena, "%s would find %s in %s instead of in %s",
                           em_env_show(planner->before->env, lost->before->object), lost->before->name,
                           lost->after && lost->after->path ? lost->after->path : "no place", lost->before->path);
}

/* Changes that would lose an edge are barred, all that can be told in one go. What an object asked for that is itself not loaded any more
 * is the consequence of another loss; where no change can be told for any, none is made. */
static int keep_edges(struct em_planner *planner)
{
    struct em_losts losts = { 0 };
    int r;

    if (planner->draft.changes.count == 0)
        return EM_OK;
    r = em_edges_lost(&losts, planner->arena, planner->before, &planner->now, &planner->draft);
    em_vec_each (struct em_lost, lost, &losts) {
        struct em_draft_change *change = blame(planner, lost);

        if (r == EM_OK && change)
            r = em_planner_bar(planner, change->path, tell_lost(planner, lost));
    }
    if (r < 0 || losts.count == 0 || planner->restart)
        return r;
    em_vec_each (struct em_draft_change *, change, &planner->draft.changes)
        if (em_planner_bar(planner, (*change)->path, tell_lost(planner, losts.items)) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

int em_review_draft(struct em_planner *planner)
{
    int r = drop_useless(planner);

    if (r == EM_OK && !planner->restart)
        r = keep_answers(planner);
    if (r == EM_OK && !planner->restart)
        r = keep_edges(planner);
    return r;
}
