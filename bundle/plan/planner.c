#include "bundle/plan/planner.h"

#include "bundle/plan/review.h"
#include "bundle/plan/ways.h"

#include <string.h>

/* A chain of requests, each visible only once the one before it is mended, is as long as a family is deep; real ones have three. */
#define MOST_ROUNDS 32

/* The object asks for an executable stack no longer, whatever else is changed of it. */
static int clear_stack(struct em_planner *planner, const struct em_finding *finding, bool *progress)
{
    struct em_draft_change *change = NULL;
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL;
    int r = em_planner_list_of(planner, finding->requester, &list, &tag);

    if (r == EM_OK)
        r = em_planner_change_of(planner, finding->requester, list, tag, &change);
    if (r < 0)
        return r;
    change->clear_stack = true;
    return em_planner_lay_out(planner, change, progress);
}

static bool is_going(const struct em_planner *planner, const struct em_env_object *object)
{
    const struct em_draft_change *change = em_draft_find(&planner->draft, object->path);

    return change && change->remove;
}

/* What one finding calls for. */
static int act_on(struct em_planner *planner, const struct em_finding *finding, bool *progress)
{
    const enum em_strategy strategy = planner->wish->strategy;
    struct em_degraft found = { 0 };
    const char *why;
    int r;

    if (finding->mend == EM_MEND_AWAY)
        return em_way_remove(planner, finding, progress);
    if (!em_planner_is_actionable(planner, finding) || is_going(planner, finding->requester))
        return EM_OK;
    why = em_planner_immovable(planner, finding->requester);
    /* Where no path can be written, or where it is asked for; what is no private copy, or cannot be given up, is as any other. */
    if (finding->mend == EM_MEND_REACH && finding->provider &&
        (strategy == EM_STRATEGY_DEGRAFT || (why && strategy == EM_STRATEGY_AUTO))) {
        r = em_way_degraft(planner, finding, why ? why : "as --strategy degraft asks", &found, progress);
        if (r < 0 || !found.why)
            return r;
    }
    if (why)
        return em_planner_give_up(planner, finding, why);
    if (finding->mend == EM_MEND_STACK)
        return clear_stack(planner, finding, progress);
    /* A copy that was made in this draft is a provider beside its requester: from then on the path is what is missing. */
    if (finding->provider &&
        (!em_planner_wants_copy(planner, finding) || em_draft_find(&planner->draft, finding->provider->path)))
        return em_way_path(planner, finding, found.provider ? found.why : NULL, progress);
    if (em_planner_wants_copy(planner, finding))
        return em_way_copy(planner, finding, progress);
    return em_planner_give_up(planner, finding,
                              em_planner_is_other_major(finding)
                                  ? "another major is never bridged: install the package that the help names"
                              : planner->wish->strategy == EM_STRATEGY_DEGRAFT
                                  ? "it is nowhere in this environment, and strategy degraft copies nothing"
                                  : "it is nowhere in this environment, and strategy path copies nothing");
}

/* Each round's diagnosis has an arena of its own: what lasts is in the draft and in the planner. */
static int diagnose_draft(struct em_planner *planner)
{
    struct em_diagnose_options options = { .cache = &planner->cache, .gpu_wanted = planner->wish->sources.count > 0 };
    struct em_arena *fresh = em_arena_new();
    int r = fresh ? em_draft_lay(&planner->draft, fresh, planner->error) : EM_NO_MEMORY;

    planner->world = *planner->before->world;
    planner->world.tree = planner->draft.overlay;
    if (r == EM_OK)
        r = em_diagnose(&planner->now, fresh, &planner->draft.laid, &planner->world, planner->before->knowledge, &options,
                        planner->error);
    em_arena_free(planner->round_arena);
    planner->round_arena = fresh;
    return r;
}

/* Rounds until nothing more can be mended. */
static int draft(struct em_planner *planner)
{
    planner->draft.changes.count = 0;
    em_provision_init(&planner->provision, planner->arena, planner->before, planner->wish);
    planner->draft.by_path = (struct em_map){ .arena = planner->arena };
    planner->draft.retired = (struct em_map){ .arena = planner->arena };
    planner->draft.unlinked = (struct em_map){ .arena = planner->arena };
    planner->gave_up = (struct em_map){ .arena = planner->arena };
    planner->resolved = (struct em_map){ .arena = planner->arena };
    planner->now = *planner->before;
    for (planner->round = 1; planner->round <= MOST_ROUNDS; planner->round++) {
        bool progress = false;
        int r;

        planner->together = (struct em_findings){ 0 };
        em_vec_each (struct em_finding, finding, &planner->now.findings) {
            r = act_on(planner, finding, &progress);
            if (r < 0)
                return r;
        }
        if (!progress || planner->restart)
            return EM_OK;
        r = diagnose_draft(planner);
        if (r < 0)
            return r;
    }
    return em_fail(planner->error, EM_REFUSED, planner->before->env->given,
                   "still has requests that appear only when others are mended, after %d rounds", MOST_ROUNDS);
}

int em_plan_make(struct em_plan *plan, struct em_arena *arena, const struct em_diagnosis *diagnosis,
                 const struct em_plan_wish *wish, struct em_error *error)
{
    struct em_planner planner = { .arena = arena,
                                  .before = diagnosis,
                                  .wish = wish,
                                  .error = error,
                                  .draft = { .arena = arena, .env = diagnosis->env },
                                  .barred = { .arena = arena },
                                  .lists = { .arena = arena },
                                  .cache = { .names = { .arena = arena }, .stacks = { .arena = arena } } };
    int r;

    *plan = (struct em_plan){ .target = diagnosis->env->given };
    /* Each new start has more objects barred, so there is an end. */
    do {
        planner.restart = false;
        r = draft(&planner);
        if (r == EM_OK && !planner.restart)
            r = em_review_draft(&planner);
    } while (r == EM_OK && planner.restart);
    if (r == EM_OK)
        r = em_provision_tell(&planner.provision, plan);
    if (r == EM_OK)
        r = em_draft_to_plan(plan, &planner.draft, &planner.now, &planner.gave_up, wish, error);
    em_draft_close(&planner.draft);
    em_arena_free(planner.round_arena);
    return r;
}
