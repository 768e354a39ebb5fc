/* The protocol, and why nothing is lost at any point of it.
 *
 *   1. Lock. Recover what an earlier run left.
 *   2. Stage: every new file is written whole into .elfmend/txn, with owner, mode and attributes, and synced. All that needs
 *      space happens here. Dying here leaves files that nobody refers to; the next run finds no journal and removes them.
 *   3. Journal: what is to be exchanged, by inode, synced under its name together with the directory of the slots. From here on
 *      the next run finds a journal and goes back by it.
 *   4. Exchange, step by step (exchange.c), each atomic and its own inverse; then the directories are synced.
 *   5. Commit: txn is renamed to undo/ID. Before this rename the next run goes back, after it there is nothing to recover.
 *
 * Undo renames undo/ID to txn and does what recovery does: so an undo that dies is finished by the next run.
 * That is all: there is one way forward, one way back, and the way back is the same in a failed run, in recovery and in undo.
 */
#include "bundle/plan/transaction.h"

#include "bundle/plan/beneath.h"
#include "bundle/plan/exchange.h"
#include "bundle/plan/recovery.h"
#include "bundle/plan/slot.h"
#include "bundle/plan/store.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct em_transaction {
    struct em_arena *arena;
    struct em_store store;
    int slots;            /* .elfmend/txn; -1 until the first file is staged */
    pthread_mutex_t lock; /* guards the arena and all below while files are staged */
    unsigned next_slot;
    bool broken; /* a stage failed: there must be no commit */
    struct {
        EM_VEC(struct step *);
    } steps;
    struct em_map by_path;
};

struct step {
    struct em_entry entry;
    bool last;
    bool staged;
};

int em_transaction_begin(struct em_transaction **transaction, struct em_arena *arena, const char *root, struct em_error *error)
{
    struct em_transaction *txn = em_new(arena, struct em_transaction);
    int r;

    *transaction = NULL;
    root = em_arena_strdup(arena, root);
    if (!txn || !root)
        return EM_NO_MEMORY;
    txn->arena = arena;
    txn->slots = -1;
    txn->by_path.arena = arena;
    r = em_store_open(&txn->store, arena, root, EM_STORE_MAKE, error);
    if (r < 0)
        return r;
    r = em_recover(&txn->store, false, NULL, error);
    if (r < 0) {
        em_store_close(&txn->store);
        return r;
    }
    pthread_mutex_init(&txn->lock, NULL);
    *transaction = txn;
    return EM_OK;
}

int em_transaction_root(const struct em_transaction *transaction)
{
    return transaction->store.root;
}

size_t em_transaction_count(const struct em_transaction *transaction)
{
    size_t count = 0;

    for (size_t i = 0; i < transaction->steps.count; i++)
        count += transaction->steps.items[i]->staged;
    return count;
}

/* ---- staging ---- */

static int open_slots(struct em_transaction *txn, struct em_error *error)
{
    if (txn->slots >= 0)
        return EM_OK;
    if (mkdirat(txn->store.dir, EM_STORE_TXN, 0700) < 0)
        return em_fail_errno(error, em_store_label(&txn->store, EM_STORE_NAME), "has no room for a transaction");
    txn->slots = em_store_directory(&txn->store, EM_STORE_TXN, error);
    return txn->slots < 0 ? EM_IO : EM_OK;
}

static struct step *add_step(struct em_transaction *txn, enum em_entry_kind kind, const char *path)
{
    struct step *step = em_new(txn->arena, struct step);

    if (!step)
        return NULL;
    step->entry = (struct em_entry){ .kind = kind, .slot = txn->next_slot++, .path = em_arena_strdup(txn->arena, path) };
    if (!step->entry.path || em_map_put(&txn->by_path, step->entry.path, step) < 0 ||
        em_vec_push(txn->arena, &txn->steps, step) < 0)
        return NULL;
    return step;
}

