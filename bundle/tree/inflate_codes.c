#include "bundle/tree/inflate_codes.h"

#include <string.h>

#define MOST_BITS 15u
#define HEADER_BITS 7u

/* What the tables say of each symbol, but for the bits of its code (RFC 1951, 3.2.5: base and extra bits). */
#define BASE(base, extra) (uint32_t)(base) << 16 | (extra)
#define FOUR(of, n) of(n), of((n) + 1), of((n) + 2), of((n) + 3)
#define SIXTEEN(of, n) FOUR(of, n), FOUR(of, (n) + 4), FOUR(of, (n) + 8), FOUR(of, (n) + 12)
#define SIXTY_FOUR(of, n) SIXTEEN(of, n), SIXTEEN(of, (n) + 16), SIXTEEN(of, (n) + 32), SIXTEEN(of, (n) + 48)
#define BYTE(n) LITERAL | (uint32_t)(n) << 16
#define NUMBER(n) (uint32_t)(n) << 16

/* clang-format off */
static const uint32_t length_entries[LENGTH_CODES] = {
    SIXTY_FOUR(BYTE, 0), SIXTY_FOUR(BYTE, 64), SIXTY_FOUR(BYTE, 128), SIXTY_FOUR(BYTE, 192),
    OTHER | END,
    BASE(3, 0), BASE(4, 0), BASE(5, 0), BASE(6, 0), BASE(7, 0), BASE(8, 0), BASE(9, 0), BASE(10, 0),
    BASE(11, 1), BASE(13, 1), BASE(15, 1), BASE(17, 1), BASE(19, 2), BASE(23, 2), BASE(27, 2), BASE(31, 2),
    BASE(35, 3), BASE(43, 3), BASE(51, 3), BASE(59, 3), BASE(67, 4), BASE(83, 4), BASE(99, 4), BASE(115, 4),
    BASE(131, 5), BASE(163, 5), BASE(195, 5), BASE(227, 5), BASE(258, 0),
    OTHER, OTHER
};

static const uint32_t distance_entries[DISTANCE_CODES] = {
    BASE(1, 0), BASE(2, 0), BASE(3, 0), BASE(4, 0), BASE(5, 1), BASE(7, 1), BASE(9, 2), BASE(13, 2), BASE(17, 3), BASE(25, 3),
    BASE(33, 4), BASE(49, 4), BASE(65, 5), BASE(97, 5), BASE(129, 6), BASE(193, 6), BASE(257, 7), BASE(385, 7), BASE(513, 8),
    BASE(769, 8), BASE(1025, 9), BASE(1537, 9), BASE(2049, 10), BASE(3073, 10), BASE(4097, 11), BASE(6145, 11), BASE(8193, 12),
    BASE(12289, 12), BASE(16385, 13), BASE(24577, 13),
    OTHER, OTHER
};

static const uint32_t header_entries[19] = { SIXTEEN(NUMBER, 0), NUMBER(16), NUMBER(17), NUMBER(18) };
/* clang-format on */

/* Symbols in the order of their codes, and how many codes have each length. */
struct order {
    uint16_t symbols[LENGTH_CODES];
    unsigned counts[MOST_BITS + 1];
    unsigned used, longest;
};

/* False: more codes than there are bits for, or fewer, but for the one code of one bit that is allowed (3.2.7). */
static bool sort_codes(struct order *order, const uint8_t *lengths, size_t count, bool header)
{
    unsigned at[MOST_BITS + 2] = { 0 };
    int left = 1;

    *order = (struct order){ 0 };
    for (size_t i = 0; i < count; i++)
        order->counts[lengths[i]]++;
    order->used = (unsigned)count - order->counts[0];
    order->counts[0] = 0;
    for (unsigned bits = 1; bits <= MOST_BITS; bits++) {
        at[bits + 1] = at[bits] + order->counts[bits];
        left = left * 2 - (int)order->counts[bits];
        if (left < 0)
            return false;
        if (order->counts[bits])
            order->longest = bits;
    }
    for (size_t i = 0; i < count; i++)
        if (lengths[i])
            order->symbols[at[lengths[i]]++] = (uint16_t)i;
    return left == 0 || (!header && order->longest <= 1);
}

