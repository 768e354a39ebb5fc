#include "bundle/plan/draft.h"

#include <string.h>

const char *em_draft_root(struct em_arena *arena, const struct em_env *env)
{
    return env->kind == EM_ENV_OBJECT ? em_path_dirname(arena, env->path) : env->path;
}

struct em_draft_change *em_draft_find(const struct em_draft *draft, const char *path)
{
    return em_map_get(&draft->by_path, path);
}

struct em_draft_change *em_draft_add(struct em_draft *draft, const char *path, struct em_distribution *owner)
{
    struct em_draft_change *change = em_new(draft->arena, struct em_draft_change);

    if (!change)
        return NULL;
    change->path = path;
    change->owner = owner;
    if (em_vec_push(draft->arena, &draft->changes, change) < 0 || em_map_put(&draft->by_path, path, change) < 0)
        return NULL;
    return change;
}

/* Where the bytes come from before the edit. */
static struct em_tree *tree_of(const struct em_draft *draft, const struct em_draft_change *change)
{
    return change->candidate ? change->candidate->tree : draft->env->tree;
}

static const char *file_of(const struct em_draft_change *change)
{
    return change->candidate ? change->candidate->path : change->path;
}

/* A patch is a few hundred bytes; what it took to lay it out is not kept. */
static int keep_patch(struct em_arena *arena, struct em_patch *kept, const struct em_patch *made)
{
    *kept = (struct em_patch){ .old_size = made->old_size, .new_size = made->new_size, .rung = made->rung };
    if (made->warning && !(kept->warning = em_arena_strdup(arena, made->warning)))
        return EM_NO_MEMORY;
    em_vec_each (struct em_patch_range, range, &made->ranges) {
        struct em_patch_range copy = *range;

        if (range->bytes.data) {
            copy.bytes.data = (const uint8_t *)em_arena_strndup(arena, (const char *)range->bytes.data, range->bytes.size);
            if (!copy.bytes.data)
                return EM_NO_MEMORY;
        }
        if (em_vec_push(arena, &kept->ranges, copy) < 0)
            return EM_NO_MEMORY;
    }
    return EM_OK;
}

static int edits_of(const struct em_draft_change *change, struct em_arena *arena, struct em_edits *edits)
{
    const struct em_edit path = { .kind = EM_EDIT_SET_RPATH, .value = change->value, .tag = change->tag };
    const struct em_edit stack = { .kind = EM_EDIT_CLEAR_EXECSTACK };
    int r = EM_OK;

    *edits = (struct em_edits){ 0 };
    if (change->value)
        r = em_vec_push(arena, edits, path);
    em_vec_each (const struct em_rename, rename, &change->renames) {
        const struct em_edit needed = { .kind = EM_EDIT_REPLACE_NEEDED, .value = rename->from, .replacement = rename->to };

        if (r == EM_OK)
            r = em_vec_push(arena, edits, needed);
    }
    return r == EM_OK && change->clear_stack ? em_vec_push(arena, edits, stack) : r;
}

int em_draft_patch(struct em_draft *draft, struct em_draft_change *change, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    em_cleanup_file struct em_file *file = NULL;
    struct em_edits edits;
    struct em_patch made;
    int r = scratch ? edits_of(change, scratch, &edits) : EM_NO_MEMORY;

    if (r < 0 || edits.count == 0)
        return r;
    r = em_tree_open(tree_of(draft, change), file_of(change), &file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, file_of(change), "cannot be opened");
    }
    r = em_patch_make(&made, scratch, &file->reader, edits.items, edits.count, NULL, error);
    return r < 0 ? r : keep_patch(draft->arena, &change->patch, &made);
}

static int lay_patch(const struct em_overlay_file *file, struct em_reader *below, struct em_reader **above, void **storage)
{
    struct em_patched *patched = calloc(1, sizeof *patched);

    if (!patched)
        return -ENOMEM;
    em_patched_init(patched, below, file->context);
    *above = &patched->reader;
    *storage = patched;
    return 0;
}

static int lay_change(struct em_draft *draft, struct em_arena *arena, const struct em_draft_change *change,
                      struct em_error *error)
{
    struct em_overlay_file *file = em_new(arena, struct em_overlay_file);
    int r;