/* The directory of path, made in a slot if it is not there, and those above it; *made if path's directory will be one of ours. */
static int plan_directory(struct em_transaction *txn, const char *path, bool *made, struct em_error *error)
{
    const char *parent = em_path_dirname(txn->arena, path);
    const struct step *planned;
    em_cleanup_fd int fd = -1;
    struct step *step;
    int r;

    if (!parent)
        return EM_NO_MEMORY;
    *made = false;
    if (strcmp(parent, ".") == 0)
        return EM_OK;
    planned = em_map_get(&txn->by_path, parent);
    if (planned && planned->entry.kind == EM_ENTRY_MKDIR) {
        *made = true;
        return EM_OK;
    }
    if (planned)
        return em_fail(error, EM_REFUSED, em_store_label(&txn->store, parent), "is to be a directory and something else");
    fd = em_beneath_directory(txn->store.root, parent, error);
    if (fd >= 0)
        return EM_OK;
    if (fd != EM_NOT_FOUND)
        return fd;
    r = plan_directory(txn, parent, made, error);
    if (r < 0)
        return r;
    step = add_step(txn, EM_ENTRY_MKDIR, parent);
    if (!step)
        return EM_NO_MEMORY;
    r = em_slot_make_directory(&txn->store, txn->slots, &step->entry, error);
    step->staged = r == EM_OK;
    *made = true;
    return r;
}

/* Ours here, or that of a target below, which goes back by what lies there. By its inode: where names are compared without case there
 * are many spellings of one. */
static bool is_own(const struct em_store *store, const char *path)
{
    struct stat own, first;
    char part[NAME_MAX + 1];
    const size_t size = strcspn(path, "/");

    for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/')
        if (strcspn(at, "/") == strlen(EM_STORE_NAME) && strncasecmp(at, EM_STORE_NAME, strlen(EM_STORE_NAME)) == 0)
            return true;
    if (size > NAME_MAX)
        return false;
    memcpy(part, path, size);
    part[size] = '\0';
    return fstat(store->dir, &own) == 0 && fstatat(store->root, part, &first, AT_SYMLINK_NOFOLLOW) == 0 &&
           own.st_ino == first.st_ino && own.st_dev == first.st_dev;
}

/* A path that may be touched, and for the first time. */
static int admit(struct em_transaction *txn, const char *path, struct em_error *error)
{
    const char *label = em_store_label(&txn->store, path);

    if (!em_path_is_contained(path))
        return em_fail(error, EM_REFUSED, label, "does not stay below the target");
    if (is_own(&txn->store, path))
        return em_fail(error, EM_REFUSED, label, "is elfmend's own");
    if (em_map_get(&txn->by_path, path))
        return em_fail(error, EM_REFUSED, label, "is changed twice by one plan");
    return open_slots(txn, error);
}

/* Everything that needs the lock: a slot, and the directories that a new file wants. */
static int reserve(struct em_transaction *txn, const struct em_change *change, struct step **step, struct em_error *error)
{
    bool made;
    int r = admit(txn, change->path, error);

    if (r < 0)
        return r;
    if (change->create && change->make_directories) {
        r = plan_directory(txn, change->path, &made, error);
        if (r < 0)
            return r;
    }
    *step = add_step(txn, change->create ? EM_ENTRY_CREATE : EM_ENTRY_REPLACE, change->path);
    if (!*step)
        return EM_NO_MEMORY;
    (*step)->last = change->last;
    return EM_OK;
}

int em_transaction_stage(struct em_transaction *transaction, struct em_change *change, struct em_error *error)
{
    struct step *step = NULL;
    int r;

    pthread_mutex_lock(&transaction->lock);
    r = reserve(transaction, change, &step, error);
    pthread_mutex_unlock(&transaction->lock);
    if (r == EM_OK)
        r = em_slot_fill(&transaction->store, transaction->slots, &step->entry, change, error);
    pthread_mutex_lock(&transaction->lock);
    if (r < 0)
        transaction->broken = true;
    else
        step->staged = !change->unchanged;
    pthread_mutex_unlock(&transaction->lock);
    return r;
}

static int note_removal(struct em_transaction *txn, const char *path, struct em_error *error)
{
    const char *label = em_store_label(&txn->store, path);
    em_cleanup_beneath struct em_beneath found = EM_BENEATH_INIT;
    struct step *step;
    int r = admit(txn, path, error);

    if (r == EM_OK)
        r = em_beneath_look(&found, txn->store.root, path, label, error);
    if (r < 0)
        return r;
    if (!found.there)
        return em_fail(error, EM_CHANGED, label, "is not there any more");
    if (!S_ISREG(found.st.st_mode) && !S_ISLNK(found.st.st_mode))
        return em_fail(error, EM_REFUSED, label, "is neither a regular file nor a link");
    step = add_step(txn, EM_ENTRY_RESTORE, path);
    if (!step)
        return EM_NO_MEMORY;
    step->entry.old = em_identity_of(&found.st);
    step->staged = true;
    return EM_OK;
}