/* Codes are read from their first bit on, which is the lowest: they count up in reverse. The highest zero becomes one, and what is
 * above it zero. 0 behind the last code. */
static unsigned next_reversed(unsigned code, unsigned bits)
{
    const unsigned zeros = ~code & ((1u << bits) - 1), highest = zeros ? 1u << (31 - __builtin_clz(zeros)) : 0;

    return zeros ? (code & (highest - 1)) | highest : 0;
}

/* The longest of the codes from this one on that begin with the same table_bits bits. They are numbered in order: the left ones of
 * this length, then those that are longer. */
static unsigned group_bits(const struct order *order, unsigned bits, unsigned left, unsigned code, unsigned table_bits)
{
    unsigned prefix = code >> (bits - table_bits), longest = bits;

    for (;;) {
        if (left > 0)
            longest = bits;
        code += left;
        if (bits == MOST_BITS || code >> (bits - table_bits) != prefix)
            return longest;
        code <<= 1;
        left = order->counts[++bits];
    }
}

/* The codes that fit into the index. What was filled in for one bit less stands twice for one bit more, with the gaps that longer codes
 * fill. Returns the next code, reversed. */
static unsigned fill_table(uint32_t *table, unsigned table_bits, const struct order *order, const uint32_t *entries)
{
    const uint16_t *symbol = order->symbols;
    unsigned code = 0;

    table[0] = OTHER;
    for (unsigned bits = 1; bits <= table_bits; bits++) {
        memcpy(table + (1u << (bits - 1)), table, sizeof *table << (bits - 1));
        for (unsigned left = order->counts[bits]; left > 0; left--) {
            table[code] = entries[*symbol++] + (bits | bits << 8);
            code = next_reversed(code, bits);
        }
    }
    return code;
}

static bool build(uint32_t *table, unsigned room, unsigned table_bits, const uint8_t *lengths, size_t count, bool header,
                  const uint32_t *entries)
{
    unsigned code = 0, used = 1u << table_bits, sub = 0, sub_bits = 0, prefix = ~0u, next = 0, reversed;
    struct order order;

    if (!sort_codes(&order, lengths, count, header))
        return false;
    reversed = fill_table(table, table_bits, &order, entries);
    for (unsigned bits = 1; bits <= table_bits; bits++) {
        code = (code + order.counts[bits]) << 1;
        next += order.counts[bits];
    }
    for (unsigned bits = table_bits + 1; bits <= order.longest; bits++, code <<= 1) {
        for (unsigned left = order.counts[bits]; left > 0; left--, code++) {
            const unsigned own = bits - table_bits;

            if (code >> own != prefix) {
                prefix = code >> own;
                sub_bits = group_bits(&order, bits, left, code, table_bits) - table_bits;
                sub = used;
                used += 1u << sub_bits;
                if (used > room)
                    return false;
                table[reversed & ((1u << table_bits) - 1)] = OTHER | SUBTABLE | sub << 16 | sub_bits << 8;
            }
            for (unsigned i = reversed >> table_bits; i < 1u << sub_bits; i += 1u << own)
                table[sub + i] = entries[order.symbols[next]] + (own | own << 8);
            reversed = next_reversed(reversed, bits);
            next++;
        }
    }
    return true;
}

bool em_codes_build(struct em_codes *codes, const uint8_t *lengths, size_t count, const uint8_t *distances,
                    size_t distance_count)
{
    codes->fixed = false;
    return build(codes->lengths, LENGTH_ROOM, LENGTH_BITS, lengths, count, false, length_entries) &&
           build(codes->distances, DISTANCE_ROOM, DISTANCE_BITS, distances, distance_count, false, distance_entries);
}

void em_codes_fix(struct em_codes *codes)
{
    uint8_t lengths[LENGTH_CODES], distances[DISTANCE_CODES];

    if (codes->fixed)
        return;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(distances, 5, sizeof distances);
    codes->fixed = em_codes_build(codes, lengths, LENGTH_CODES, distances, DISTANCE_CODES);
}

bool em_codes_build_header(uint32_t table[128], const uint8_t lengths[19])
{
    return build(table, 128, HEADER_BITS, lengths, 19, true, header_entries);
}
