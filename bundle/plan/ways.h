/* ways.h: the ways in which the planner mends a finding, and what they share. Private to plan.
 *
 * A way takes one finding and changes the draft; it writes nothing else. *progress becomes true where the draft changed, so that
 * another round is worth its while. A finding that a way cannot mend is given up with the reason, which the report then tells; an
 * object that cannot take its edits is barred, and the draft begins anew without it.
 */
#ifndef EM_BUNDLE_PLAN_WAYS_H
#define EM_BUNDLE_PLAN_WAYS_H

#include "bundle/plan/degraft.h"
#include "bundle/plan/draft.h"
#include "bundle/plan/provision.h"

struct em_planner {
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
    struct em_map lists;          /* path of an object -> its path list as on disk */
    struct em_map resolved;       /* object and finding, for each that a change mends */
    int round;                    /* counts from 1 in each draft */
    struct em_findings together;  /* of the round, those that a copy shall answer; NULL items: not gathered yet */
    bool restart;                 /* objects were barred: the draft must begin anew without them */
    struct em_arena *round_arena; /* of now, if it is not before */
};

/* ---- ways.c: what they share ---- */
/* why: NULL is no memory, so that a sentence may be made in the call. The first reason given for a finding stays. */
int em_planner_give_up(struct em_planner *planner, const struct em_finding *finding, const char *why);
int em_planner_bar(struct em_planner *planner, const char *path, const char *why);
/* The change mends the finding too. */
int em_planner_resolve(struct em_planner *planner, struct em_draft_change *change, const struct em_finding *finding);

/* What an object's path list is now: by its change, if there is one, else as on disk. Nothing is added to the draft. */
int em_planner_list_of(struct em_planner *planner, const struct em_env_object *object, const char **list,
                       enum em_path_tag *tag);
/* The object's change, made if there is none; list and tag: as em_planner_list_of tells. */
int em_planner_change_of(struct em_planner *planner, const struct em_env_object *object, const char *list, enum em_path_tag tag,
                         struct em_draft_change **change);
/* The change's patch is made. An object that cannot take its edits is barred. */
int em_planner_lay_out(struct em_planner *planner, struct em_draft_change *change, bool *progress);
/* How a path list of the object names a directory; NULL in *entry: it cannot, and the finding is given up. */
int em_planner_entry_to(struct em_planner *planner, const struct em_finding *finding, const struct em_env_object *object,
                        const char *directory, const char **entry);

/* Why an object that is to be changed must not be; NULL: it may be. */
const char *em_planner_immovable(struct em_planner *planner, const struct em_env_object *object);

/* --only, --ignore. */
bool em_planner_passes(const struct em_planner *planner, const struct em_finding *finding);
/* The user's filters hold for what was found; a copy that we make is ours to complete. */
bool em_planner_is_wanted(const struct em_planner *planner, const struct em_finding *finding);
/* The strategy asks for a copy of what is missing, and not for a path to it. */
bool em_planner_wants_copy(const struct em_planner *planner, const struct em_finding *finding);
/* Only another major of it is here: no path leads to it, and what bridges majors is no repair. */
bool em_planner_is_other_major(const struct em_finding *finding);
/* Something that a change of its requester, which is ours to change, could mend. */
bool em_planner_is_actionable(const struct em_planner *planner, const struct em_finding *finding);

/* ---- way_path.c ---- */
/* The requester's path list gets a directory. */
int em_way_lead(struct em_planner *planner, const struct em_finding *finding, const char *directory, bool *progress);
/* The requester's path list gets the provider's directory. reason: why this and not another way; NULL: it is the usual one. */
int em_way_path(struct em_planner *planner, const struct em_finding *finding, const char *reason, bool *progress);

/* ---- way_copy.c ---- */
/* The library goes where the requester is, under the name that is asked for. The requester looks there by a path of its own: one that
 * it inherits leads there only where its consumer loads it. What the copy itself asks for is the next round's business. */
int em_way_copy(struct em_planner *planner, const struct em_finding *finding, bool *progress);

/* ---- way_degraft.c ---- */
/* The requester is a private copy of a library that is installed: whoever needs it needs that one instead. because: why a path is not
 * what is wanted. found->why: why that cannot be either. */
int em_way_degraft(struct em_planner *planner, const struct em_finding *finding, const char *because, struct em_degraft *found,
                   bool *progress);

/* ---- way_remove.c ---- */
/* A library, or a link to one, that answers instead of what belongs there goes, where there is something to take its place. What its
 * absence calls for is the next round's business. */
int em_way_remove(struct em_planner *planner, const struct em_finding *finding, bool *progress);

#endif