int em_transaction_remove(struct em_transaction *transaction, const char *path, struct em_error *error)
{
    int r;

    pthread_mutex_lock(&transaction->lock);
    r = note_removal(transaction, path, error);
    transaction->broken = transaction->broken || r < 0;
    pthread_mutex_unlock(&transaction->lock);
    return r;
}

/* ---- commit ---- */

static int rank(const struct step *step)
{
    if (step->last)
        return 3;
    switch (step->entry.kind) {
    case EM_ENTRY_MKDIR: return 0;
    case EM_ENTRY_CREATE: return 1;
    case EM_ENTRY_REPLACE:
    case EM_ENTRY_RESTORE: return 2;
    }
    return 2;
}

/* What others will look for must be there before those who look; a directory sorts before what is in it. */
static int step_order(const void *a, const void *b)
{
    const struct step *x = *(struct step *const *)a, *y = *(struct step *const *)b;

    return rank(x) != rank(y) ? rank(x) - rank(y) : strcmp(x->entry.path, y->entry.path);
}

/* Something is at its path before. */
static bool has_old(const struct em_entry *entry)
{
    return entry->kind == EM_ENTRY_REPLACE || entry->kind == EM_ENTRY_RESTORE;
}

/* Each path must still be what it was when its new file was made, or still be free. */
static int check_unchanged(const struct em_store *store, const struct em_entry *entry, struct em_error *error)
{
    const char *label = em_store_label(store, entry->path);
    em_cleanup_beneath struct em_beneath found;
    int r = em_beneath_look(&found, store->root, entry->path, label, error);

    if (r == EM_NOT_FOUND && !has_old(entry))
        return EM_OK;
    if (r < 0)
        return r == EM_NOT_FOUND ? EM_CHANGED : r;
    if (!has_old(entry))
        return found.there ? em_fail(error, EM_CHANGED, label, "is there now, and was not before") : EM_OK;
    if (!found.there || found.st.st_ino != entry->old.inode || !em_identity_unchanged(&entry->old, &found.st))
        return em_fail(error, EM_CHANGED, label, "was changed by somebody else meanwhile; start again");
    return EM_OK;
}

static int add_directory(const struct em_store *store, struct em_journal *journal, struct em_map *seen, const char *path,
                         struct em_error *error)
{
    const char *parent = em_path_dirname(journal->arena, path);
    em_cleanup_fd int fd = -1;
    struct stat st;

    if (!parent)
        return EM_NO_MEMORY;
    if (em_map_get(seen, parent))
        return EM_OK;
    if (em_map_put(seen, parent, journal) < 0)
        return EM_NO_MEMORY;
    fd = em_beneath_directory(store->root, parent, error);
    if (fd == EM_NOT_FOUND) /* one of ours: check_unchanged has seen the others */
        return EM_OK;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return em_fail_errno(error, parent, "cannot be examined");
    return em_vec_push(journal->arena, &journal->directories,
                       ((struct em_journal_directory){ .path = parent, .inode = st.st_ino, .mtime = st.st_mtim }));
}

/* Now, as this file system keeps times: some know tenths of microseconds, some whole seconds. */
static void choose_stamp(const struct em_transaction *txn, struct timespec *stamp)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    struct stat st;

    clock_gettime(CLOCK_REALTIME, stamp);
    times[1] = *stamp;
    if (futimens(txn->slots, times) == 0 && fstat(txn->slots, &st) == 0)
        *stamp = st.st_mtim;
}

