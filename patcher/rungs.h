/* rungs.h: the ladder. For this room only.
 *
 * There are many ways to make room for a string, and which of them fit depends on the object. All are tried on paper, and the best
 * that fits is taken: the one with the least growth, of several the lowest rung, of several the one that moves the least. The last
 * two rungs are for objects where nothing else fits, however little they would grow.
 *
 *     rung            precondition                          proof
 *     slide           pieces up to the segment's end,       DT_* entries and headers lead to the moved tables; no segment is
 *                     padding or the end of the file        new, no order changes
 *     evict, copy     the tail of some segment has room     as slide; a table that moves is whole, wherever it is
 *     append-load     a program header to spare             ascending, congruent, nothing mapped twice; each byte of it is a piece
 *     dynamic-slot    DT_RELACOUNT, or a writable tail      the count is a hint (glibc, musl, bionic work without)
 *     grow-headers    only pieces behind the table          as evict; the table stays where strip and the kernel look for it
 *     move-headers    none                                  kernels and loaders go by e_phoff and PT_PHDR; strip does not
 */
#ifndef EM_PATCHER_RUNGS_H
#define EM_PATCHER_RUNGS_H

#include "patcher/layout.h"

struct em_choice {
    struct em_candidate candidate;
    enum em_rung rung;
    uint64_t growth, moved_bytes;
    bool writable; /* the target is: read-only tables are better off elsewhere */
};

struct em_choices {
    EM_VEC(struct em_choice);
    bool settled; /* the first cannot be outdone, and the others were not looked for */
};

/* The candidates that fit, best first. allowed: bits of enum em_rung. all: also those behind one that cannot be outdone, for when the
 * check finds fault with it. */
int em_choices_find(struct em_choices *choices, struct em_goal *goal, const struct em_placement *placement,
                    const struct em_pieces *pieces, const struct em_chains *chains, uint32_t allowed, bool all,
                    struct em_error *error);

#endif
