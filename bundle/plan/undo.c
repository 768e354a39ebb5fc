/* Taking back, forgetting, and saying what there is.
 *
 * Undo looks before it acts: all transactions that are to go are checked first, from the last to the first, each against what
 * the tree will be when the later ones are gone. Only then is one after the other taken back, each by the same steps as recovery.
 */
#include "bundle/plan/beneath.h"
#include "bundle/plan/kept.h"
#include "bundle/plan/recovery.h"
#include "bundle/plan/slot.h"
#include "bundle/plan/transaction.h"

#include <stdio.h>
#include <string.h>

/* ---- what there is ---- */

static int describe(const struct em_store *store, const struct em_kept *kept, struct em_arena *arena,
                    struct em_undo_entry *entry, struct em_error *error)
{
    *entry = (struct em_undo_entry){ .id = em_kept_name(arena, kept->id), .note = em_arena_strdup(arena, kept->journal.note) };
    if (!entry->id || !entry->note)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < kept->journal.entries.count; i++) {
        const struct em_entry *step = &kept->journal.entries.items[i];
        char slot[16];
        struct stat st;
        bool there;
        int r;

        entry->created += step->kind == EM_ENTRY_CREATE;
        entry->replaced += step->kind == EM_ENTRY_REPLACE || step->kind == EM_ENTRY_RESTORE;
        em_slot_name(step, slot);
        r = em_beneath_examine(kept->slots, slot, em_store_label(store, EM_STORE_NAME), &st, &there, error);
        if (r < 0)
            return r;
        /* A file that has another name elsewhere (a package manager's cache) would not be freed with ours. */
        if (there && S_ISREG(st.st_mode) && st.st_nlink == 1)
            entry->bytes += (uint64_t)st.st_blocks * 512;
    }
    return EM_OK;
}

