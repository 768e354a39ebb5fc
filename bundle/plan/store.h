/* store.h: ROOT/.elfmend, where transactions live.
 *
 *     .elfmend/           mode 0700, of the user who runs us: nobody else can place anything in it, so names need be no secret
 *         README          what this is, for whoever finds it
 *         lock            flock(2), held as long as a store is open to change something
 *         txn/            the transaction at work: slots, and the journal once the exchange may begin
 *         undo/0001/      each committed one: old inodes in their slots, and the journal
 *         trash/          given up, being removed
 *
 *     r = em_store_open(&store, arena, root, EM_STORE_MAKE, error)     makes what is missing, takes the lock
 *     ... EM_STORE_CHANGE: takes the lock, makes nothing; EM_STORE_READ: no lock either. store.dir is -1 if there is no .elfmend
 *     em_store_close(&store)                                           a .elfmend that holds nothing any more is removed
 *
 * That .elfmend comes and goes does not show in the times of the root directory, which is locked (flock) for that moment.
 *
 * Errors: EM_BUSY if another elfmend holds the lock; EM_REFUSED if .elfmend is not a directory of ours alone.
 */
#ifndef EM_BUNDLE_PLAN_STORE_H
#define EM_BUNDLE_PLAN_STORE_H

#include "base/base.h"

#define EM_STORE_NAME ".elfmend"
#define EM_STORE_TXN "txn"
#define EM_STORE_UNDO "undo"
#define EM_STORE_TRASH "trash"

enum em_store_mode {
    EM_STORE_READ,
    EM_STORE_CHANGE,
    EM_STORE_MAKE,
};

struct em_store {
    struct em_arena *arena;
    const char *path; /* of the root, for messages */
    enum em_store_mode mode;
    int root, dir, lock; /* -1: not there, not held */
    bool waited_in_vain; /* for somebody else's lock on the root */
};

#define EM_STORE_INIT                                                                                                          \
    {                                                                                                                          \
        .root = -1, .dir = -1, .lock = -1                                                                                      \
    }

int em_store_open(struct em_store *store, struct em_arena *arena, const char *root, enum em_store_mode mode,
                  struct em_error *error);
void em_store_close(struct em_store *store);
#define em_cleanup_store __attribute__((cleanup(em_store_close)))

/* A directory in .elfmend. EM_NOT_FOUND without a sentence if it is not there (ENOENT, nothing else). */
int em_store_directory(const struct em_store *store, const char *name, struct em_error *error);

/* One name in .elfmend becomes another. EM_REFUSED where the file system cannot move directories. */
int em_store_move(const struct em_store *store, const char *from, const char *to, struct em_error *error);
/* Moves NAME ("txn", "undo/0001") aside, durably, and then removes it. What can't be removed is left in trash for the next run:
 * not an error, unless strict. */
int em_store_discard(const struct em_store *store, const char *name, bool strict, struct em_error *error);
/* What an earlier run left in trash. */
void em_store_sweep(const struct em_store *store);

/* The numbers under undo/, ascending. */
struct em_store_ids {
    EM_VEC(unsigned);
};
int em_store_ids(const struct em_store *store, struct em_store_ids *ids, struct em_error *error);
#define EM_STORE_ID_SIZE 32
void em_store_undo_name(unsigned id, char name[EM_STORE_ID_SIZE]); /* "undo/0001" */

/* ROOT/PATH, for messages; path alone if there is no memory. Takes the arena: one thread at a time. */
const char *em_store_label(const struct em_store *store, const char *path);

#endif
