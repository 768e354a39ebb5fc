/* draft.h: the changes that the planner is thinking of, and the tree as it would be with them. Private to plan. */
#ifndef EM_BUNDLE_PLAN_DRAFT_H
#define EM_BUNDLE_PLAN_DRAFT_H

#include "bundle/plan/planner.h"

/* A NEEDED entry that becomes another. */
struct em_rename {
    const char *from, *to;
    const char *reason;
};

struct em_renames {
    EM_VEC(struct em_rename);
};

/* What happens to one file of the environment. */
struct em_draft_change {
    const char *path;               /* absolute, in the environment's terms */
    struct em_distribution *owner;  /* whose RECORD follows; NULL: nobody's */
    struct em_candidate *candidate; /* a copy of this; NULL: an edit of what is there */
    const char *value;              /* the path list it gets; NULL: a copy as it is */
    const char *old_value;
    enum em_path_tag tag;
    struct em_renames renames; /* of what it needs */
    bool remove;               /* the file or link goes */
    bool clear_stack;          /* it asks for an executable stack no longer */
    struct em_strings resolves;
    const char *reason;
    int round;             /* of the planner, in which value was last changed */
    struct em_patch patch; /* from the bytes there are to the bytes there will be */
};

struct em_draft_changes {
    EM_VEC(struct em_draft_change *);
};

struct em_draft {
    struct em_arena *arena;
    const struct em_env *env;        /* as it is */
    struct em_draft_changes changes; /* in order of decision */
    struct em_map by_path;

    struct em_map retired; /* path of a private copy that nobody will need -> the change by which its last consumer does not */

    struct em_map unlinked; /* path of an object -> the change that takes away a link by which it was found */

    struct em_map positions; /* path -> index in env->objects plus 1 */

    /* The tree as it would be, rebuilt by em_draft_lay; the draft owns the overlay. */
    struct em_tree *overlay;
    struct em_env laid;
};

/* The directory that a plan's paths are relative to: the target, or where the object is that the target is. */
const char *em_draft_root(struct em_arena *arena, const struct em_env *env);

struct em_draft_change *em_draft_find(const struct em_draft *draft, const char *path);
/* A new change, empty but for its path and owner. NULL: no memory. */
struct em_draft_change *em_draft_add(struct em_draft *draft, const char *path, struct em_distribution *owner);

/* Makes the patch of a change. EM_REFUSED if the object cannot take the path list. */
int em_draft_patch(struct em_draft *draft, struct em_draft_change *change, struct em_error *error);

/* Lays the changes over the environment's tree; draft->laid is the environment as it would be. It lives in arena, and the overlay
 * with it: until the next lay, or the close. */
int em_draft_lay(struct em_draft *draft, struct em_arena *arena, struct em_error *error);
void em_draft_close(struct em_draft *draft);

/* ---- steps.c: the draft as a plan ---- */
/* after: of the tree as it would be; gave_up: finding, by em_draft_finding_name, -> why nothing is done about it. */
int em_draft_to_plan(struct em_plan *plan, const struct em_draft *draft, const struct em_diagnosis *after,
                     const struct em_map *gave_up, const struct em_plan_wish *wish, struct em_error *error);
const char *em_draft_finding_name(struct em_arena *arena, const struct em_env *env, const struct em_finding *finding);

#endif
