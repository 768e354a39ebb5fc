#include "bundle/tree/inflate_codes.h"

#include <string.h>

#define MOST_BITS 15u
#define HEADER_BITS 7u

/* RFC 1951, 3.2.5: base and extra bits. */
static const uint16_t length_base[29] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                          31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
static const uint8_t length_extra[29] = {
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0
};
static const uint16_t distance_base[30] = { 1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                            33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                            1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577 };
static const uint8_t distance_extra[30] = { 0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                            6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13 };

static uint32_t length_entry(unsigned symbol)
{
    if (symbol < 256)
        return LITERAL | symbol << 16;
    if (symbol == 256)
        return OTHER | END;
    return symbol < 286 ? (uint32_t)length_base[symbol - 257] << 16 | length_extra[symbol - 257] : OTHER;
}

static uint32_t distance_entry(unsigned symbol)
{
    return symbol < 30 ? (uint32_t)distance_base[symbol] << 16 | distance_extra[symbol] : OTHER;
}

static uint32_t header_entry(unsigned symbol)
{
    return symbol << 16;
}

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

static unsigned reverse(unsigned code, unsigned bits)
{
    unsigned reversed = 0;

    for (; bits > 0; bits--, code >>= 1)
        reversed = reversed << 1 | (code & 1);
    return reversed;
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

static bool build(uint32_t *table, unsigned room, unsigned table_bits, const uint8_t *lengths, size_t count, bool header,
                  uint32_t (*entry_of)(unsigned symbol))
{
    unsigned code = 0, used = 1u << table_bits, sub = 0, sub_bits = 0, prefix = ~0u, next = 0;
    struct order order;

    if (!sort_codes(&order, lengths, count, header))
        return false;
    for (unsigned i = 0; i < used; i++)
        table[i] = OTHER;
    for (unsigned bits = 1; bits <= order.longest; bits++, code <<= 1) {
        for (unsigned left = order.counts[bits]; left > 0; left--, code++) {
            unsigned reversed = reverse(code, bits);
            uint32_t entry = entry_of(order.symbols[next++]);

            if (bits <= table_bits) {
                entry += bits | bits << 8;
                for (unsigned i = reversed; i < 1u << table_bits; i += 1u << bits)
                    table[i] = entry;
                continue;
            }
            if (code >> (bits - table_bits) != prefix) {
                prefix = code >> (bits - table_bits);
                sub_bits = group_bits(&order, bits, left, code, table_bits) - table_bits;
                sub = used;
                used += 1u << sub_bits;
                if (used > room)
                    return false;
                table[reversed & ((1u << table_bits) - 1)] = OTHER | SUBTABLE | sub << 16 | sub_bits << 8;
            }
            entry += (bits - table_bits) | (bits - table_bits) << 8;
            for (unsigned i = reversed >> table_bits; i < 1u << sub_bits; i += 1u << (bits - table_bits))
                table[sub + i] = entry;
        }
    }
    return true;
}

bool em_codes_build(struct em_codes *codes, const uint8_t *lengths, size_t count, const uint8_t *distances,
                    size_t distance_count)
{
    codes->fixed = false;
    return build(codes->lengths, LENGTH_ROOM, LENGTH_BITS, lengths, count, false, length_entry) &&
           build(codes->distances, DISTANCE_ROOM, DISTANCE_BITS, distances, distance_count, false, distance_entry);
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
    return build(table, 128, HEADER_BITS, lengths, 19, true, header_entry);
}
