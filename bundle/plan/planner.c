#include "bundle/plan/planner.h"

#include "bundle/plan/draft.h"
#include "bundle/plan/edges.h"
#include "bundle/plan/pathlist.h"

#include <string.h>

/* A chain of requests, each visible only once the one before it is mended, is as long as a family is deep; real ones have three. */
#define MOST_ROUNDS 32

struct planner {
    struct em_arena *arena;
    const struct em_diagnosis *before;
    const struct em_plan_wish *wish;
    struct em_error *error;

    struct em_draft draft;
    struct em_diagnosis now; /* of the tree as the draft would make it */
    struct em_world world;   /* before's, over the draft's overlay */
    struct em_diagnose_cache cache;
    struct em_map barred;  /* path of an object that must be left alone -> why */
    struct em_map gave_up; /* finding -> why nothing was done */
    int round;             /* counts from 1 in each draft */
    bool restart;          /* an object was barred: the draft must begin anew without it */
};

static int give_up(struct planner *planner, const struct em_finding *finding, const char *why)
{
    const char *name = em_draft_finding_name(planner->arena, planner->before->env, finding);

    if (!name || !why)
        return EM_NO_MEMORY;
    return em_map_get(&planner->gave_up, name) ? EM_OK : em_map_put(&planner->gave_up, name, (void *)(uintptr_t)why);
}

static int bar(struct planner *planner, const char *path, const char *why)
{
    planner->restart = true;
    return why ? em_map_put(&planner->barred, path, (void *)(uintptr_t)why) : EM_NO_MEMORY;
}

static int add_resolved(struct planner *planner, struct em_draft_change *change, const struct em_finding *finding)
{
    const char *text = em_arena_printf(planner->arena, "%s %s", finding->id, finding->request);

    if (!text)
        return EM_NO_MEMORY;
    em_vec_each (const char *, known, &change->resolves)
        if (strcmp(*known, text) == 0)
            return EM_OK;
    return em_vec_push(planner->arena, &change->resolves, text);
}

/* What an object's path list is now: by its change, if there is one, else as on disk. Nothing is added to the draft. */
static int list_of(struct planner *planner, const struct em_env_object *object, const char **list, enum em_path_tag *tag)
{
    const struct em_draft_change *change = em_draft_find(&planner->draft, object->path);
    em_cleanup_file struct em_file *file = NULL;
    struct em_object parsed;
    int r;

    if (change) {
        *list = change->value ? change->value : change->old_value;
        *tag = change->tag;
        return EM_OK;
    }
    r = em_tree_open(planner->before->env->tree, object->path, &file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(planner->error, object->path, "cannot be opened");
    }
    r = em_object_read(&parsed, planner->arena, &file->reader, planner->error);
    if (r < 0)
        return r;
    *list = parsed.runpath ? parsed.runpath : parsed.rpath;
    *tag = parsed.runpath ? EM_TAG_RUNPATH : parsed.rpath ? EM_TAG_RPATH : EM_TAG_KEEP;
    return EM_OK;
}

static int change_of(struct planner *planner, const struct em_env_object *object, const char *list, enum em_path_tag tag,
                     struct em_draft_change **change)
{
    *change = em_draft_find(&planner->draft, object->path);
    if (*change)
        return EM_OK;
    *change = em_draft_add(&planner->draft, object->path, object->owner);
    if (!*change)
        return EM_NO_MEMORY;
    (*change)->old_value = list;
    (*change)->tag = tag;
    return EM_OK;
}

/* The tag that an object has is kept. One with none gets DT_RPATH: its needed inherit it, and LD_LIBRARY_PATH does not win. A
 * RUNPATH would switch off what the object inherits, so it is never put where something is found that way. */
static void choose_tag(const struct planner *planner, struct em_draft_change *change, const struct em_finding *finding)
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

static const char *directory_of(struct planner *planner, const char *path)
{
    return em_path_dirname(planner->arena, path);
}

/* One entry finds all members of a family: what the same round has put on the path resolves the others too. If it was there before
 * and the library is still not found, a path is not what is missing. */
static int already_there(struct planner *planner, const struct em_finding *finding)
{
    struct em_draft_change *change = em_draft_find(&planner->draft, finding->requester->path);

    if (change && change->round == planner->round)
        return add_resolved(planner, change, finding);
    return give_up(planner, finding, "the directory is on the path already, and it is not found there");
}

