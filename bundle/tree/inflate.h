/* inflate.h: a deflate stream (RFC 1951) in pieces, which can be left at any of them and entered there again.
 *
 * Wheels are large and want everything at once: hashes of all bytes, a few bytes at some place, the borders of blocks for a splice.
 * zlib tells the borders and is slow; libdeflate is fast, wants the whole file in memory and tells nothing. This decoder works as
 * libdeflate does, out of tables with a word of bits at hand, and in a window:
 *
 *     inflater = em_inflater_new(&packed)                          NULL: no memory
 *     em_inflater_tell(inflater, &blocks, arena)                   if the borders of blocks are wanted
 *     r = em_inflater_next(inflater, most, &bytes, &size, error)   the next piece, valid until the next call; size 0: the end
 *     em_inflater_leave(inflater, &point, window)                  where it stands, and the 32 KiB before it
 *     r = em_inflater_enter(inflater, &point, window, error)       it stands there again: of this stream, by any inflater
 *     em_inflater_free(inflater)
 *
 * What it accepts is what zlib accepts, byte for byte and error for error: a code that is over-subscribed or incomplete (but for a
 * single code of one bit), a distance beyond the beginning, a block type or length that is none are refused. What follows the last
 * block is the caller's to judge (em_inflater_end).
 *
 * Errors: EM_BAD_ZIP, and inflater->problem says "breaks off" or "is broken"; those of the reader; EM_NO_MEMORY. After an error an
 * inflater is only freed. Memory: a quarter of a megabyte, whatever the stream. Threads: one inflater, one thread.
 */
#ifndef EM_BUNDLE_TREE_INFLATE_H
#define EM_BUNDLE_TREE_INFLATE_H

#include "base/base.h"

#define EM_INFLATE_WINDOW ((size_t)32768) /* how far back a match reaches (RFC 1951, section 2) */
#define EM_INFLATE_LEAST ((size_t)2048)   /* of most: a piece may end this much before it */

/* Where a block, or a run of small ones, begins: in bits of the stream and bytes of the file. */
struct em_block {
    uint64_t bit, out;
};

struct em_blocks {
    EM_VEC(struct em_block);
    uint64_t last_bit;      /* where the last block begins, with its mark */
    uint64_t end_bit, size; /* behind the last block */
};

/* Between two symbols of a block, or between two blocks. */
struct em_inflate_point {
    uint64_t out;         /* bytes of the file before it */
    uint64_t bit;         /* of the stream */
    uint64_t block_bit;   /* where the header of the block is; bit itself: a header comes next */
    uint32_t stored_left; /* bytes that a stored block still has */
    bool ended;           /* behind the last block */
};

struct em_inflater;
struct em_inflater *em_inflater_new(struct em_reader *packed);
void em_inflater_free(struct em_inflater *inflater); /* NULL is fine */

/* Borders are told to blocks as they are met, in arena; blocks is empty at first, and one that knows them already is told no more. */
void em_inflater_tell(struct em_inflater *inflater, struct em_blocks *blocks, struct em_arena *arena);

/* At least a byte and at most most of them; most is EM_INFLATE_LEAST or more. */
int em_inflater_next(struct em_inflater *inflater, uint64_t most, const uint8_t **bytes, size_t *size, struct em_error *error);
const char *em_inflater_problem(const struct em_inflater *inflater); /* NULL: the stream is not to blame */
uint64_t em_inflater_end(const struct em_inflater *inflater);        /* bytes of the stream that were used, once it has ended */

/* window holds the last min(point->out, EM_INFLATE_WINDOW) bytes before the point. */
void em_inflater_leave(const struct em_inflater *inflater, struct em_inflate_point *point, uint8_t *window);
int em_inflater_enter(struct em_inflater *inflater, const struct em_inflate_point *point, const uint8_t *window,
                      struct em_error *error);

static inline void em_inflater_freep(struct em_inflater **inflater)
{
    em_inflater_free(*inflater);
}
#define em_cleanup_inflater __attribute__((cleanup(em_inflater_freep)))

#endif
