/* exchange.h: the steps of a journal, forwards and backwards.
 *
 * A slot is a file in the transaction's directory. Before a step is done its slot holds the new file; afterwards the new file is
 * at its path and the slot holds the old one, or nothing for a file that was created. So each step is its own inverse, and where
 * it stands can be seen at any time from inode numbers alone:
 *
 *     the new inode at the path       done
 *     the new inode in the slot       not done
 *     in neither                      somebody else was here: EM_CHANGED, and nothing is touched any more
 *
 * Hence both directions may be started again at any point, as often as they are cut off, and neither trusts what another run
 * has remembered.
 *
 * renameat2(RENAME_EXCHANGE) does a replacement in one call. Where the file system has none (NFS, some FUSE, older ZFS) it is a
 * link and two renames; the path has the old file or the new one at every moment there, too.
 */
#ifndef EM_BUNDLE_PLAN_EXCHANGE_H
#define EM_BUNDLE_PLAN_EXCHANGE_H

#include "bundle/plan/journal.h"
#include "bundle/plan/store.h"

struct em_exchange {
    struct em_store *store;
    int slots; /* the transaction's directory */
    const struct em_journal *journal;
};

/* Brings every step to done, in order, then syncs the directories. On failure some are done; go back then. */
int em_exchange_forward(const struct em_exchange *exchange, struct em_error *error);
/* Brings every step to not done, last first; directories get their old times again where nobody else has changed them. A created
 * directory that others have put something into stays. */
int em_exchange_back(const struct em_exchange *exchange, struct em_error *error);

enum em_standing {
    EM_STANDING_DONE,
    EM_STANDING_NOT_DONE,
    EM_STANDING_LOST,    /* another file is at the path */
    EM_STANDING_MISSING, /* nothing is at the path, or its directory is gone */
};

/* Where a step stands; there is what lies at the path now (zeroed if nothing). */
int em_exchange_standing(const struct em_exchange *exchange, const struct em_entry *entry, enum em_standing *standing,
                         struct stat *there, struct em_error *error);

#endif
