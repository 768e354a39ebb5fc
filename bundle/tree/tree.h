/* tree.h: where files are, one read-only interface.
 *
 * The loader, the environment reader and the planner ask a tree whether a path is there, what it is, and for its bytes, and never
 * know more. So a directory on this machine, an unpacked image under --root, a wheel read in place and a tree as it will be once a
 * plan is applied are one case:
 *
 *     em_tree_disk(&tree, NULL, error)         this machine
 *     em_tree_disk(&tree, "/img", error)       /img is "/": links stay inside it, as after a chroot
 *     em_tree_overlay(&tree, below)            below, with files laid over it: em_overlay_put, em_overlay_remove
 *     em_tree_close(tree)
 *
 * Paths are absolute in the tree's own terms and spelled as the asker spells them: links and ".." are resolved as the kernel
 * would. Questions answer as system calls do, with 0 or a negative errno, because the loader's rules depend on which one it is
 * (ENOENT goes on to the next directory, ELOOP ends the list).
 *
 *     struct em_node node;
 *     r = em_tree_stat(tree, "/usr/lib/libx.so", &node);           follows links; -ENOENT
 *     r = em_tree_stat_near(tree, &near, path, &node);             the same for path after path, neighbours mostly
 *     r = em_tree_open(tree, path, &file); ... em_file_close(file) file->reader reads it
 *     r = em_tree_list(tree, arena, directory, &names)             sorted by byte value, without "." and ".."
 *     r = em_tree_entries(tree, arena, directory, &entries)        the same with what each one is: a walk that asks no more
 *     r = em_tree_real_path(tree, arena, path, &real)              no link left in it
 *
 * Threads: a tree may be asked by several threads once nothing is put into it any more.
 */
#ifndef EM_BUNDLE_TREE_TREE_H
#define EM_BUNDLE_TREE_TREE_H

#include "base/base.h"

#include <limits.h>

enum em_node_kind {
    EM_NODE_FILE,
    EM_NODE_DIRECTORY,
    EM_NODE_LINK,  /* only from em_tree_stat_link */
    EM_NODE_OTHER, /* device, socket, FIFO */
};

/* Identity is (device, inode): two paths with the same are one file, and the loader maps it once. Trees that are no file system
 * make up identities that no other tree has. */
struct em_node {
    enum em_node_kind kind;
    uint64_t device, inode;
    uint64_t size;
    uint64_t links; /* hard links */
    uint32_t mode;  /* permission bits, setuid and so on: st_mode & 07777 */
    uint32_t uid, gid;
    int64_t mtime_ns; /* since the epoch */
};

/* "device:inode": what tells files apart, as a key. */
#define EM_NODE_KEY_SIZE 34
void em_node_key(char key[EM_NODE_KEY_SIZE], const struct em_node *node);

struct em_file {
    struct em_reader reader;
    struct em_node node;
    void (*close)(struct em_file *file);
};

/* A name in a directory and what it is; a link is EM_NODE_LINK. */
struct em_entry {
    const char *name;
    enum em_node_kind kind;
};
struct em_entries {
    EM_VEC(struct em_entry);
};

/* The directory of the last question, kept open: the next one in it costs a name and not a path. One thread's own. */
struct em_near {
    int fd;        /* -1: none is open */
    size_t length; /* of directory */
    char directory[PATH_MAX];
};
void em_near_init(struct em_near *near);
void em_near_close(struct em_near *near);

struct em_tree;

struct em_tree_ops {
    int (*stat)(struct em_tree *tree, const char *path, bool follow, struct em_node *node);
    /* May be NULL: then it is stat. path is normal. */
    int (*stat_near)(struct em_tree *tree, struct em_near *near, const char *path, struct em_node *node);
    int (*open)(struct em_tree *tree, const char *path, struct em_file **file);
    int (*list)(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_strings *names);
    /* May be NULL: then it is list, and a question for each name. */
    int (*entries)(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_entries *entries);
    int (*read_link)(struct em_tree *tree, struct em_arena *arena, const char *path, char **target);
    int (*real_path)(struct em_tree *tree, struct em_arena *arena, const char *path, char **real);
    void (*close)(struct em_tree *tree);
};

struct em_tree {
    const struct em_tree_ops *ops;
};

int em_tree_stat(struct em_tree *tree, const char *path, struct em_node *node);
int em_tree_stat_link(struct em_tree *tree, const char *path, struct em_node *node); /* a last link is not followed */
int em_tree_stat_near(struct em_tree *tree, struct em_near *near, const char *path, struct em_node *node); /* path is normal */
int em_tree_open(struct em_tree *tree, const char *path, struct em_file **file); /* a regular file, or -EISDIR, -EINVAL */
int em_tree_list(struct em_tree *tree, struct em_arena *arena, const char *path, struct em_strings *names);
int em_tree_entries(struct em_tree *tree, struct em_arena *arena, const char *path,
                    struct em_entries *entries);                                                      /* sorted too */
int em_tree_read_link(struct em_tree *tree, struct em_arena *arena, const char *path, char **target); /* -EINVAL: no link */
int em_tree_real_path(struct em_tree *tree, struct em_arena *arena, const char *path, char **real);
void em_tree_close(struct em_tree *tree); /* NULL is fine; a tree below an overlay is not closed with it */
void em_file_close(struct em_file *file); /* NULL is fine */

/* A whole small file: RECORD, METADATA, pyvenv.cfg. Errors with a sentence, unlike the questions above. */
int em_tree_read(struct em_tree *tree, struct em_arena *arena, const char *path, uint64_t limit, struct em_bytes *bytes,
                 struct em_error *error);

static inline void em_file_closep(struct em_file **file)
{
    em_file_close(*file);
}
static inline void em_tree_closep(struct em_tree **tree)
{
    em_tree_close(*tree);
}
#define em_cleanup_file __attribute__((cleanup(em_file_closep)))
#define em_cleanup_tree __attribute__((cleanup(em_tree_closep)))

/* root NULL: this machine's own "/". Otherwise a directory that becomes "/": links and ".." stay inside. */
int em_tree_disk(struct em_tree **tree, const char *root, struct em_error *error);

/* below with changes laid over it. The overlay is filled first and asked afterwards. */
int em_tree_overlay(struct em_tree **tree, struct em_tree *below);

/* A file at path whose bytes come from the file at from in the tree source, with the patch laid over it unless patch is NULL (the
 * type is opaque here: the overlay is handed a function that makes a reader). path and its directories need not exist below.
 * All arguments must outlive the overlay. */
struct em_overlay_file {
    const char *path;       /* absolute, normal */
    struct em_tree *source; /* must not be this overlay where from is path itself: that would never end */
    const char *from;
    /* May be NULL. Lays something over the source's reader; storage is freed by em_file_close of the overlay. */
    int (*wrap)(const struct em_overlay_file *file, struct em_reader *below, struct em_reader **above, void **storage);
    const void *context; /* for wrap */
    uint64_t new_size;   /* with wrap: what size the result has */
};
int em_overlay_put(struct em_tree *overlay, const struct em_overlay_file *file); /* 0 or a negative errno; file is copied */
int em_overlay_remove(struct em_tree *overlay, const char *path);                /* as if it were not there below */

#endif
