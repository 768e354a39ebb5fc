#include "bundle/plan/planner.h"

#include "bundle/plan/degraft.h"
#include "bundle/plan/draft.h"
#include "bundle/plan/edges.h"
#include "bundle/plan/pathlist.h"
#include "bundle/plan/provision.h"

#include <string.h>

/* A chain of requests, each visible only once the one before it is mended, is as long as a family is deep; real ones have three. */
#define MOST_ROUNDS 32

struct planner {
    struct em_arena *arena;
    const struct em_diagnosis *before;
    const struct em_plan_wish *wish;
    struct em_error *error;

    struct em_draft draft;
    struct em_provision provision;
    struct em_diagnosis now; /* of the tree as the draft would make it */
    struct em_world world;   /* before's, over the draft's overlay */
    struct em_diagnose_cache cache;
    struct em_map barred;         /* path of an object that must be left alone -> why */
    struct em_map gave_up;        /* finding -> why nothing was done */
    int round;                    /* counts from 1 in each draft */
    bool restart;                 /* objects were barred: the draft must begin anew without them */
    struct em_arena *round_arena; /* of now, if it is not before */
};

static int give_up(struct planner *planner, const struct em_finding *finding, const char *why)
{
    const char *name = em_draft_finding_name(planner->arena, planner->before->env, finding);

    if (!name || !why)
        return EM_NO_MEMORY;
    return em_map_get(&planner->gave_up, name) ? EM_OK : em_map_put(&planner->gave_up, name, why);
}

