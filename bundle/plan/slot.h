/* slot.h: a new file, made whole in the transaction's directory before anybody sees it.
 *
 * A replacement gets owner, mode, ACLs and extended attributes of the file whose place it will take; setuid bits and file
 * capabilities with them. What cannot be given (a foreign owner, for who is not root) is a refusal: a repair does not quietly
 * change who may do what. Left out are security.ima and security.evm, which sign the old bytes.
 */
#ifndef EM_BUNDLE_PLAN_SLOT_H
#define EM_BUNDLE_PLAN_SLOT_H

#include "bundle/plan/journal.h"
#include "bundle/plan/store.h"
#include "bundle/plan/transaction.h"

/* Fills the entry's slot by change->fill, syncs it, and notes in the entry what it is and what it replaces. If change says that
 * nothing changes the slot is removed again. Threads: safe, for different entries. */
int em_slot_fill(const struct em_store *store, int slots, struct em_entry *entry, struct em_change *change,
                 struct em_error *error);

void em_slot_name(const struct em_entry *entry, char name[16]); /* in the transaction's directory */

/* An empty directory, as mkdir would have made it at the entry's path. */
int em_slot_make_directory(const struct em_store *store, int slots, struct em_entry *entry, struct em_error *error);

#endif
