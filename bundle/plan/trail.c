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

/* The last repair of a file is the one that counts. Its older step goes from the list, for the newer one to stand at the end. */
static int add_step(struct em_trail *trail, struct em_arena *arena, const struct em_trail_step *step)
{
    struct em_trail_step *known = em_map_get(&trail->by_path, step->path), *new = em_new(arena, struct em_trail_step);
    size_t kept = 0;
    int r;

    if (!new)
        return EM_NO_MEMORY;
    *new = *step;
    for (size_t i = 0; known && i < trail->steps.count; i++) {
        if (trail->steps.items[i] != known)
            trail->steps.items[kept++] = trail->steps.items[i];
    }
    if (known) {
        new->is_added = known->is_added;
        trail->steps.count = kept;
    }
    r = em_map_put(&trail->by_path, new->path, new);
    return r < 0 ? r : em_vec_push(arena, &trail->steps, new);
}

static int add_repair(struct em_trail *trail, const struct em_store *store, const struct em_kept *kept, struct em_error *error)
{
    const char *id = em_kept_name(store->arena, kept->id);

    if (!id)
        return EM_NO_MEMORY;
    em_vec_each (const struct em_entry, entry, &kept->journal.entries) {
        struct em_trail_step step = { .path = entry->path, .id = id, .is_added = entry->kind == EM_ENTRY_CREATE };
        int r;

        if (entry->kind != EM_ENTRY_CREATE && entry->kind != EM_ENTRY_REPLACE)
            continue;
        r = look(store, entry, &step.state, error);
        if (r == EM_OK)
            r = add_step(trail, store->arena, &step);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_trail_read(struct em_trail *trail, struct em_arena *arena, const char *root, struct em_error *error)
{
    em_cleanup_store struct em_store store = EM_STORE_INIT;
    struct em_store_ids ids;
    int r;

    *trail = (struct em_trail){ .by_path = { .arena = arena } };
    r = em_store_open(&store, arena, root, EM_STORE_READ, error);
    if (r == EM_OK)
        r = em_store_ids(&store, &ids, error);
    for (size_t i = 0; r == EM_OK && i < ids.count; i++) {
        struct em_kept kept;

        r = em_kept_open(&store, ids.items[i], &kept, error);
        /* Who undoes or forgets at this moment takes it away: then it is no repair any more. */
        if (r == EM_CHANGED) {
            r = EM_OK;
            continue;
        }
        if (r < 0)
            break;
        r = add_repair(trail, &store, &kept, error);
        em_kept_close(&kept);
    }
    if (r < 0)
        *trail = (struct em_trail){ .by_path = { .arena = arena } };
    return r;
}

const struct em_trail_step *em_trail_find(const struct em_trail *trail, const char *path)
{
    return em_map_get(&trail->by_path, path);
}
