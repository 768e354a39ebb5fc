/* pieces.h: the parts of an object that can move. For this room only.
 *
 * A piece is a table that code never reaches by itself: whoever wants it asks the dynamic section or a program header, and both can
 * be rewritten. Two views must agree on where it ends: what its tags say, and the section that begins where it begins. A section
 * that lies across its border, or bytes of no section inside of it, make it a part of the neighbourhood that stays.
 */
#ifndef EM_PATCHER_PIECES_H
#define EM_PATCHER_PIECES_H

#include "patcher/goal.h"

enum em_piece_kind {
    EM_PIECE_DYNSTR,
    EM_PIECE_DYNAMIC,
    EM_PIECE_INTERP,
    EM_PIECE_NOTE, /* what one PT_NOTE covers */
    EM_PIECE_TABLE /* symbols, versions, hashes, relocations: found by DT_* addresses alone */
};

struct em_piece {
    enum em_piece_kind kind;
    uint32_t load; /* index of its PT_LOAD */
    uint64_t offset, addr, size, align;
    uint64_t new_offset, new_addr, new_size;
    bool leaves; /* it will go to the target: nobody makes room for it here */
    bool moved;
};

struct em_pieces {
    EM_VEC(struct em_piece);
};

/* Sorted by offset; none overlaps another. */
int em_pieces_find(struct em_pieces *pieces, const struct em_goal *goal, struct em_error *error);
struct em_piece *em_pieces_of_kind(struct em_pieces *pieces, enum em_piece_kind kind);

#endif
