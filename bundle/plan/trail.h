/* trail.h: what became of our repairs. The journals that undo keeps say which files we have changed and added; the files say
 * whether they are still what we made of them.
 *
 *     r = em_trail_read(&trail, arena, root, error)
 *     step = em_trail_find(&trail, "lib/python3.11/site-packages/x.so")     NULL: we never touched it, or it is forgotten
 *
 * Nothing is written and no lock is taken. Where there is no .elfmend the trail is empty, and so it is after an error.
 *
 * Errors: EM_IO, EACCES for a .elfmend of somebody else's included; EM_BAD_JSON: a journal that is none of ours; EM_NO_MEMORY.
 */
#ifndef EM_BUNDLE_PLAN_TRAIL_H
#define EM_BUNDLE_PLAN_TRAIL_H

#include "base/base.h"

enum em_trail_state {
    EM_TRAIL_OURS,    /* what we have put there, byte for byte */
    EM_TRAIL_CHANGED, /* something else is there */
    EM_TRAIL_GONE,
};
const char *em_trail_state_name(enum em_trail_state state); /* "ours", "changed", "gone" */

/* What was done to one file, by the last repair that did anything to it. */
struct em_trail_step {
    const char *path; /* relative to the root */
    const char *id;   /* of the repair: "0001" */
    bool is_added;    /* a file of our own; otherwise one that was there before */
    enum em_trail_state state;
};

struct em_trail {
    struct {
        EM_VEC(struct em_trail_step *);
    } steps; /* in the order of the repairs, and in each in that of its journal */
    struct em_map by_path;
};

int em_trail_read(struct em_trail *trail, struct em_arena *arena, const char *root, struct em_error *error);
const struct em_trail_step *em_trail_find(const struct em_trail *trail, const char *path);

#endif
