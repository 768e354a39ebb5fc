#include "bundle/plan/trail.h"

#include "bundle/plan/beneath.h"
#include "bundle/plan/kept.h"

const char *em_trail_state_name(enum em_trail_state state)
{
    switch (state) {
    case EM_TRAIL_OURS: return "ours";
    case EM_TRAIL_CHANGED: return "changed";
    case EM_TRAIL_GONE: return "gone";
    }
    return "";
}

static int look(const struct em_store *store, const struct em_entry *entry, enum em_trail_state *state, struct em_error *error)
{
    const char *label = em_store_label(store, entry->path);
    em_cleanup_beneath struct em_beneath found;
    bool same;
    int r = em_beneath_look(&found, store->root, entry->path, label, error);

    *state = EM_TRAIL_GONE;
    /* A link where a directory was is somebody else's doing, as a file that is gone is. */
    if (r == EM_NOT_FOUND || r == EM_REFUSED)
        return EM_OK;
    if (r < 0 || !found.there)
        return r;
    r = em_kept_is_same(entry, found.dir, found.name, label, &same, NULL, error);
    *state = same ? EM_TRAIL_OURS : EM_TRAIL_CHANGED;
    return r;
}

/* From the last repair to the first, so that what was done last to a file is seen first: each is looked at once. */
static int add_step(struct em_trail *trail, struct em_arena *arena, const struct em_store *store, const struct em_entry *entry,
                    const char *id, struct em_error *error)
{
    struct em_trail_step *known = em_map_get(&trail->by_path, entry->path), *new;
    int r;

    if (known) {
        known->is_added = entry->kind == EM_ENTRY_CREATE;
        return EM_OK;
    }
    if (trail->steps.count >= EM_MAX_JOURNAL_ENTRIES)
        return em_fail(error, EM_LIMIT, store->path, "has more than %u files that were repaired", EM_MAX_JOURNAL_ENTRIES);
    new = em_new(arena, struct em_trail_step);
    if (!new)
        return EM_NO_MEMORY;
    *new = (struct em_trail_step){ em_arena_strdup(arena, entry->path), id, entry->kind == EM_ENTRY_CREATE, EM_TRAIL_GONE };
    if (!new->path)
        return EM_NO_MEMORY;
    r = look(store, entry, &new->state, error);
    if (r == EM_OK)
        r = em_map_put(&trail->by_path, new->path, new);
    return r < 0 ? r : em_vec_push(arena, &trail->steps, new);
}

static int add_repair(struct em_trail *trail, struct em_arena *arena, const struct em_store *store, const struct em_kept *kept,
                      struct em_error *error)
{
    const char *id = em_kept_name(arena, kept->id);
    int r = id ? EM_OK : EM_NO_MEMORY;

    for (size_t i = kept->journal.entries.count; r == EM_OK && i-- > 0;) {
        const struct em_entry *entry = &kept->journal.entries.items[i];

        if (entry->kind == EM_ENTRY_CREATE || entry->kind == EM_ENTRY_REPLACE)
            r = add_step(trail, arena, store, entry, id, error);
    }
    return r;
}

static int read_repairs(struct em_trail *trail, struct em_arena *arena, const struct em_store *store,
                        const struct em_store_ids *ids, struct em_error *error)
{
    const struct em_arena_mark mark = em_arena_mark(store->arena);

    for (size_t i = ids->count; i-- > 0; em_arena_rewind(store->arena, mark)) {
        struct em_kept kept;
        int r = em_kept_open(store, ids->items[i], &kept, error);

        /* Who undoes or forgets at this moment takes it away: then it is no repair any more. */
        if (r == EM_CHANGED)
            continue;
        if (r < 0)
            return r;
        r = add_repair(trail, arena, store, &kept, error);
        em_kept_close(&kept);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static void reverse(struct em_trail *trail)
{
    struct em_trail_step **steps = trail->steps.items;

    for (size_t i = 0, count = trail->steps.count; i < count / 2; i++) {
        struct em_trail_step *step = steps[i];

        steps[i] = steps[count - 1 - i];
        steps[count - 1 - i] = step;
    }
}

int em_trail_read(struct em_trail *trail, struct em_arena *arena, const char *root, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new(); /* for one journal at a time */
    em_cleanup_store struct em_store store = EM_STORE_INIT;
    struct em_store_ids ids;
    int r;

    *trail = (struct em_trail){ .by_path = { .arena = arena } };
    r = scratch ? em_store_open(&store, scratch, root, EM_STORE_READ, error) : EM_NO_MEMORY;
    if (r == EM_OK)
        r = em_store_ids(&store, &ids, error);
    if (r == EM_OK)
        r = read_repairs(trail, arena, &store, &ids, error);
    reverse(trail);
    if (r < 0)
        *trail = (struct em_trail){ .by_path = { .arena = arena } };
    return r;
}

const struct em_trail_step *em_trail_find(const struct em_trail *trail, const char *path)
{
    return em_map_get(&trail->by_path, path);
}
