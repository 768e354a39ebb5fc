/* pour.h: a library of a source, poured into the file that will stand for it in the target. Private to plan.
 *
 * One pass over the bytes: each piece is read once, and from there goes into the source's digest, through the patch into the result's
 * digests, and into the new file. The two digests are made of one piece in turns (em_hasher_add_two), which costs little more than one
 * of them. Where the file system shares blocks the new file is a clone, the clone is what is read, and only what differs is written.
 *
 * What the step says that the source is, is compared when all has been read. Until then, and if it differs, the new file is one that
 * nobody refers to: nothing that was not verified comes under a name that others look for.
 *
 * Errors: EM_REFUSED with both digests if the source is another; EM_CHANGED if it changed meanwhile; EM_IO; those of em_patch_make.
 */
#ifndef EM_BUNDLE_PLAN_POUR_H
#define EM_BUNDLE_PLAN_POUR_H

#include "bundle/plan/plan.h"
#include "bundle/plan/transaction.h"

/* edits: what the copy gets; out: empty. The digests of the result go into change. advance is told of the bytes that are done. */
int em_pour(const struct em_step *step, const struct em_edits *edits, int out, struct em_change *change,
            void (*advance)(void *context, uint64_t bytes), void *context, struct em_error *error);

#endif