/* The requester's path list gets the provider's directory. */
static int set_path(struct planner *planner, const struct em_finding *finding, bool *progress)
{
    const char *from = directory_of(planner, finding->requester->path);
    const char *to = directory_of(planner, finding->provider->path);
    const char *entry = from && to ? em_pathlist_entry(planner->arena, from, to) : NULL;
    struct em_draft_change *change;
    struct em_error refusal = EM_ERROR_INIT;
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL;
    int r;

    if (!entry)
        return EM_NO_MEMORY;
    r = list_of(planner, finding->requester, &list, &tag);
    if (r < 0)
        return r;
    if (em_pathlist_has(list, entry))
        return already_there(planner, finding);
    r = change_of(planner, finding->requester, list, tag, &change);
    if (r < 0)
        return r;
    choose_tag(planner, change, finding);
    change->value = em_pathlist_append(planner->arena, list, entry);
    change->round = planner->round;
    if (!change->value)
        return EM_NO_MEMORY;
    r = em_draft_patch(&planner->draft, change, &refusal);
    if (r == EM_REFUSED || r == EM_UNSUPPORTED || r == EM_BAD_ELF)
        return bar(planner, change->path, em_arena_strdup(planner->arena, refusal.sentence));
    if (r < 0)
        return em_fail(planner->error, r, refusal.path, "%s", refusal.sentence);
    *progress = true;
    return add_resolved(planner, change, finding);
}

static struct em_candidate *find_candidate(struct planner *planner, const struct em_finding *finding, int *r)
{
    const struct em_world *world = planner->before->world;

    *r = EM_OK;
    em_vec_each (struct em_source *, source, &planner->wish->sources) {
        struct em_candidates found = { 0 };

        *r = em_source_find(*source, finding->request, world->is64, world->big_endian, world->machine, planner->arena, &found);
        if (*r < 0)
            return NULL;
        if (found.count > 0)
            return found.items[0];
    }
    return NULL;
}

