/* inflate_codes.h: the tables of one block, private to inflate.c.
 *
 * An entry answers for as many bits as the table is indexed with:
 *
 *     31      it is a literal; 16 to 23 say which
 *     30..16  base of a length or distance, or where a subtable begins
 *     15      neither: a subtable (14), the end of the block (13), or no code at all
 *     11..8   bits of the code; of the index into the subtable
 *     5..0    bits to drop: those of the code and the extra ones behind it
 */
#ifndef EM_BUNDLE_TREE_INFLATE_CODES_H
#define EM_BUNDLE_TREE_INFLATE_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LITERAL 0x80000000u
#define OTHER 0x8000u
#define SUBTABLE 0x4000u
#define END 0x2000u

#define LENGTH_BITS 11u
#define DISTANCE_BITS 8u
#define LENGTH_CODES 288u
#define DISTANCE_CODES 32u
/* Most entries that complete codes of 15 bits need: 2342 and 402, by enumeration; building checks it. */
#define LENGTH_ROOM 2400u
#define DISTANCE_ROOM 512u

struct em_codes {
    uint32_t lengths[LENGTH_ROOM], distances[DISTANCE_ROOM];
    bool fixed; /* they are those of RFC 1951, 3.2.6 */
};

/* Code lengths of literals and lengths, and of distances. False: they make no code. */
bool em_codes_build(struct em_codes *codes, const uint8_t *lengths, size_t count, const uint8_t *distances,
                    size_t distance_count);
void em_codes_fix(struct em_codes *codes);

/* The code that the lengths themselves are in (3.2.7): a table of 128 entries, symbol in 16 to 20 and bits in 5..0. */
bool em_codes_build_header(uint32_t table[128], const uint8_t lengths[19]);

#endif