static int make_journal(struct em_transaction *txn, struct em_journal *journal, const char *note, struct em_error *error)
{
    struct em_map seen = { .arena = txn->arena };
    int r;

    *journal = (struct em_journal){ .arena = txn->arena, .note = note };
    choose_stamp(txn, &journal->stamp);
    qsort(txn->steps.items, txn->steps.count, sizeof *txn->steps.items, step_order);
    for (size_t i = 0; i < txn->steps.count; i++) {
        const struct step *step = txn->steps.items[i];

        if (!step->staged)
            continue;
        r = check_unchanged(&txn->store, &step->entry, error);
        if (r == EM_OK)
            r = add_directory(&txn->store, journal, &seen, step->entry.path, error);
        if (r == EM_OK)
            r = em_vec_push(txn->arena, &journal->entries, step->entry);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* Names that lead to the journal must be durable before the journal is relied upon. */
static int sync_way(const struct em_store *store, struct em_error *error)
{
    int r = em_fsync(store->root, store->path, error);

    return r < 0 ? r : em_fsync(store->dir, em_store_label(store, EM_STORE_NAME), error);
}

/* The commit point: one rename. If it can't be made durable it is taken back, and so is all before it. */
static int record_commit(struct em_transaction *txn, const char *name, struct em_error *error)
{
    em_cleanup_fd int undo = -1;
    int r;

    if (mkdirat(txn->store.dir, EM_STORE_UNDO, 0700) < 0 && errno != EEXIST)
        return em_fail_errno(error, em_store_label(&txn->store, EM_STORE_NAME), "has no room for what undo needs");
    undo = em_store_directory(&txn->store, EM_STORE_UNDO, error);
    if (undo < 0)
        return EM_IO;
    r = em_fsync(txn->store.dir, em_store_label(&txn->store, EM_STORE_NAME), error);
    if (r < 0)
        return r;
    if (renameat(txn->store.dir, EM_STORE_TXN, txn->store.dir, name) < 0)
        return em_fail_errno(error, em_store_label(&txn->store, EM_STORE_NAME), "cannot keep what undo needs");
    r = em_fsync(undo, em_store_label(&txn->store, EM_STORE_NAME), error);
    if (r == EM_OK)
        r = em_fsync(txn->store.dir, em_store_label(&txn->store, EM_STORE_NAME), error);
    if (r < 0 && renameat(txn->store.dir, name, txn->store.dir, EM_STORE_TXN) < 0)
        return em_fail_errno(error, txn->store.path, "is repaired, but the disk failed while that was made durable");
    return r;
}

static int next_id(const struct em_store *store, unsigned *id, struct em_error *error)
{
    struct em_store_ids ids;
    int r = em_store_ids(store, &ids, error);

    *id = r == EM_OK && ids.count > 0 ? ids.items[ids.count - 1] + 1 : 1;
    return r;
}

/* Journal, exchange, commit record; what fails is taken back. The first error is the one that is told: the way back has none of
 * its own to tell unless it fails too, and then the journal is still there and the next run goes on with it. */
static int exchange_all(struct em_transaction *txn, const struct em_journal *journal, const char *name, struct em_error *error)
{
    const struct em_exchange exchange = { &txn->store, txn->slots, journal };
    struct em_error second = EM_ERROR_INIT;
    int r, back;

    r = sync_way(&txn->store, error);
    if (r == EM_OK)
        r = em_journal_write(journal, txn->slots, error);
    if (r == EM_OK)
        r = em_exchange_forward(&exchange, error);
    if (r == EM_OK)
        r = record_commit(txn, name, error);
    if (r == EM_OK)
        return r;
    back = em_recover(&txn->store, false, NULL, &second);
    if (back < 0 && error) {
        size_t length = strlen(error->sentence);

        snprintf(error->sentence + length, sizeof error->sentence - length,
                 "; taking the others back failed as well (%s: %s), the next run of elfmend tries again", second.path,
                 second.sentence);
    }
    return r;
}

int em_transaction_commit(struct em_transaction *transaction, const char *note, bool keep, const char **id,
                          struct em_error *error)
{
    char name[EM_STORE_ID_SIZE];
    struct em_journal journal;
    unsigned number;
    int r;

    if (id)
        *id = NULL;
    if (transaction->broken)
        return em_fail(error, EM_USAGE, transaction->store.path, "has a file that could not be staged; nothing is committed");
    if (em_transaction_count(transaction) == 0)
        return EM_OK;
    r = make_journal(transaction, &journal, note, error);
    if (r < 0)
        return r;
    r = next_id(&transaction->store, &number, error);
    if (r < 0)
        return r;
    em_store_undo_name(number, name);
    r = exchange_all(transaction, &journal, name, error);
    /* Whichever way it ended, the directory is no longer ours to remove. */
    close(transaction->slots);
    transaction->slots = -1;
    transaction->steps.count = 0;
    if (r < 0)
        return r;
    if (!keep) {
        /* Done is done: what can't be removed now goes with the next run. */
        (void)em_store_discard(&transaction->store, name, false, NULL);
        return EM_OK;
    }
    if (id)
        *id = em_arena_strdup(transaction->arena, name + strlen(EM_STORE_UNDO "/"));
    return EM_OK;
}

void em_transaction_end(struct em_transaction *transaction)
{
    if (!transaction)
        return;
    if (transaction->slots >= 0) {
        close(transaction->slots);
        /* Without a journal recovery removes the slots. If it can't, the next run's will. */
        (void)em_recover(&transaction->store, false, NULL, NULL);
    }
    em_store_close(&transaction->store);
    pthread_mutex_destroy(&transaction->lock);
}
