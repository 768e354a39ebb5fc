/* beneath.h: directories below a root, opened so that no link can lead out of it.
 *
 * Root may run the program on a tree that somebody else writes to meanwhile. So a path below the root is never handed to the
 * kernel whole, to be resolved as it stands at that moment: the directory is opened with no link followed and no mount crossed,
 * and what is done is done to a name in that directory. openat2(2) does this in one call; where there is none (before Linux 5.6,
 * or under a filter of system calls that does not know it) the components are opened one by one.
 *
 *     em_cleanup_fd int dir = em_beneath_parent(root, path, &name, error);
 *     renameat2(slots, slot, dir, name, RENAME_EXCHANGE);
 *
 * EM_NOT_FOUND means ENOENT and nothing else. A link, or something that is no directory, on the way: EM_REFUSED. Another file
 * system: EM_REFUSED. All else that the kernel says is EM_IO: a directory that can't be read is not one that is not there.
 */
#ifndef EM_BUNDLE_PLAN_BENEATH_H
#define EM_BUNDLE_PLAN_BENEATH_H

#include "base/base.h"

/* path: contained, or "." for root itself. The fd is open for reading (fsync needs that). */
int em_beneath_directory(int root, const char *path, struct em_error *error);
/* The directory that holds path; name is the last part of path, into path. */
int em_beneath_parent(int root, const char *path, const char **name, struct em_error *error);

/* What is at name, no link followed. there is false for ENOENT only; every other failure is one. */
int em_beneath_examine(int dir, const char *name, const char *label, struct stat *st, bool *there, struct em_error *error);

/* Both: what is at a path, and the directory that holds it, open until em_beneath_leave. label: the whole path, for messages. */
struct em_beneath {
    int dir;
    const char *name;
    struct stat st;
    bool there;
};
#define EM_BENEATH_INIT                                                                                                        \
    {                                                                                                                          \
        .dir = -1                                                                                                              \
    }
int em_beneath_look(struct em_beneath *found, int root, const char *path, const char *label, struct em_error *error);
static inline void em_beneath_leave(struct em_beneath *found)
{
    em_closep(&found->dir);
}
#define em_cleanup_beneath __attribute__((cleanup(em_beneath_leave)))

#endif
