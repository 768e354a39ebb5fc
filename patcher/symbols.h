/* symbols.h: the dynamic symbol table and its hash tables, by DT_SYMTAB, DT_HASH and DT_GNU_HASH. For this room only.
 *
 * Nothing in the dynamic section says how many symbols there are. DT_HASH's nchain does; DT_GNU_HASH does by its longest chain,
 * as far as it has hashed symbols at all; MIPS has a tag; else the table ends where the next one begins.
 */
#ifndef EM_PATCHER_SYMBOLS_H
#define EM_PATCHER_SYMBOLS_H

#include "patcher/image.h"

struct em_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t shndx;
    uint64_t value, size;
};

struct em_symbols {
    bool there;
    bool exact; /* count comes from a table that says so, not from what follows */
    uint64_t addr, offset, count;
};

struct em_sysv_hash { /* gABI chapter 5, Hash Table; entries of 8 bytes on 64-bit Alpha and S/390 */
    bool there;
    uint64_t addr, offset, size;
    size_t entry;
    uint64_t buckets, chains;
};

struct em_gnu_hash { /* gnu-gabi, DT_GNU_HASH */
    bool there;
    uint64_t addr, offset, size;
    uint32_t buckets, first, bloom_words, bloom_shift; /* first: lowest symbol that is hashed */
    uint64_t symbols;                                  /* one past the highest that is hashed; first if there is none */
};

int em_sysv_hash_read(struct em_sysv_hash *hash, struct em_image *image, struct em_error *error);
int em_gnu_hash_read(struct em_gnu_hash *hash, struct em_image *image, struct em_error *error);
int em_symbols_locate(struct em_symbols *symbols, struct em_image *image, struct em_error *error);

/* Walks the symbols in order; visit returns 0 to go on, 1 to stop, or a negative enum em_err. */
int em_symbols_each(struct em_image *image, const struct em_symbols *symbols,
                    int (*visit)(void *context, uint64_t index, const struct em_symbol *symbol), void *context,
                    struct em_error *error);

struct em_symbol em_get_symbol(const struct em_image *image, const uint8_t *at);

uint32_t em_sysv_hash_of(const char *name);
uint32_t em_gnu_hash_of(const char *name);

#endif