static int bar(struct planner *planner, const char *path, const char *why)
{
    planner->restart = true;
    return why ? em_map_put(&planner->barred, path, why) : EM_NO_MEMORY;
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

/* An object that cannot take its edits is left alone. */
static int lay_out(struct planner *planner, struct em_draft_change *change, bool *progress)
{
    struct em_error refusal = EM_ERROR_INIT;
    int r = em_draft_patch(&planner->draft, change, &refusal);

    if (r == EM_REFUSED || r == EM_UNSUPPORTED || r == EM_BAD_ELF)
        return bar(planner, change->path, em_arena_strdup(planner->arena, refusal.sentence));
    if (r < 0)
        return em_fail(planner->error, r, refusal.path, "%s", refusal.sentence);
    *progress = true;
    return EM_OK;
}

/* How a path list of the object names a directory; NULL in *entry: it cannot, and the finding is given up. */
static int entry_to(struct planner *planner, const struct em_finding *finding, const struct em_env_object *object,
                    const char *directory, const char **entry)
{
    const char *from = directory_of(planner, object->path);

    *entry = from && directory ? em_pathlist_entry(planner->arena, from, directory) : NULL;
    if (!*entry)
        return EM_NO_MEMORY;
    /* A colon would end the entry, a dollar might begin a token: such a directory cannot be named in a path list. */
    if (!strpbrk(*entry + strlen("$ORIGIN"), ":$"))
        return EM_OK;
    *entry = NULL;
    return give_up(planner, finding, em_arena_printf(planner->arena, "%s cannot be spelled in a path list", directory));
}

/* The requester's path list gets a directory. */
static int lead_to(struct planner *planner, const struct em_finding *finding, const char *directory, bool *progress)
{
    struct em_draft_change *change;
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL, *entry;
    int r = entry_to(planner, finding, finding->requester, directory, &entry);

    if (r < 0 || !entry)
        return r;
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
    r = lay_out(planner, change, progress);
    return r < 0 ? r : add_resolved(planner, change, finding);
}

/* reason: why this and not another way; NULL: it is the usual one. */
static int set_path(struct planner *planner, const struct em_finding *finding, const char *reason, bool *progress)
{
    int r = lead_to(planner, finding, directory_of(planner, finding->provider->path), progress);
    struct em_draft_change *change = em_draft_find(&planner->draft, finding->requester->path);

    if (change && reason)
        change->reason = reason;
    return r;
}

/* ---- degraft ---- */

/* Why the object must not be replaced, though it is below the target; NULL: it may be. */
static const char *untouchable(struct planner *planner, const struct em_env_object *object)
{
    struct em_node node;
    char *target;

    if (em_tree_stat_link(planner->before->env->tree, object->path, &node) < 0 || node.kind != EM_NODE_LINK)
        return NULL;
    if (em_tree_read_link(planner->before->env->tree, planner->arena, object->path, &target) < 0)
        target = NULL;
    return em_arena_printf(planner->arena,
                           "is a link to %s, and nothing is changed through links: install with copies (uv: --link-mode=copy)",
                           target ? target : "elsewhere");
}

/* Why an object that is to be changed must not be; NULL: it may be. */
static const char *immovable(struct planner *planner, const struct em_env_object *object)
{
    const char *barred = em_map_get(&planner->barred, object->path);

    if (barred)
        return barred;
    if (!em_path_is_below(object->path, planner->before->env->path))
        return "the object lies outside of the target";
    return em_draft_find(&planner->draft, object->path) ? NULL : untouchable(planner, object);
}

/* A consumer of the private copy needs the public library, and has the path to it. */
static int rewire(struct planner *planner, const struct em_finding *finding, const struct em_degraft *degraft,
                  const struct em_env_object *consumer, const char *reason, struct em_draft_change **change, bool *progress)
{
    const struct em_rename rename = { degraft->from, degraft->to, reason };
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL, *entry;
    int r = entry_to(planner, finding, consumer, directory_of(planner, degraft->provider->path), &entry);

    if (r == EM_OK && entry)
        r = list_of(planner, consumer, &list, &tag);
    if (r == EM_OK && entry)
        r = change_of(planner, consumer, list, tag, change);
    if (r < 0 || !entry)
        return r;
    /* What else it finds by a path that it inherits it must go on finding: DT_RPATH, if it has neither. */
    if ((*change)->tag == EM_TAG_KEEP)
        (*change)->tag = EM_TAG_RPATH;
    (*change)->value = em_pathlist_append(planner->arena, list, entry);
    (*change)->round = planner->round;
    if (!(*change)->value || em_vec_push(planner->arena, &(*change)->renames, rename) < 0)
        return EM_NO_MEMORY;
    return lay_out(planner, *change, progress);
}

/* The requester is a private copy of a library that is installed: whoever needs it needs that one instead. because: why a path is not
 * what is wanted. found->why: why that cannot be either. */
static int degraft(struct planner *planner, const struct em_finding *finding, const char *because, struct em_degraft *found,
                   bool *progress)
{
    struct em_draft_change *change = em_map_get(&planner->draft.retired, finding->requester->path);
    const char *reason;
    int r;

    *found = (struct em_degraft){ 0 };
    if (change)
        return add_resolved(planner, change, finding);
    r = em_degraft_find(found, planner->arena, planner->before->env, finding->requester, finding->provider, planner->error);
    for (size_t i = 0; r == EM_OK && !found->why && i < found->consumers.count; i++)
        found->why = immovable(planner, found->consumers.items[i]);
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
    return r < 0 ? r : add_resolved(planner, change, finding);
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

/* --only, --ignore. */
static bool passes_filter(const struct planner *planner, const struct em_finding *finding)
{
    return !planner->wish->wants || planner->wish->wants(planner->wish->wants_context, finding);
}

/* The user's filters hold for what was found; a copy that we make is ours to complete. */
static bool is_wanted(const struct planner *planner, const struct em_finding *finding)
{
    const struct em_draft_change *change = em_draft_find(&planner->draft, finding->requester->path);

    return (change && change->candidate) || passes_filter(planner, finding);
}

static bool wants_copy(const struct planner *planner, const struct em_finding *finding)
{
    return finding->mend == EM_MEND_REACH && planner->wish->strategy != EM_STRATEGY_PATH &&
           planner->wish->strategy != EM_STRATEGY_DEGRAFT &&
           (finding->wants_copy || (planner->wish->strategy == EM_STRATEGY_COPY && planner->wish->sources.count > 0));
}

/* Something that a change of its requester, which is ours to change, could mend. */
static bool is_actionable(const struct planner *planner, const struct em_finding *finding)
{
    return finding->requester && finding->mend != EM_MEND_AWAY && finding->severity != EM_SEVERITY_NOTE &&
           strcmp(finding->id, "EM104") != 0 && (!planner->wish->only || finding->requester->owner == planner->wish->only) &&
           is_wanted(planner, finding);
}

/* The family is looked for as a whole: with all that is asked for now. */
static int find_candidate(struct planner *planner, const struct em_finding *finding, struct em_candidate **candidate)
{
    struct em_findings together = { 0 };

    em_vec_each (struct em_finding, other, &planner->now.findings)
        if (is_actionable(planner, other) && wants_copy(planner, other) && em_vec_push(planner->arena, &together, *other) < 0)
            return EM_NO_MEMORY;
    return em_provide(&planner->provision, planner->draft.overlay ? planner->draft.overlay : planner->before->env->tree,
                      &together, finding, candidate, planner->error);
}

/* The copy that is made at path; one that takes the place of what goes from there is no removal any more. */
static struct em_draft_change *copy_to(struct planner *planner, const char *path, const struct em_finding *finding,
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

/* The library goes where the requester is, under the name that is asked for. The requester looks there by a path of its own: one that
 * it inherits leads there only where its consumer loads it. What the copy itself asks for is the next round's business. */
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
    change = em_draft_find(&planner->draft, path);
    if (change && !change->remove)
        return EM_OK;
    if (em_map_get(&planner->barred, path))
        return give_up(planner, finding, em_map_get(&planner->barred, path));
    r = find_candidate(planner, finding, &candidate);
    if (r < 0)
        return r;
    /* Not in the sources, but in the environment: then a path to it does what the copy would have done. */
    if (!candidate && finding->provider)
        return set_path(planner, finding, NULL, progress);
    if (!candidate)
        return give_up(planner, finding,
                       planner->wish->sources.count == 0
                           ? "nothing to copy it from: name a place with --source"
                           : "no source has it, or its family whole, as this environment needs it");
    if (!change && em_tree_stat_link(planner->before->env->tree, path, &node) == 0)
        return give_up(planner, finding, "a file of that name is there already and is not what is asked for");
    r = em_candidate_vouch(candidate, planner->wish->pins, planner->wish->allow_unverified, planner->error);
    if (r < 0)
        return r;
    change = copy_to(planner, path, finding, candidate);
    if (!change)
        return EM_NO_MEMORY;
    *progress = true;
    r = move_paths(planner, change, finding);
    if (r == EM_OK)
        r = add_resolved(planner, change, finding);
    return r < 0 ? r : lead_to(planner, finding, directory, progress);
}

/* The object asks for an executable stack no longer, whatever else is changed of it. */
static int clear_stack(struct planner *planner, const struct em_finding *finding, bool *progress)
{
    struct em_draft_change *change = NULL;
    enum em_path_tag tag = EM_TAG_KEEP;
    const char *list = NULL;
    int r = list_of(planner, finding->requester, &list, &tag);

    if (r == EM_OK)
        r = change_of(planner, finding->requester, list, tag, &change);
    if (r < 0)
        return r;
    change->clear_stack = true;
    return lay_out(planner, change, progress);
}

/* ---- what nobody installed ---- */

/* A library, or a link to one, that answers instead of what belongs there goes, where there is something to take its place. What its
 * absence calls for is the next round's business. */
static int take_away(struct planner *planner, const struct em_finding *finding, bool *progress)
{
    const bool copies = planner->wish->strategy == EM_STRATEGY_AUTO || planner->wish->strategy == EM_STRATEGY_COPY;
    const char *barred = em_map_get(&planner->barred, finding->obstacle);
    struct em_draft_change *change = em_draft_find(&planner->draft, finding->obstacle);

    if (planner->wish->only || !passes_filter(planner, finding))
        return EM_OK;
    if (barred)
        return give_up(planner, finding, barred);
    if (!em_path_is_below(finding->obstacle, planner->before->env->path))
        return give_up(planner, finding, "it lies outside of the target");
    if (!finding->provider && (!copies || planner->wish->sources.count == 0))
        return give_up(planner, finding, "nothing would take its place: install the package, or name a place with --source");
    if (change && change->remove)
        return add_resolved(planner, change, finding);
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
    return add_resolved(planner, change, finding);
}

/* What goes must be missed by nobody: what was answered before is answered by something else then, or it stays. */
static int keep_answers(struct planner *planner)
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
            bar(planner, (*change)->path, em_arena_printf(planner->arena, "without it there would be %s", missed)) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

static bool is_going(const struct planner *planner, const struct em_env_object *object)
{
    const struct em_draft_change *change = em_draft_find(&planner->draft, object->path);

    return change && change->remove;
}

/* What one finding calls for. */
static int act_on(struct planner *planner, const struct em_finding *finding, bool *progress)
{
    const enum em_strategy strategy = planner->wish->strategy;
    struct em_degraft found = { 0 };
    const char *why;
    int r;

    if (finding->requester && strcmp(finding->id, "EM104") == 0 && is_wanted(planner, finding))
        return give_up(planner, finding, "another major is never bridged: install the package that the help names");
    if (finding->mend == EM_MEND_AWAY)
        return take_away(planner, finding, progress);
    if (!is_actionable(planner, finding) || is_going(planner, finding->requester))
        return EM_OK;
    why = immovable(planner, finding->requester);
    /* Where no path can be written, or where it is asked for; what is no private copy, or cannot be given up, is as any other. */
    if (finding->mend == EM_MEND_REACH && finding->provider &&
        (strategy == EM_STRATEGY_DEGRAFT || (why && strategy == EM_STRATEGY_AUTO))) {
        r = degraft(planner, finding, why ? why : "as --strategy degraft asks", &found, progress);
        if (r < 0 || !found.why)
            return r;
    }
    if (why)
        return give_up(planner, finding, why);
    if (finding->mend == EM_MEND_STACK)
        return clear_stack(planner, finding, progress);
    /* A copy that was made in this draft is a provider beside its requester: from then on the path is what is missing. */
    if (finding->provider && (!wants_copy(planner, finding) || em_draft_find(&planner->draft, finding->provider->path)))
        return set_path(planner, finding, found.provider ? found.why : NULL, progress);
    if (wants_copy(planner, finding))
        return copy(planner, finding, progress);
    return give_up(planner, finding,
                   planner->wish->strategy == EM_STRATEGY_DEGRAFT
                       ? "it is nowhere in this environment, and strategy degraft copies nothing"
                       : "it is nowhere in this environment, and strategy path copies nothing");
}

/* Each round's diagnosis has an arena of its own: what lasts is in the draft and in the planner. */
static int diagnose_draft(struct planner *planner)
{
    struct em_diagnose_options options = { .cache = &planner->cache };
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
static int draft(struct planner *planner)
{
    planner->draft.changes.count = 0;
    em_provision_init(&planner->provision, planner->arena, planner->before, planner->wish);
    planner->draft.by_path = (struct em_map){ .arena = planner->arena };
    planner->draft.retired = (struct em_map){ .arena = planner->arena };
    planner->draft.unlinked = (struct em_map){ .arena = planner->arena };
    planner->gave_up = (struct em_map){ .arena = planner->arena };
    planner->now = *planner->before;
    for (planner->round = 1; planner->round <= MOST_ROUNDS; planner->round++) {
        bool progress = false;
        int r;

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

/* A change after which the loader still misses all that it was made for is no repair. What is left of a change's reasons stands. */
static int drop_useless(struct planner *planner)
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
        if (kept == 0 &&
            bar(planner, change->path, "a path to it was tried, and the loader still does not take what is there") < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

/* The change to blame for a lost edge: of the object that asks; else of the one whose path now answers; NULL: neither is touched. */
static struct em_draft_change *blame(struct planner *planner, const struct em_lost *lost)
{
    struct em_draft_change *change = em_draft_find(&planner->draft, lost->before->object);
    const char *owner = lost->after && lost->after->owner ? em_path_normal(planner->arena, lost->after->owner) : NULL;

    if (!change && owner)
        change = em_draft_find(&planner->draft, owner);
    return change;
}

static const char *tell_lost(struct planner *planner, const struct em_lost *lost)
{
    return em_arena_printf(planner->arena, "%s would find %s in %s instead of in %s",
                           em_env_show(planner->before->env, lost->before->object), lost->before->name,
                           lost->after && lost->after->path ? lost->after->path : "no place", lost->before->path);
}

/* Changes that would lose an edge are barred, all that can be told in one go. What an object asked for that is itself not loaded any more
 * is the consequence of another loss; where no change can be told for any, none is made. */
static int keep_edges(struct planner *planner)
{
    struct em_losts losts = { 0 };
    int r;

    if (planner->draft.changes.count == 0)
        return EM_OK;
    r = em_edges_lost(&losts, planner->arena, planner->before, &planner->now, &planner->draft);
    em_vec_each (struct em_lost, lost, &losts) {
        struct em_draft_change *change = blame(planner, lost);

        if (r == EM_OK && change)
            r = bar(planner, change->path, tell_lost(planner, lost));
    }
    if (r < 0 || losts.count == 0 || planner->restart)
        return r;
    em_vec_each (struct em_draft_change *, change, &planner->draft.changes)
        if (bar(planner, (*change)->path, tell_lost(planner, losts.items)) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
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
                               .cache = { .names = { .arena = arena }, .stacks = { .arena = arena } } };
    int r;

    *plan = (struct em_plan){ .target = diagnosis->env->given };
    /* Each new start has more objects barred, so there is an end. */
    do {
        planner.restart = false;
        r = draft(&planner);
        if (r == EM_OK && !planner.restart)
            r = drop_useless(&planner);
        if (r == EM_OK && !planner.restart)
            r = keep_answers(&planner);
        if (r == EM_OK && !planner.restart)
            r = keep_edges(&planner);
    } while (r == EM_OK && planner.restart);
    if (r == EM_OK)
        r = em_provision_tell(&planner.provision, plan);
    if (r == EM_OK)
        r = em_draft_to_plan(plan, &planner.draft, &planner.now, &planner.gave_up, wish, error);
    em_draft_close(&planner.draft);
    em_arena_free(planner.round_arena);
    return r;
}