    if (change->remove) {
        r = em_overlay_remove(draft->overlay, change->path);
        errno = -r;
        return r < 0 ? em_fail_errno(error, change->path, "cannot be taken out of the tree") : EM_OK;
    }
    if (!file)
        return EM_NO_MEMORY;
    *file = (struct em_overlay_file){ .path = change->path, .source = tree_of(draft, change), .from = file_of(change) };
    if (!em_patch_is_empty(&change->patch)) {
        file->wrap = lay_patch;
        file->context = &change->patch;
        file->new_size = change->patch.new_size;
    }
    r = em_overlay_put(draft->overlay, file);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, change->path, "cannot be laid over the tree");
    }
    return EM_OK;
}

/* A file that a change touches is another inode afterwards; a copy is an object that was not there. */
static int lay_object(struct em_draft *draft, const struct em_draft_change *change, struct em_error *error)
{
    struct em_env_object fresh = { .path = change->path, .owner = change->owner, .owners = change->owner ? 1 : 0 };
    size_t position = (size_t)(uintptr_t)em_map_get(&draft->positions, change->path);
    struct em_env_object *object;
    int r;

    if (position == 0)
        draft->laid.objects.items[draft->laid.objects.count++] = fresh;
    object = &draft->laid.objects.items[position ? position - 1 : draft->laid.objects.count - 1];
    if (change->candidate)
        *object = fresh;
    r = em_tree_stat(draft->overlay, change->path, &object->node);
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, change->path, "cannot be examined in the tree as it would be");
    }
    return EM_OK;
}

static int note_positions(struct em_draft *draft)
{
    if (draft->positions.arena)
        return EM_OK;
    draft->positions.arena = draft->arena;
    for (size_t i = 0; i < draft->env->objects.count; i++)
        if (em_map_put(&draft->positions, draft->env->objects.items[i].path, (void *)(uintptr_t)(i + 1)) < 0)
            return EM_NO_MEMORY;
    return EM_OK;
}

/* What goes is no object any more. A link never was one. */
static void drop_removed(struct em_draft *draft)
{
    size_t kept = 0;

    for (size_t i = 0; i < draft->laid.objects.count; i++) {
        const struct em_draft_change *change = em_draft_find(draft, draft->laid.objects.items[i].path);

        if (!change || !change->remove)
            draft->laid.objects.items[kept++] = draft->laid.objects.items[i];
    }
    draft->laid.objects.count = kept;
}

static int by_path(const void *left, const void *right)
{
    const struct em_env_object *a = left, *b = right;

    return strcmp(a->path, b->path);
}

int em_draft_lay(struct em_draft *draft, struct em_arena *arena, struct em_error *error)
{
    size_t count = draft->env->objects.count;
    int r = note_positions(draft);

    em_draft_close(draft);
    if (r == EM_OK && em_tree_overlay(&draft->overlay, draft->env->tree) < 0)
        r = EM_NO_MEMORY;
    if (r < 0)
        return r;
    draft->laid = *draft->env;
    draft->laid.tree = draft->overlay;
    draft->laid.arena = arena;
    draft->laid.objects.items = em_arena_array(arena, count + draft->changes.count, sizeof *draft->laid.objects.items);
    draft->laid.objects.capacity = count + draft->changes.count;
    if (!draft->laid.objects.items)
        return EM_NO_MEMORY;
    if (count > 0)
        memcpy(draft->laid.objects.items, draft->env->objects.items, count * sizeof *draft->laid.objects.items);
    em_vec_each (struct em_draft_change *, change, &draft->changes) {
        r = lay_change(draft, arena, *change, error);
        if (r < 0)
            return r;
    }
    em_vec_each (struct em_draft_change *, change, &draft->changes) {
        r = (*change)->remove ? EM_OK : lay_object(draft, *change, error);
        if (r < 0)
            return r;
    }
    drop_removed(draft);
    qsort(draft->laid.objects.items, draft->laid.objects.count, sizeof *draft->laid.objects.items, by_path);
    return EM_OK;
}

void em_draft_close(struct em_draft *draft)
{
    em_tree_close(draft->overlay);
    draft->overlay = NULL;
}
