#include "bundle/plan/kept.h"

#include "bundle/plan/beneath.h"

#include <string.h>

int em_kept_open(const struct em_store *store, unsigned id, struct em_kept *kept, struct em_error *error)
{
    char name[EM_STORE_ID_SIZE];
    int r;

    *kept = (struct em_kept){ .id = id };
    em_store_undo_name(id, name);
    kept->slots = em_store_directory(store, name, error);
    if (kept->slots == EM_NOT_FOUND)
        return em_fail(error, EM_CHANGED, em_store_label(store, EM_STORE_NAME), "has no %s any more", name);
    if (kept->slots < 0)
        return kept->slots;
    r = em_journal_read(&kept->journal, store->arena, kept->slots, error);
    if (r == EM_NOT_FOUND)
        r = em_fail(error, EM_BAD_JSON, em_store_label(store, EM_STORE_NAME),
                    "its %s has no journal; without one nothing can be "
                    "taken back",
                    name);
    if (r < 0)
        em_kept_close(kept);
    return r;
}

void em_kept_close(struct em_kept *kept)
{
    em_closep(&kept->slots);
    kept->slots = -1;
}

const char *em_kept_name(struct em_arena *arena, unsigned id)
{
    char name[EM_STORE_ID_SIZE];

    em_store_undo_name(id, name);
    return em_arena_strdup(arena, name + strlen(EM_STORE_UNDO "/"));
}

int em_kept_is_same(const struct em_entry *entry, int dir, const char *name, const char *label, bool *same, bool *moved,
                    struct em_error *error)
{
    em_cleanup_fd int fd = -1;
    struct em_reader reader;
    struct em_xxh3 xxh3;
    struct stat st;
    bool there;
    int r;

    *same = false;
    r = em_beneath_examine(dir, name, label, &st, &there, error);
    if (r < 0 || !there || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != entry->file.size)
        return r;
    if (st.st_ino == entry->file.inode && em_same_time(st.st_mtim, entry->file.mtime)) {
        *same = true;
        return EM_OK;
    }
    fd = em_open_at(dir, name, O_RDONLY | O_NOFOLLOW, 0, error);
    if (fd < 0)
        return fd;
    reader = em_reader_fd(fd, entry->file.size, label);
    r = em_hash_reader(&reader, NULL, &xxh3, error);
    *same = r == EM_OK && em_xxh3_equal(&xxh3, &entry->xxh3);
    if (*same && moved && st.st_ino != entry->file.inode)
        *moved = true;
    return r;
}
