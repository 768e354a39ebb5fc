/* kept.h: a committed transaction, open: its journal, and the directory with the old inodes. Private to plan.
 *
 *     r = em_kept_open(&store, id, &kept, error)       EM_CHANGED: it is not there any more; EM_BAD_JSON: it has no journal
 *     r = em_kept_is_same(entry, dir, name, label, &same, &moved, error)
 *     em_kept_close(&kept)
 */
#ifndef EM_BUNDLE_PLAN_KEPT_H
#define EM_BUNDLE_PLAN_KEPT_H

#include "bundle/plan/journal.h"
#include "bundle/plan/store.h"

struct em_kept {
    unsigned id;
    int slots;
    bool moved; /* some file has our bytes in another inode: the tree was copied with all that is in it */
    struct em_journal journal;
};

int em_kept_open(const struct em_store *store, unsigned id, struct em_kept *kept, struct em_error *error);
void em_kept_close(struct em_kept *kept);

const char *em_kept_name(struct em_arena *arena, unsigned id); /* "0001", as undo --list has it; NULL: no memory */

/* Whether a file is still what we have put there. Inode, size and time of change say yes at once; where they differ (a tree that was
 * copied, a touch) the bytes decide. moved may be NULL; it is left alone unless the bytes are ours and the inode is not. */
int em_kept_is_same(const struct em_entry *entry, int dir, const char *name, const char *label, bool *same, bool *moved,
                    struct em_error *error);

#endif
