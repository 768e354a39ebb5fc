#include "bundle/tree/tree.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A file that was put; source NULL marks one that was removed. */
struct entry {
    struct em_overlay_file file;
    struct em_node node;
};

struct overlay {
    struct em_tree tree;
    struct em_tree *below;
    struct em_arena *arena;
    struct em_map files;       /* real path -> struct entry */
    struct em_map directories; /* real path -> struct em_node: implied by files, not there below */
    uint64_t device, next_inode;
};

struct overlay_file {
    struct em_file file;
    struct em_file *below;
    void *storage;
};

/* ---- resolving ---- */

static int real_path(struct overlay *overlay, struct em_arena *arena, const char *path, bool follow, unsigned links,
                     char **real);

/* What stands at directory/part, where directory is real: a link is followed unless it may not be. */
static int step(struct overlay *overlay, struct em_arena *arena, const char *directory, const char *part, bool follow,
                unsigned links, char **real)
{
    char *path = em_path_join(arena, directory, part), *target;
    struct em_node node;
    int r;

    if (!path)
        return -ENOMEM;
    *real = path;
    if (em_map_get(&overlay->files, path) || em_map_get(&overlay->directories, path))
        return 0;
    r = em_tree_stat_link(overlay->below, path, &node);
    if (r < 0 || node.kind != EM_NODE_LINK || !follow)
        return r;
    if (links >= EM_MAX_LINKS)
        return -ELOOP;
    r = em_tree_read_link(overlay->below, arena, path, &target);
    if (r < 0)
        return r;
    target = em_path_join(arena, directory, target);
    return target ? real_path(overlay, arena, target, true, links + 1, real) : -ENOMEM;
}

/* The slow way, a component at a time, for a path through directories that are only here. */
static int walk(struct overlay *overlay, struct em_arena *arena, const char *path, bool follow, unsigned links, char **real)
{
    char *at = em_arena_strdup(arena, "/");

    for (const char *part = path + strspn(path, "/"); at && *part; part += strspn(part, "/")) {
        size_t size = strcspn(part, "/");
        char *name = em_arena_strndup(arena, part, size);
        bool last = part[size + strspn(part + size, "/")] == '\0';
        int r;

        if (!name)
            return -ENOMEM;
        part += size;
        if (em_map_get(&overlay->files, at))
            return -ENOTDIR;
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            at = em_path_dirname(arena, at);
            continue;
        }
        r = step(overlay, arena, at, name, follow || !last, links, &at);
        /* A last part that is missing is still a place: a file may be put there. */
        if (r == -ENOENT && last)
            break;
        if (r < 0)
            return r;
    }
    *real = at;
    return at ? 0 : -ENOMEM;
}

/* path without links; its last part may be missing. Most directories are below, and below resolves them in one question. */
static int real_path(struct overlay *overlay, struct em_arena *arena, const char *path, bool follow, unsigned links,
                     char **real)
{
    const char *name = em_path_basename(path);
    char *directory;
    int r;

    if (path[0] != '/')
        return -ENOENT;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return walk(overlay, arena, path, true, links, real);
    directory = em_path_dirname(arena, path);
    if (!directory)
        return -ENOMEM;
    r = em_tree_real_path(overlay->below, arena, directory, &directory);
    if (r == -ENOENT || r == -ENOTDIR)
        return walk(overlay, arena, path, follow, links, real);
    if (r < 0)
        return r;
    r = step(overlay, arena, directory, name, follow, links, real);
    return r == -ENOENT ? 0 : r;
}

/* What is at path: an entry that was put (or a removed one: -ENOENT), a directory implied by one, or neither, and then below has
 * the answer under the path *real. */
static int find(struct overlay *overlay, struct em_arena *arena, const char *path, bool follow, char **real,
                struct entry **entry, struct em_node **directory)
{
    int r = real_path(overlay, arena, path, follow, 0, real);

    *entry = NULL;
    *directory = NULL;
    if (r < 0)
        return r;
    *entry = em_map_get(&overlay->files, *real);
    if (*entry && !(*entry)->file.source)
        return -ENOENT;
    if (*entry && path[strlen(path) - 1] == '/')
        return -ENOTDIR;
    if (!*entry)
        *directory = em_map_get(&overlay->directories, *real);
    return 0;
}

/* ---- questions ---- */