int em_undo_list(struct em_undo_entries *entries, struct em_arena *arena, const char *root, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new(); /* for one journal at a time */
    em_cleanup_store struct em_store store = EM_STORE_INIT;
    struct em_arena_mark mark;
    struct em_store_ids ids;
    int r;

    *entries = (struct em_undo_entries){ 0 };
    r = scratch ? em_store_open(&store, scratch, root, EM_STORE_READ, error) : EM_NO_MEMORY;
    if (r == EM_OK)
        r = em_store_ids(&store, &ids, error);
    if (r < 0)
        return r;
    mark = em_arena_mark(scratch);
    for (size_t i = 0; i < ids.count; i++, em_arena_rewind(scratch, mark)) {
        struct em_undo_entry entry;
        struct em_kept kept;

        r = em_kept_open(&store, ids.items[i], &kept, error);
        if (r < 0)
            return r;
        r = describe(&store, &kept, arena, &entry, error);
        em_kept_close(&kept);
        if (r == EM_OK)
            r = em_vec_push(arena, entries, entry);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* ---- is a file still what we have put there ---- */

/* Where the file at a path will be found once the later transactions are taken back: in the tree, unless one of them has kept it. */
struct later {
    const struct em_kept *kept;
    const struct em_entry *entry;
};

static int refuse_changed(const struct em_store *store, const struct em_entry *entry, bool gone, struct em_error *error)
{
    return em_fail(error, EM_CHANGED, em_store_label(store, entry->path),
                   "%s since elfmend repaired it, so nothing was taken back; 'elfmend undo --force' takes back all that it can "
                   "and loses what is there now, 'elfmend undo --forget' keeps all as it is",
                   gone ? "has been removed" : "was changed by somebody else");
}

/* A file that we created and that is gone needs no taking back; one that we replaced does. */
static int check_absent(const struct em_store *store, const struct em_entry *entry, struct em_error *error)
{
    return entry->kind == EM_ENTRY_REPLACE ? refuse_changed(store, entry, true, error) : EM_OK;
}

static int check_in_tree(const struct em_store *store, struct em_kept *kept, const struct em_entry *entry,
                         struct em_error *error)
{
    const char *label = em_store_label(store, entry->path);
    em_cleanup_beneath struct em_beneath found;
    bool same;
    int r = em_beneath_look(&found, store->root, entry->path, label, error);

    if (r == EM_NOT_FOUND || (r == EM_OK && !found.there))
        return check_absent(store, entry, error);
    if (r < 0)
        return r;
    if (entry->kind == EM_ENTRY_MKDIR) /* another's directory stays, whatever happens */
        return EM_OK;
    if (entry->kind == EM_ENTRY_RESTORE)
        return refuse_changed(store, entry, false, error);
    r = em_kept_is_same(entry, found.dir, found.name, label, &same, &kept->moved, error);
    if (r < 0)
        return r;
    return same ? EM_OK : refuse_changed(store, entry, false, error);
}

static int check_entry(const struct em_store *store, struct em_map *later, struct em_kept *kept, const struct em_entry *entry,
                       struct em_error *error)
{
    const struct later *after = em_map_get(later, entry->path);
    struct later *mine;
    bool same;
    int r;

    if (!after) {
        r = check_in_tree(store, kept, entry, error);
    } else if (after->entry->kind == EM_ENTRY_CREATE || after->entry->kind == EM_ENTRY_MKDIR) {
        r = check_absent(store, entry, error);
    } else {
        char slot[16];

        em_slot_name(after->entry, slot);
        r = em_kept_is_same(entry, after->kept->slots, slot, em_store_label(store, entry->path), &same, &kept->moved, error);
        if (r == EM_OK && !same && entry->kind != EM_ENTRY_MKDIR)
            r = refuse_changed(store, entry, false, error);
    }
    if (r < 0)
        return r;
    mine = em_new(store->arena, struct later);
    if (!mine)
        return EM_NO_MEMORY;
    *mine = (struct later){ kept, entry };
    return em_map_put(later, entry->path, mine);
}

/* The original must be in its slot: without it there is nothing to bring back, forced or not. */
static int check_original(const struct em_store *store, const struct em_kept *kept, const struct em_entry *entry,
                          struct em_error *error)
{
    const char *label = em_store_label(store, entry->path);
    char slot[16];
    struct stat st;
    bool there;
    int r;

    if (entry->kind != EM_ENTRY_REPLACE && entry->kind != EM_ENTRY_RESTORE)
        return EM_OK;
    em_slot_name(entry, slot);
    r = em_beneath_examine(kept->slots, slot, label, &st, &there, error);
    if (r < 0)
        return r;
    if (!there || !em_identity_unchanged(&entry->old, &st))
        return em_fail(error, EM_CHANGED, label,
                       "cannot be brought back: its original in %s was removed or changed. 'elfmend undo --forget' gives the "
                       "originals up and keeps the repair",
                       EM_STORE_NAME);
    return EM_OK;
}

static int check_kept(const struct em_store *store, struct em_map *later, struct em_kept *kept, bool force,
                      struct em_error *error)
{
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < kept->journal.entries.count; i++) {
        const struct em_entry *entry = &kept->journal.entries.items[i];

        r = check_original(store, kept, entry, error);
        if (r == EM_OK && !force)
            r = check_entry(store, later, kept, entry, error);
    }
    return r;
}

/* ---- taking back ---- */

/* The name txn says that the way back has begun; from here on the next run would go on with it. If it can't be gone it is undone
 * itself: forward again, and the name back. */
static int take_back(struct em_store *store, struct em_kept *kept, bool force, struct em_error *error)
{
    const struct em_exchange exchange = { store, kept->slots, &kept->journal };
    const char *label = em_store_label(store, EM_STORE_NAME);
    char name[EM_STORE_ID_SIZE];
    int r = EM_OK;

    em_store_undo_name(kept->id, name);
    /* The new journal says of what is there now that it is ours: whoever goes on after us needs no --force. */
    if (force || kept->moved)
        r = em_recover_adopt(store, kept->slots, &kept->journal, error);
    if (r < 0)
        return r;
    r = em_store_move(store, name, EM_STORE_TXN, error);
    if (r < 0)
        return r;
    r = em_fsync(store->dir, label, error);
    if (r == EM_OK)
        r = em_exchange_back(&exchange, error);
    if (r == EM_OK)
        return em_store_discard(store, EM_STORE_TXN, false, error);
    if (em_exchange_forward(&exchange, NULL) == EM_OK && renameat(store->dir, EM_STORE_TXN, store->dir, name) == 0)
        (void)em_fsync(store->dir, label, NULL);
    return r;
}

static int take_all_back(struct em_store *store, struct em_kept *kept, size_t count, bool force, struct em_undo_result *result,
                         struct em_error *error)
{
    for (size_t i = count; i-- > 0;) {
        int r = take_back(store, &kept[i], force, error);

        if (r < 0)
            return r;
        result->transactions++;
        em_recover_count(&kept[i].journal, &result->restored, &result->removed);
    }
    return EM_OK;
}

/* Index of the first transaction that is to go; ids->count: none. An undo that was cut off and that recovery has finished just now
 * is the one that the user asks for again, so its number may be gone already. */
static int choose(const struct em_store *store, const struct em_store_ids *ids, const struct em_undo_options *options,
                  bool recovered, size_t *first, struct em_error *error)
{
    unsigned long wanted;
    char *end;

    *first = 0;
    if (options->all)
        return EM_OK;
    if (!options->to) {
        *first = recovered ? ids->count : ids->count - 1;
        return EM_OK;
    }
    wanted = strtoul(options->to, &end, 10);
    if (options->to[0] < '0' || options->to[0] > '9' || *end != '\0')
        wanted = 0;
    while (*first < ids->count && ids->items[*first] < wanted)
        (*first)++;
    if (wanted > 0 && (recovered || (*first < ids->count && ids->items[*first] == wanted)))
        return EM_OK;
    return em_fail(error, EM_NOT_FOUND, store->path, "has no repair '%s' to take back; 'elfmend undo --list' shows them",
                   options->to);
}

static int undo_chosen(struct em_store *store, const struct em_store_ids *ids, size_t first,
                       const struct em_undo_options *options, struct em_undo_result *result, struct em_error *error)
{
    const size_t count = ids->count - first;
    struct em_kept *kept = em_arena_array(store->arena, count, sizeof *kept);
    struct em_map later = { .arena = store->arena };
    size_t opened = 0, files = 0;
    int r = EM_OK;

    if (!kept)
        return EM_NO_MEMORY;
    for (; r == EM_OK && opened < count; opened += r == EM_OK) {
        r = em_kept_open(store, ids->items[first + opened], &kept[opened], error);
        files += r == EM_OK ? kept[opened].journal.entries.count : 0;
        if (files > EM_MAX_JOURNAL_ENTRIES && opened > 0 && r == EM_OK) {
            em_kept_close(&kept[opened]);
            r = em_fail(error, EM_LIMIT, store->path,
                        "has repairs of more than %u files to take back at once; take back one after "
                        "another: elfmend undo, without --all and --to",
                        EM_MAX_JOURNAL_ENTRIES);
        }
    }
    for (size_t i = opened; r == EM_OK && i-- > 0;)
        r = check_kept(store, &later, &kept[i], options->force, error);
    if (r == EM_OK)
        r = take_all_back(store, kept, count, options->force, result, error);
    for (size_t i = 0; i < opened; i++)
        em_kept_close(&kept[i]);
    return r;
}

int em_undo(struct em_undo_result *result, struct em_arena *arena, const char *root, const struct em_undo_options *options,
            struct em_error *error)
{
    em_cleanup_store struct em_store store = EM_STORE_INIT;
    struct em_recovered recovered;
    struct em_store_ids ids;
    size_t first;
    int r;

    *result = (struct em_undo_result){ 0 };
    r = em_store_open(&store, arena, root, EM_STORE_CHANGE, error);
    if (r < 0)
        return r;
    r = em_recover(&store, options->force, &recovered, error);
    if (r < 0)
        return r;
    r = em_store_ids(&store, &ids, error);
    if (r < 0)
        return r;
    *result = (struct em_undo_result){ recovered.taken_back, recovered.restored, recovered.removed };
    if (ids.count == 0 && !recovered.taken_back)
        return em_fail(error, EM_NOT_FOUND, root,
                       "has nothing to take back: elfmend has repaired nothing here, or it was undone or forgotten");
    r = choose(&store, &ids, options, recovered.taken_back, &first, error);
    if (r < 0 || first == ids.count)
        return r;
    return undo_chosen(&store, &ids, first, options, result, error);
}

/* ---- forgetting ---- */

int em_undo_forget(struct em_arena *arena, const char *root, uint64_t *freed, struct em_error *error)
{
    em_cleanup_store struct em_store store = EM_STORE_INIT;
    struct em_undo_entries entries;
    struct em_store_ids ids;
    uint64_t bytes = 0;
    int r;

    if (freed)
        *freed = 0;
    r = em_store_open(&store, arena, root, EM_STORE_CHANGE, error);
    if (r < 0)
        return r;
    r = em_recover(&store, false, NULL, error);
    /* A journal that can't be read is no reason to keep what it speaks of, once it is to go anyway. */
    if (r == EM_OK && em_undo_list(&entries, arena, root, NULL) == EM_OK) {
        for (size_t i = 0; i < entries.count; i++)
            bytes += entries.items[i].bytes;
    }
    if (r == EM_OK)
        r = em_store_ids(&store, &ids, error);
    /* The last first: what is left at any moment can still be taken back in order. */
    for (size_t i = r == EM_OK ? ids.count : 0; r == EM_OK && i-- > 0;) {
        char name[EM_STORE_ID_SIZE];

        em_store_undo_name(ids.items[i], name);
        r = em_store_discard(&store, name, true, error);
    }
    if (r == EM_OK && freed)
        *freed = bytes;
    return r;
}

/* ---- recovery alone ---- */

int em_transaction_recover(struct em_arena *arena, const char *root, bool *recovered, struct em_error *error)
{
    em_cleanup_store struct em_store store = EM_STORE_INIT;
    struct em_recovered what = { 0 };
    struct stat st;
    bool there;
    int r;

    if (recovered)
        *recovered = false;
    /* Commands that only read ask too, on trees where no lock can be made: most often there is nothing to do. */
    r = em_store_open(&store, arena, root, EM_STORE_READ, error);
    if (r < 0 || store.dir < 0)
        return r;
    r = em_beneath_examine(store.dir, EM_STORE_TXN, em_store_label(&store, EM_STORE_NAME), &st, &there, error);
    if (r < 0 || !there)
        return r;
    em_store_close(&store);
    r = em_store_open(&store, arena, root, EM_STORE_CHANGE, error);
    if (r == EM_OK)
        r = em_recover(&store, false, &what, error);
    if (recovered)
        *recovered = what.taken_back;
    return r;
}
