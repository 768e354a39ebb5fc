/* layout.h: where everything goes. For this room only.
 *
 * A layout is a goal with places: each piece's new offset and address, the program headers, the end of the file. It is built for one
 * candidate (a way to make room; rungs.h) from a fresh copy of what the object has, and is worth nothing if a step of it says no.
 * Nothing is written: em_layout_emit turns a layout that came through into a patch.
 *
 * What holds for every layout: a piece keeps its alignment, and its offset stays congruent to its address; a PT_LOAD grows at its
 * end only, over zeros that belong to nobody, and only as far as the next segment's page; the new PT_LOAD comes behind all others in
 * memory and in the table, as the kernel wants them ascending; nothing that is not a piece moves.
 */
#ifndef EM_PATCHER_LAYOUT_H
#define EM_PATCHER_LAYOUT_H

#include "patcher/pieces.h"
#include "patcher/strings.h"

#define EM_TARGET_NONE UINT32_MAX
#define EM_TARGET_NEW (UINT32_MAX - 1)
#define EM_MAX_CHAIN 14u

/* Pieces that follow each other in a segment, up to the first thing that stays. One chain begins with .dynstr, one right behind the
 * program headers; they may share pieces. */
struct em_chain {
    size_t items[EM_MAX_CHAIN]; /* indices of pieces, in order */
    size_t count;
    uint32_t load;
    uint64_t barrier; /* address that the last of them may not reach; UINT64_MAX: the segment's end */
};

struct em_chains {
    struct em_chain strings, headers;
};

enum em_slot {                /* where a new program header comes from */
               EM_SLOT_SPARE, /* PT_NULL, zeros behind the table, a PT_NOTE said twice, a PT_PHDR that nobody needs */
               EM_SLOT_GROW,  /* what lies behind the table moves away */
               EM_SLOT_MOVE,  /* the table moves */
};

struct em_candidate {
    uint32_t evict;  /* bits: items of the chain that go to the target; of the headers' chain for EM_SLOT_GROW */
    bool copy;       /* .dynstr goes to the target, and is in no chain that is pushed */
    bool drop_count; /* DT_RELACOUNT or DT_RELCOUNT gives its slot */
    bool move_dynamic;
    uint32_t target; /* index of a PT_LOAD, NEW or NONE */
    enum em_slot slot;
};

struct em_blank { /* between pieces: zero from now on, so that the next edit finds padding there */
    uint64_t offset, size;
};

struct em_layout {
    struct em_goal *goal;
    struct em_image *image;
    const struct em_placement *placement;
    struct em_candidate candidate;
    struct em_pieces pieces;

    struct em_phdr *phdrs; /* as they shall be; while it is built, victims are still in it */
    uint32_t phnum;
    uint64_t phoff, shoff, file_end;
    bool has_new_load;
    struct em_phdr new_load;
    struct em_blanks {
        EM_VEC(struct em_blank);
    } blanks;

    enum em_rung rung;
    uint64_t growth, moved_bytes;
    const char *warning;
};

int em_chains_find(struct em_chains *chains, const struct em_goal *goal, const struct em_pieces *pieces,
                   struct em_error *error);

/* How many program headers the table must gain in place; where it ends in memory then, 0 if it is in no segment. */
size_t em_headers_wanted(const struct em_goal *goal, const struct em_candidate *candidate);
uint64_t em_headers_end(const struct em_image *image, size_t more);

/* 1: built; 0: this candidate does not fit; or a negative enum em_err. */
int em_layout_build(struct em_layout *layout, struct em_goal *goal, const struct em_placement *placement,
                    const struct em_pieces *pieces, const struct em_chains *chains, const struct em_candidate *candidate,
                    struct em_error *error);

/* Steps of it, in layout_space.c and layout_headers.c; results as above. */
int em_layout_place(struct em_layout *layout, struct em_piece *piece, uint32_t target, struct em_error *error);
int em_layout_extend(struct em_layout *layout, uint32_t load, uint64_t bytes, struct em_error *error);
int em_layout_is_zero(const struct em_layout *layout, uint64_t offset, uint64_t size, struct em_error *error);
int em_layout_headers(struct em_layout *layout, struct em_error *error);

/* 1 and the patch; 0: an entry that we do not know points into a piece that would move. */
int em_layout_emit(struct em_patch *patch, const struct em_layout *layout, struct em_error *error);

static inline uint64_t em_round_up(uint64_t value, uint64_t align)
{
    return align > 1 ? (value + align - 1) / align * align : value;
}

#endif
