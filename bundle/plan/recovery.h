/* recovery.h: the way back from a transaction that is in .elfmend/txn, whatever has put it there: a run that died, a commit that
 * failed, an undo that has begun.
 *
 * With a journal, every step is taken back and made durable; without one nothing was touched. Then txn goes. May be cut off and
 * started again at any point. force: files that somebody else has changed since are given up; else EM_CHANGED names the first.
 */
#ifndef EM_BUNDLE_PLAN_RECOVERY_H
#define EM_BUNDLE_PLAN_RECOVERY_H

#include "bundle/plan/exchange.h"

struct em_recovered {
    bool taken_back; /* there was a journal; slots alone, which nobody has seen, do not count */
    size_t restored, removed;
};

/* recovered may be NULL. */
int em_recover(struct em_store *store, bool force, struct em_recovered *recovered, struct em_error *error);

/* How many files a journal brings back, and how many it takes away. */
void em_recover_count(const struct em_journal *journal, size_t *restored, size_t *removed);

/* Rewrites the journal in slots so that what lies at the paths now counts as what we have put there: a way back exists then for
 * every file that has a directory to come back to. */
int em_recover_adopt(struct em_store *store, int slots, struct em_journal *journal, struct em_error *error);

#endif
