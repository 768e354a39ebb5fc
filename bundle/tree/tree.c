#include "bundle/tree/tree.h"

#include <string.h>

void em_node_key(char key[EM_NODE_KEY_SIZE], const struct em_node *node)
{
    char *at = em_put_hex(key, node->device);

    *at++ = ':';
    *em_put_hex(at, node->inode) = '\0';
}

int em_tree_stat(struct em_tree *tree, const char *path, struct em_node *node)
{
    return tree->ops->stat(tree, path, true, node);
}

int em_tree_stat_link(struct em_tree *tree, const char *path, struct em_node *node)
{
    return tree->ops->stat(tree, path, false, node);
}

void em_near_init(struct em_near *near)
{
    near->fd = -1;
    near->length = 0;
}

void em_near_close(struct em_near *near)
{
    if (near->fd >= 0)
        close(near->fd);
    em_near_init(near);
}

int em_tree_stat_near(struct em_tree *tree, struct em_near *near, const char *path, struct em_node *node)
{
    return tree->ops->stat_near ? tree->ops->stat_near(tree, near, path, node) : em_tree_stat(tree, path, node);
}

int em_tree_open(struct em_tree *tree, const char *path, struct em_file **file)
{
    return tree->ops->open(tree, path, file);
}

int em_tree_list(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_strings *names)
{
    return tree->ops->list(tree, arena, path, names);
}

int em_tree_entries(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_entries *entries)
{
    struct em_strings names;
    int r;

    if (tree->ops->entries)
        return tree->ops->entries(tree, arena, path, entries);
    *entries = (struct em_entries){ 0 };
    r = em_tree_list(tree, arena, path, &names);
    if (r < 0)
        return r;
    em_vec_each (const char *, name, &names) {
        const char *joined = em_path_join(arena, path, *name);
        struct em_node node;

        if (!joined)
            return -ENOMEM;
        /* What went away meanwhile is not there. */
        if (em_tree_stat_link(tree, joined, &node) < 0)
            continue;
        if (em_vec_push(arena, entries, ((struct em_entry){ *name, node.kind })) < 0)
            return -ENOMEM;
    }
    return 0;
}

int em_tree_read_link(struct em_tree *tree, struct em_arena *arena, const char *path, char **target)
{
    return tree->ops->read_link(tree, arena, path, target);
}

int em_tree_real_path(struct em_tree *tree, struct em_arena *arena, const char *path, char **real)
{
    return tree->ops->real_path(tree, arena, path, real);
}

void em_tree_close(struct em_tree *tree)
{
    if (tree)
        tree->ops->close(tree);
}

void em_file_close(struct em_file *file)
{
    if (file)
        file->close(file);
}

int em_tree_read(struct em_tree *tree, struct em_arena *arena, const char *path, uint64_t limit, struct em_bytes *bytes,
                 struct em_error *error)
{
    em_cleanup_file struct em_file *file = NULL;
    int r = em_tree_open(tree, path, &file);

    if (r == -EISDIR || r == -EINVAL)
        return em_fail(error, EM_UNSUPPORTED, path, "is not a regular file");
    if (r < 0) {
        errno = -r;
        return em_fail_errno(error, path, "cannot be opened: %s", strerror(-r));
    }
    if (file->reader.size > limit)
        return em_fail(error, EM_LIMIT, path, "has %llu bytes, more than the %llu that such a file may have",
                       (unsigned long long)file->reader.size, (unsigned long long)limit);
    return em_read_bytes(&file->reader, arena, 0, file->reader.size, bytes, error);
}