static int overlay_stat(struct em_tree *tree, const char *path, bool follow, struct em_node *node)
{
    struct overlay *overlay = (struct overlay *)tree;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_node *directory;
    struct entry *entry;
    char *real;
    int r;

    if (!scratch)
        return -ENOMEM;
    r = find(overlay, scratch, path, follow, &real, &entry, &directory);
    if (r < 0)
        return r;
    if (entry)
        *node = entry->node;
    else if (directory)
        *node = *directory;
    else
        return follow ? em_tree_stat(overlay->below, real, node) : em_tree_stat_link(overlay->below, real, node);
    return 0;
}

static void overlay_file_close(struct em_file *file)
{
    struct overlay_file *opened = (struct overlay_file *)file;

    free(opened->storage);
    em_file_close(opened->below);
    free(opened);
}

static int open_entry(struct entry *entry, struct em_file **file)
{
    em_cleanup_file struct em_file *below = NULL;
    struct overlay_file *opened;
    struct em_reader *above;
    void *storage = NULL;
    int r = em_tree_open(entry->file.source, entry->file.from, &below);

    if (r < 0)
        return r;
    above = &below->reader;
    if (entry->file.wrap) {
        r = entry->file.wrap(&entry->file, &below->reader, &above, &storage);
        if (r < 0)
            return r == EM_NO_MEMORY ? -ENOMEM : -EIO;
    }
    opened = calloc(1, sizeof *opened);
    if (!opened) {
        free(storage);
        return -ENOMEM;
    }
    opened->file = (struct em_file){ .reader = *above, .node = entry->node, .close = overlay_file_close };
    opened->below = below;
    opened->storage = storage;
    below = NULL;
    *file = &opened->file;
    return 0;
}

