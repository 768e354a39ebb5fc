/* pathlist.h: RPATH and RUNPATH as lists of entries. Private to plan. Results in the arena; NULL: no memory. */
#ifndef EM_BUNDLE_PLAN_PATHLIST_H
#define EM_BUNDLE_PLAN_PATHLIST_H

#include "bundle/tree/tree.h"

/* "$ORIGIN/../nvidia/cudnn/lib": how an object in one directory names another, both absolute and normal. */
const char *em_pathlist_entry(struct em_arena *arena, const char *from_directory, const char *to_directory);

bool em_pathlist_has(const char *list, const char *entry);

/* list with entry behind it, list itself if it has it already. list may be NULL. */
const char *em_pathlist_append(struct em_arena *arena, const char *list, const char *entry);

/* The list of an object that moves from one place to another, so that it leads to the same directories of the environment:
 * "$ORIGIN/../../cublas/lib" in SITE/nvidia/cudnn/lib becomes "$ORIGIN/../nvidia/cublas/lib" in SITE/x.libs. from_site is where the
 * old place's packages are, to_site where the new one's. Entries that lead to no directory of the new tree are dropped; absolute
 * ones stay. $ORIGIN alone stays what it is: the family moves along. */
const char *em_pathlist_move(struct em_arena *arena, const char *list, const char *from_directory, const char *from_site,
                             const char *to_directory, const char *to_site, struct em_tree *tree);

#endif
