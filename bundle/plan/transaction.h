/* transaction.h: the only way to change a target.
 *
 * A transaction replaces and creates files below one root directory, all of them or none, and keeps what undo needs: the old
 * inodes themselves. A file is never written through, so a hard link into a package manager's cache and a process that has the
 * old file mapped keep what they had, and undo gives back the same bytes, inode, mode, owner and times.
 *
 *     r = em_transaction_begin(&txn, arena, root, error)     locks ROOT/.elfmend, recovers an interrupted run first
 *     r = em_transaction_stage(txn, &change, error)          writes the new content into .elfmend/txn, fsync; no target touched
 *     ...
 *     r = em_transaction_remove(txn, path, error)            notes a file or a link that is to go
 *     r = em_transaction_commit(txn, note, &id, error)       journal, exchange, commit record
 *     em_transaction_end(txn)                                without a commit: what was staged is removed; NULL is fine
 *
 * What lies under ROOT/.elfmend (mode 0700): lock; txn/ while one is being applied: slots and the journal; undo/ID/ for each
 * committed one: the old inodes and the journal; README, which says what all this is. The protocol and its proofs are in
 * transaction.c; journal.h has the journal's format.
 *
 * Recovery runs at begin, at undo and wherever em_transaction_recover is called: a journal means that the exchange had begun, and
 * it is taken back, entry by entry, by inode; no journal means that nothing was touched, and the slots are removed.
 *
 * Nothing but em_transaction_stage may be called from several threads at once; each call needs a change and an error of its own.
 * The order of staging is of no matter: directories are made first, then files created, then replaced, each by path, then the
 * last ones.
 *
 * Errors: EM_BUSY, EM_IO (no space, read-only, ...), EM_CHANGED, EM_REFUSED (the slots would lie on another file system than the
 * target; a link stands in the way). After an error the target is as it was.
 */
#ifndef EM_BUNDLE_PLAN_TRANSACTION_H
#define EM_BUNDLE_PLAN_TRANSACTION_H

#include "base/base.h"

struct em_transaction;

struct em_change {
    const char *path; /* relative to root, contained; its directory exists (create may make it: make_directories) */
    bool create;      /* the path must not exist; otherwise it must, as a regular file */
    bool make_directories;
    bool last;     /* exchanged after all others: RECORD, which speaks of them */
    uint32_t mode; /* create: permission bits. A replacement takes mode, owner, ACLs and xattrs of the old file */

    /* Writes the new content: old is open for reading (-1 for create), new for writing, empty. */
    int (*fill)(struct em_change *change, int old, int new, struct em_error *error);
    void *context;

    /* Results of staging. fill may set unchanged when it finds that the old content will do: then there is no step. It may set
     * has_sha256 and both digests when it knows them already; otherwise stage hashes what was written. */
    bool unchanged;
    const char *privilege; /* a replacement that runs with rights of its own, as the old file did: by what; NULL: it does not */
    uint64_t size;
    bool has_sha256;
    struct em_sha256 sha256;
    struct em_xxh3 xxh3;
};

int em_transaction_begin(struct em_transaction **transaction, struct em_arena *arena, const char *root, struct em_error *error);
int em_transaction_stage(struct em_transaction *transaction, struct em_change *change, struct em_error *error);
/* The file or link goes with the exchange, into its slot: undo brings back the very same. */
int em_transaction_remove(struct em_transaction *transaction, const char *path, struct em_error *error);
/* note: one line for undo --list. keep false: nothing is kept to go back to once the commit record is durable. */
int em_transaction_commit(struct em_transaction *transaction, const char *note, bool keep, const char **id,
                          struct em_error *error);
void em_transaction_end(struct em_transaction *transaction);
/* How many steps a commit would take now. */
size_t em_transaction_count(const struct em_transaction *transaction);
/* An fd of the root directory, held by the transaction. */
int em_transaction_root(const struct em_transaction *transaction);

/* Takes an interrupted run back. recovered may be NULL. Without .elfmend nothing is done and nothing is made. */
int em_transaction_recover(struct em_arena *arena, const char *root, bool *recovered, struct em_error *error);

/* ---- undo.c ---- */
struct em_undo_entry {
    const char *id; /* "0001", "0002": order of commit */
    const char *note;
    size_t replaced, created;
    uint64_t bytes; /* what the old inodes hold on disk */
};
struct em_undo_entries {
    EM_VEC(struct em_undo_entry);
};

int em_undo_list(struct em_undo_entries *entries, struct em_arena *arena, const char *root, struct em_error *error);

struct em_undo_options {
    const char *to; /* takes back this one and all later ones; NULL: the last */
    bool all;
    bool force; /* also files that someone changed since: theirs are lost */
};
struct em_undo_result {
    size_t transactions, restored, removed;
};

/* Refuses with EM_CHANGED, naming the first file, if a file is not what we left there; nothing has changed then. */
int em_undo(struct em_undo_result *result, struct em_arena *arena, const char *root, const struct em_undo_options *options,
            struct em_error *error);
/* Frees what undo holds and keeps the repair. freed may be NULL. */
int em_undo_forget(struct em_arena *arena, const char *root, uint64_t *freed, struct em_error *error);

#endif
