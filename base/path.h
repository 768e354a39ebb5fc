/* path.h: paths as text. Nothing here asks the file system.
 *
 * A path is kept as it was spelled: the loader compares spellings, and ".." after a link is the kernel's to resolve. So joining
 * adds a slash and no more, and em_path_normal is for what we show, store and compare among ourselves.
 * Results come from the arena; NULL means no memory.
 */
#ifndef EM_BASE_PATH_H
#define EM_BASE_PATH_H

#include "base/arena.h"

#include <stdbool.h>

char *em_path_join(struct em_arena *arena, const char *directory, const char *name); /* name alone if absolute */
char *em_path_dirname(struct em_arena *arena, const char *path);                     /* "." for a bare name, "/" for "/x" */
const char *em_path_basename(const char *path);                                      /* into path; "" after a last slash */

/* Without ".", "//" and with "x/.." folded, as if there were no links. Keeps leading ".." of a relative path; "" becomes ".". */
char *em_path_normal(struct em_arena *arena, const char *path);

/* From a directory to a path, both absolute or both relative to the same place, both normal: "../../nvidia/cudnn/lib".
 * "." if they are the same. */
char *em_path_relative(struct em_arena *arena, const char *from_directory, const char *to);

/* path is root or lies below it, both normal. */
bool em_path_is_below(const char *path, const char *root);

/* path after root and its slash, "." for root itself; path itself if it is not below. Both normal. Into path. */
const char *em_path_after(const char *path, const char *root);

/* A relative path that stays where it starts: no "..", no leading slash, not empty, no empty component. What comes from a file
 * (a plan, a RECORD of a wheel) must pass this before it is used. */
bool em_path_is_contained(const char *path);

#endif
