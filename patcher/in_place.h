/* in_place.h: a patch written into the file itself, without a copy. For this room only.
 *
 * A file of a gigabyte is edited in milliseconds then. What is given up is the new inode, so it must be nobody else's file: another
 * name (a hard link into a cache), another process that has it open or mapped, another owner, or rights that the kernel takes away
 * from a file that is written (set-uid, capabilities) all mean a copy. What is not given up is that a kill leaves a file that is
 * whole: only a patch that can be written in turns is written (enum em_turn), and what has to change at once is one write within
 * one page, which a signal does not divide. A kill between two turns leaves the old object with bytes that nothing refers to, and
 * repeating the edit completes it. With sync, each turn is on the disk before the next begins.
 */
#ifndef EM_PATCHER_IN_PLACE_H
#define EM_PATCHER_IN_PLACE_H

#include "patcher/layout.h"

/* One write within one page, which is old or new whatever it changes. */
bool em_patch_is_one_write(const struct em_patch *patch);
/* Nothing moves, no table changes but .dynstr, which only gains, and what has to be one write can be one. */
bool em_layout_keeps_order(const struct em_layout *layout, const struct em_patch *patch);

/* 1: done, or nothing to do. 0: it must be copied, and *reason says why. Or a negative enum em_err. */
int em_patch_in_place(struct em_patch *patch, struct em_arena *arena, const char *path, const struct em_edit *edits,
                      size_t count, const struct em_patch_options *options, bool sync, const char **reason,
                      struct em_error *error);

#endif