/* A copy searches the same directories as the original did, spelled from its new place. */
static int move_paths(struct planner *planner, struct em_draft_change *change, const struct em_finding *finding)
{
    const struct em_object *object = &change->candidate->object;
    const struct em_distribution *distribution = change->candidate->distribution;
    const struct em_env *env = planner->before->env;
    const char *site = finding->requester->owner ? finding->requester->owner->site
                       : env->sites.count > 0    ? env->sites.items[0]
                                                 : em_draft_root(planner->arena, env);
    const char *from = directory_of(planner, change->candidate->path);
    const char *to = directory_of(planner, change->path);
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

/* The library goes where the requester is, under the name that is asked for. That the requester looks there, and what the copy itself
 * asks for, is the next round's business. */
static int copy(struct planner *planner, const struct em_finding *finding, bool *progress)
{
    const char *directory = directory_of(planner, finding->requester->path);
    const char *path = directory ? em_path_join(planner->arena, directory, finding->request) : NULL;
    struct em_draft_change *change;
    struct em_candidate *candidate;
    struct em_node node;
    int r;

    if (!path)
        return EM_NO_MEMORY;
    if (em_draft_find(&planner->draft, path))
        return EM_OK;
    candidate = find_candidate(planner, finding, &r);
    /* Not in the sources, but in the environment: then a path to it does what the copy would have done. */
    if (!candidate && r == EM_OK && finding->provider)
        return set_path(planner, finding, progress);
    if (!candidate)
        return r < 0 ? r
                     : give_up(planner, finding,
                               planner->wish->sources.count == 0 ? "nothing to copy it from: name a place with --source"
                                                                 : "none of the sources has it for this machine");
    if (em_tree_stat_link(planner->before->env->tree, path, &node) == 0)
        return give_up(planner, finding, "a file of that name is there already and is not what is asked for");
    r = em_candidate_verify(candidate, planner->wish->pins, planner->wish->allow_unverified, planner->error);
    if (r < 0)
        return r;
    change = em_draft_add(&planner->draft, path, finding->requester->owner);
    if (!change)
        return EM_NO_MEMORY;
    change->candidate = candidate;
    *progress = true;
    r = move_paths(planner, change, finding);
    return r < 0 ? r : add_resolved(planner, change, finding);
}

/* What one finding calls for. */
static int act_on(struct planner *planner, const struct em_finding *finding, bool *progress)
{
    const char *barred = finding->requester ? em_map_get(&planner->barred, finding->requester->path) : NULL;
    bool want_copy = finding->wants_copy || (planner->wish->strategy == EM_STRATEGY_COPY && planner->wish->sources.count > 0);

    if (!finding->requester || finding->severity == EM_SEVERITY_NOTE)
        return EM_OK;
    if (planner->wish->only && finding->requester->owner != planner->wish->only)
        return EM_OK;
    if (barred)
        return give_up(planner, finding, barred);
    if (!em_path_is_below(finding->requester->path, planner->before->env->path))
        return give_up(planner, finding, "the object lies outside of the target");
    if (strcmp(finding->id, "EM104") == 0)
        return give_up(planner, finding, "another major is never bridged: install the package that the help names");
    /* A copy that was made in this draft is a provider beside its requester: from then on the path is what is missing. */
    if (finding->provider && (!want_copy || em_draft_find(&planner->draft, finding->provider->path)))
        return set_path(planner, finding, progress);
    if (want_copy && planner->wish->strategy != EM_STRATEGY_PATH)
        return copy(planner, finding, progress);
    return give_up(planner, finding, "it is nowhere in this environment, and strategy path copies nothing");
}

static int diagnose_draft(struct planner *planner)
{
    struct em_diagnose_options options = { .cache = &planner->cache };
    int r = em_draft_lay(&planner->draft, planner->error);

    if (r < 0)
        return r;
    planner->world = *planner->before->world;
    planner->world.tree = planner->draft.overlay;
    return em_diagnose(&planner->now, planner->arena, &planner->draft.laid, &planner->world, planner->before->knowledge,
                       &options, planner->error);
}

/* Rounds until nothing more can be mended. */
static int draft(struct planner *planner)
{
    planner->draft.changes.count = 0;
    planner->draft.by_path = (struct em_map){ .arena = planner->arena };
    planner->gave_up = (struct em_map){ .arena = planner->arena };
    planner->now = *planner->before;
    for (planner->round = 1; planner->round <= MOST_ROUNDS; planner->round++) {
        bool progress = false;
        int r;

        em_vec_each (struct em_finding, finding, &planner->now.findings) {
            r = act_on(planner, finding, &progress);
            if (r < 0 || planner->restart)
                return r;
        }
        if (!progress)
            return EM_OK;
        r = diagnose_draft(planner);
        if (r < 0)
            return r;
    }
    return em_fail(planner->error, EM_REFUSED, planner->before->env->given,
                   "still has requests that appear only when others are mended, after %d rounds", MOST_ROUNDS);
}

/* An edge that the draft would lose bars the object that asks, or the whole plan if that one is not touched. */
static int keep_edges(struct planner *planner)
{
    const char *now, *why;
    const struct em_edge *lost;
    int r;

    if (planner->draft.changes.count == 0)
        return EM_OK;
    lost = em_edges_lost(planner->before, &planner->now, planner->arena, &now, &r);
    if (!lost)
        return r;
    why = em_arena_printf(planner->arena, "%s would find %s %s instead of in %s",
                          em_env_show(planner->before->env, lost->object), lost->name, now ? now : "no longer", lost->path);
    if (!why)
        return EM_NO_MEMORY;
    em_vec_each (struct em_draft_change *, change, &planner->draft.changes) {
        if (strcmp((*change)->path, lost->object) != 0 || em_map_get(&planner->barred, (*change)->path))
            continue;
        return bar(planner, (*change)->path, why);
    }
    return em_fail(planner->error, EM_REFUSED, planner->before->env->given, "cannot be repaired without loss: %s", why);
}

int em_plan_make(struct em_plan *plan, struct em_arena *arena, const struct em_diagnosis *diagnosis,
                 const struct em_plan_wish *wish, struct em_error *error)
{
    struct planner planner = { .arena = arena,
                               .before = diagnosis,
                               .wish = wish,

                               .error = error,
                               .draft = { .arena = arena, .env = diagnosis->env },
                               .barred = { .arena = arena },
                               .cache = { .names = { .arena = arena } } };
    int r;

    *plan = (struct em_plan){ .target = diagnosis->env->given };
    /* Each new start has one more object barred, so there is an end. */
    do {
        planner.restart = false;
        r = draft(&planner);
        if (r == EM_OK && !planner.restart)
            r = keep_edges(&planner);
    } while (r == EM_OK && planner.restart);
    if (r == EM_OK)
        r = em_draft_to_plan(plan, &planner.draft, &planner.now, &planner.gave_up, wish, error);
    em_draft_close(&planner.draft);
    return r;
}
