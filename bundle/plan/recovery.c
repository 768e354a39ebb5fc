#include "bundle/plan/recovery.h"

#include "bundle/plan/beneath.h"

#include <string.h>

/* What the step becomes if the file at its path is accepted as it is. false: there is nothing left to take back. */
static bool adopt(struct em_entry *entry, enum em_standing standing, const struct stat *there, bool has_directory)
{
    switch (standing) {
    case EM_STANDING_DONE:
    case EM_STANDING_NOT_DONE: return true;
    case EM_STANDING_LOST:
        /* A directory where we have put a file, or the reverse, is left to its maker. */
        if (S_ISDIR(there->st_mode) != (entry->kind == EM_ENTRY_MKDIR))
            return false;
        if (entry->kind == EM_ENTRY_RESTORE)
            entry->kind = EM_ENTRY_REPLACE;
        entry->file = em_identity_of(there);
        return true;
    case EM_STANDING_MISSING:
        if (entry->kind == EM_ENTRY_MKDIR || entry->kind == EM_ENTRY_CREATE || !has_directory)
            return false;
        entry->kind = EM_ENTRY_RESTORE;
        return true;
    }
    return false;
}

static int has_directory(const struct em_store *store, const char *path, bool *has, struct em_error *error)
{
    const char *parent = em_path_dirname(store->arena, path);
    em_cleanup_fd int fd = -1;

    if (!parent)
        return EM_NO_MEMORY;
    fd = em_beneath_directory(store->root, parent, error);
    *has = fd >= 0;
    return fd >= 0 || fd == EM_NOT_FOUND ? EM_OK : fd;
}

int em_recover_adopt(struct em_store *store, int slots, struct em_journal *journal, struct em_error *error)
{
    const struct em_exchange exchange = { store, slots, journal };
    size_t kept = 0;

    for (size_t i = 0; i < journal->entries.count; i++) {
        struct em_entry entry = journal->entries.items[i];
        enum em_standing standing;
        struct stat there;
        bool has = false;
        int r = em_exchange_standing(&exchange, &entry, &standing, &there, error);

        if (r == EM_OK && standing == EM_STANDING_MISSING)
            r = has_directory(store, entry.path, &has, error);
        if (r < 0)
            return r;
        if (adopt(&entry, standing, &there, has))
            journal->entries.items[kept++] = entry;
    }
    journal->entries.count = kept;
    return em_journal_write(journal, slots, error);
}

void em_recover_count(const struct em_journal *journal, size_t *restored, size_t *removed)
{
    for (size_t i = 0; i < journal->entries.count; i++) {
        switch (journal->entries.items[i].kind) {
        case EM_ENTRY_REPLACE:
        case EM_ENTRY_RESTORE: (*restored)++; break;
        case EM_ENTRY_CREATE: (*removed)++; break;
        case EM_ENTRY_MKDIR: break;
        }
    }
}

/* Without a journal, and only then, there is nothing to go back on; on that answer the slots are thrown away. */
static int go_back(struct em_store *store, int slots, bool force, struct em_recovered *recovered, struct em_error *error)
{
    struct em_journal journal;
    const struct em_exchange exchange = { store, slots, &journal };
    int r = em_journal_read(&journal, store->arena, slots, error);

    if (r == EM_NOT_FOUND)
        return EM_OK;
    if (r == EM_OK && force)
        r = em_recover_adopt(store, slots, &journal, error);
    if (r == EM_OK)
        r = em_exchange_back(&exchange, error);
    if (r < 0)
        return r;
    recovered->taken_back = true;
    em_recover_count(&journal, &recovered->restored, &recovered->removed);
    return EM_OK;
}

int em_recover(struct em_store *store, bool force, struct em_recovered *recovered, struct em_error *error)
{
    em_cleanup_fd int slots = -1;
    struct em_recovered unused;
    int r;

    if (!recovered)
        recovered = &unused;
    *recovered = (struct em_recovered){ 0 };
    if (store->dir < 0)
        return EM_OK;
    slots = em_store_directory(store, EM_STORE_TXN, error);
    if (slots == EM_NOT_FOUND)
        return EM_OK;
    if (slots < 0)
        return slots;
    r = go_back(store, slots, force, recovered, error);
    return r < 0 ? r : em_store_discard(store, EM_STORE_TXN, false, error);
}
