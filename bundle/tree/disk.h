/* disk.h: what the tree on disk shares with its test.
 *
 * A root is resolved by the kernel (openat2 with RESOLVE_IN_ROOT, Linux 5.6) or, where it cannot or a container's seccomp filter
 * forbids it, by our own walk. Both must give the same answers; by_hand asks for the second one.
 */
#ifndef EM_BUNDLE_TREE_DISK_H
#define EM_BUNDLE_TREE_DISK_H

#include "bundle/tree/tree.h"

int em_tree_disk_root(struct em_tree **tree, const char *root, bool by_hand, struct em_error *error);

#endif