static int overlay_open(struct em_tree *tree, const char *path, struct em_file **file)
{
    struct overlay *overlay = (struct overlay *)tree;
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_node *directory;
    struct entry *entry;
    char *real;
    int r;

    if (!scratch)
        return -ENOMEM;
    r = find(overlay, scratch, path, true, &real, &entry, &directory);
    if (r < 0)
        return r;
    if (directory)
        return -EISDIR;
    return entry ? open_entry(entry, file) : em_tree_open(overlay->below, real, file);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The name of path in directory; NULL if it lies elsewhere or deeper. Both real. */
static const char *name_in(const char *path, const char *directory)
{
    const char *name;

    if (strcmp(path, directory) == 0 || !em_path_is_below(path, directory))
        return NULL;
    name = em_path_after(path, directory);
    return strchr(name, '/') ? NULL : name;
}

/* names without those that were put here before, then those of here. */
static int merge(struct overlay *overlay, struct em_arena *arena, const char *directory, const struct em_strings *below,
                 struct em_strings *names)
{
    *names = (struct em_strings){ 0 };
    for (size_t i = 0; i < below->count; i++) {
        char *path = em_path_join(arena, directory, below->items[i]);

        if (!path)
            return -ENOMEM;
        if (!em_map_get(&overlay->files, path) && em_vec_push(arena, names, below->items[i]) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < overlay->files.count; i++) {
        const struct entry *entry = overlay->files.entries[i].value;
        const char *name = name_in(overlay->files.entries[i].key, directory);

        if (name && entry->file.source && em_vec_push(arena, names, name) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < overlay->directories.count; i++) {
        const char *name = name_in(overlay->directories.entries[i].key, directory);

        if (name && em_vec_push(arena, names, name) < 0)
            return -ENOMEM;
    }
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, by_name);
    return 0;
}

static int overlay_list(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_strings *names)
{
    struct overlay *overlay = (struct overlay *)tree;
    struct em_strings below = { 0 };
    struct em_node *directory;
    struct entry *entry;
    char *real;
    int r = find(overlay, arena, path, true, &real, &entry, &directory);

    if (r < 0)
        return r;
    if (entry)
        return -ENOTDIR;
    if (!directory) {
        r = em_tree_list(overlay->below, arena, real, &below);
        if (r < 0)
            return r;
    }
    return merge(overlay, arena, real, &below, names);
}

static int overlay_read_link(struct em_tree *tree, struct em_arena *arena, const char *path, char **target)
{
    struct overlay *overlay = (struct overlay *)tree;
    struct em_node *directory;
    struct entry *entry;
    char *real;
    int r = find(overlay, arena, path, false, &real, &entry, &directory);

    if (r < 0)
        return r;
    return entry || directory ? -EINVAL : em_tree_read_link(overlay->below, arena, real, target);
}

static int overlay_real_path(struct em_tree *tree, struct em_arena *arena, const char *path, char **real)
{
    struct overlay *overlay = (struct overlay *)tree;
    struct em_node *directory;
    struct entry *entry;
    int r = find(overlay, arena, path, true, real, &entry, &directory);

    if (r < 0 || entry || directory)
        return r;
    return em_tree_real_path(overlay->below, arena, *real, real);
}

static void overlay_close(struct em_tree *tree)
{
    struct overlay *overlay = (struct overlay *)tree;

    em_arena_free(overlay->arena);
    free(overlay);
}

static const struct em_tree_ops overlay_ops = {
    .stat = overlay_stat,
    .open = overlay_open,
    .list = overlay_list,
    .read_link = overlay_read_link,
    .real_path = overlay_real_path,
    .close = overlay_close,
};

int em_tree_overlay(struct em_tree **tree, struct em_tree *below)
{
    /* No kernel hands out device numbers up there: dev_t has 32 bits in use. */
    static atomic_uint_least64_t next_device = UINT64_C(1) << 63;
    struct overlay *overlay = calloc(1, sizeof *overlay);

    *tree = NULL;
    if (!overlay)
        return EM_NO_MEMORY;
    overlay->arena = em_arena_new();
    if (!overlay->arena) {
        free(overlay);
        return EM_NO_MEMORY;
    }
    overlay->tree.ops = &overlay_ops;
    overlay->below = below;
    overlay->files.arena = overlay->directories.arena = overlay->arena;
    overlay->device = atomic_fetch_add(&next_device, 1);
    *tree = &overlay->tree;
    return EM_OK;
}

/* ---- filling ---- */

/* The real form of a path that may lie in directories that are not there yet; these become directories of the overlay. */
static int imply(struct overlay *overlay, const char *path, char **real)
{
    char *directory = em_path_dirname(overlay->arena, path), *above;
    struct em_node *node;
    int r;

    if (!directory)
        return -ENOMEM;
    r = real_path(overlay, overlay->arena, directory, true, 0, &above);
    if (r == -ENOENT)
        r = imply(overlay, directory, &above);
    if (r < 0)
        return r;
    node = em_map_get(&overlay->directories, above);
    if (!node) {
        struct em_node there;

        r = em_tree_stat(overlay->below, above, &there);
        if (r == 0 && there.kind != EM_NODE_DIRECTORY)
            return -ENOTDIR;
        if (r < 0 && r != -ENOENT)
            return r;
        if (r == -ENOENT) {
            node = em_new(overlay->arena, struct em_node);
            if (!node)
                return -ENOMEM;
            *node = (struct em_node){
                .kind = EM_NODE_DIRECTORY, .device = overlay->device, .inode = ++overlay->next_inode, .links = 2, .mode = 0755
            };
            if (em_map_put(&overlay->directories, above, node) < 0)
                return -ENOMEM;
        }
    }
    *real = em_path_join(overlay->arena, above, em_path_basename(path));
    return *real ? 0 : -ENOMEM;
}

static int add(struct overlay *overlay, const struct em_overlay_file *file, const struct em_node *node)
{
    struct entry *entry = em_new(overlay->arena, struct entry);
    char *real;
    int r;

    if (!entry)
        return -ENOMEM;
    r = imply(overlay, file->path, &real);
    if (r < 0)
        return r;
    entry->file = *file;
    entry->node = *node;
    entry->node.device = overlay->device;
    entry->node.inode = ++overlay->next_inode;
    entry->node.links = 1;
    return em_map_put(&overlay->files, real, entry) < 0 ? -ENOMEM : 0;
}

int em_overlay_put(struct em_tree *tree, const struct em_overlay_file *file)
{
    struct em_node node;
    int r = em_tree_stat(file->source, file->from, &node);

    if (r < 0)
        return r;
    if (file->wrap)
        node.size = file->new_size;
    return add((struct overlay *)tree, file, &node);
}

int em_overlay_remove(struct em_tree *tree, const char *path)
{
    struct em_node node = { 0 };

    return add((struct overlay *)tree, &(struct em_overlay_file){ .path = path }, &node);
}
