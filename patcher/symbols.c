#include "patcher/symbols.h"

#include "patcher/patcher.h"

#include <string.h>

uint32_t em_sysv_hash_of(const char *name)
{
    uint32_t h = 0;

    for (; *name; name++) {
        h = (h << 4) + (uint8_t)*name;
        h ^= (h >> 24) & 0xf0;
        h &= 0x0fffffff;
    }
    return h;
}

uint32_t em_gnu_hash_of(const char *name)
{
    uint32_t h = 5381;

    for (; *name; name++)
        h = h * 33 + (uint8_t)*name;
    return h;
}

struct em_symbol em_get_symbol(const struct em_image *image, const uint8_t *at)
{
    if (image->is64)
        return (struct em_symbol){ .name = em_get32(image, at),
                                   .info = at[4],
                                   .other = at[5],
                                   .shndx = em_get16(image, at + 6),
                                   .value = em_get64(image, at + 8),
                                   .size = em_get64(image, at + 16) };
    return (struct em_symbol){ .name = em_get32(image, at),
                               .value = em_get32(image, at + 4),
                               .size = em_get32(image, at + 8),
                               .info = at[12],
                               .other = at[13],
                               .shndx = em_get16(image, at + 14) };
}

static int outside(const struct em_image *image, const char *what, uint64_t addr, struct em_error *error)
{
    return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic_offset,
                      "has its %s at address 0x%llx, and it does not fit into a PT_LOAD there", what, (unsigned long long)addr);
}

int em_sysv_hash_read(struct em_sysv_hash *hash, struct em_image *image, struct em_error *error)
{
    const struct em_dyn *dyn = em_image_dyn(image, DT_HASH);
    const uint8_t *at;
    int r;

    *hash = (struct em_sysv_hash){ .entry = 4 };
    if (!dyn)
        return EM_OK;
    if (image->is64 && (image->machine == EM_ALPHA || image->machine == EM_S390))
        hash->entry = 8;
    hash->addr = dyn->value;
    if (!em_image_offset(image, hash->addr, 2 * hash->entry, &hash->offset))
        return outside(image, "hash table (DT_HASH)", hash->addr, error);
    r = em_image_peek(image, hash->offset, 2 * hash->entry, "the hash table", &at, error);
    if (r < 0)
        return r;
    hash->buckets = hash->entry == 8 ? em_get64(image, at) : em_get32(image, at);
    hash->chains = hash->entry == 8 ? em_get64(image, at + 8) : em_get32(image, at + 4);
    if (hash->buckets > image->size || hash->chains > image->size)
        return outside(image, "hash table (DT_HASH)", hash->addr, error);
    hash->size = (2 + hash->buckets + hash->chains) * hash->entry;
    if (hash->size > em_image_room(image, hash->addr))
        return outside(image, "hash table (DT_HASH)", hash->addr, error);
    hash->there = true;
    return EM_OK;
}

/* The table ends where the chain of the highest bucket ends: an odd hash value. */
static int find_gnu_end(struct em_gnu_hash *hash, struct em_image *image, uint64_t buckets_at, uint64_t room,
                        struct em_error *error)
{
    uint64_t chains_at = buckets_at + (uint64_t)hash->buckets * 4, end = hash->offset + room;
    uint32_t highest = 0;
    const uint8_t *at;
    int r;

    for (uint32_t i = 0; i < hash->buckets; i++) {
        r = em_image_peek(image, buckets_at + (uint64_t)i * 4, 4, "the GNU hash table", &at, error);
        if (r < 0)
            return r;
        if (em_get32(image, at) > highest)
            highest = em_get32(image, at);
    }
    hash->symbols = hash->first;
    if (highest >= hash->first && highest != 0) {
        for (hash->symbols = highest;; hash->symbols++) {
            uint64_t offset = chains_at + (hash->symbols - hash->first) * 4;

            if (offset + 4 > end)
                return outside(image, "GNU hash table (DT_GNU_HASH)", hash->addr, error);
            r = em_image_peek(image, offset, 4, "the GNU hash table", &at, error);
            if (r < 0)
                return r;
            if (em_get32(image, at) & 1)
                break;
        }
        hash->symbols++;
    }
    hash->size = chains_at + (hash->symbols - hash->first) * 4 - hash->offset;
    return EM_OK;
}

int em_gnu_hash_read(struct em_gnu_hash *hash, struct em_image *image, struct em_error *error)
{
    const struct em_dyn *dyn = em_image_dyn(image, DT_GNU_HASH);
    const uint8_t *at;
    uint64_t room, head;
    int r;

    *hash = (struct em_gnu_hash){ 0 };
    if (!dyn)
        return EM_OK;
    hash->addr = dyn->value;
    room = em_image_room(image, hash->addr);
    if (!em_image_offset(image, hash->addr, 16, &hash->offset))
        return outside(image, "GNU hash table (DT_GNU_HASH)", hash->addr, error);
    r = em_image_peek(image, hash->offset, 16, "the GNU hash table", &at, error);
    if (r < 0)
        return r;
    hash->buckets = em_get32(image, at);
    hash->first = em_get32(image, at + 4);
    hash->bloom_words = em_get32(image, at + 8);
    hash->bloom_shift = em_get32(image, at + 12);
    head = 16 + (uint64_t)hash->bloom_words * em_word_size(image) + (uint64_t)hash->buckets * 4;
    if (head > room)
        return outside(image, "GNU hash table (DT_GNU_HASH)", hash->addr, error);
    r = find_gnu_end(hash, image, hash->offset + 16 + (uint64_t)hash->bloom_words * em_word_size(image), room, error);
    hash->there = r == EM_OK;
    return r;
}

/* No table says how many: the symbols end where another table that the dynamic section names begins, or with their segment. */
static uint64_t count_by_neighbour(const struct em_image *image, uint64_t addr)
{
    static const uint32_t tags[] = { DT_STRTAB, DT_HASH, DT_GNU_HASH, DT_VERSYM, DT_VERNEED, DT_VERDEF, DT_REL,
                                     DT_RELA,   DT_RELR, DT_JMPREL,   DT_INIT,   DT_FINI,    DT_PLTGOT };
    uint64_t room = em_image_room(image, addr);

    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        const struct em_dyn *dyn = em_image_dyn(image, tags[i]);

        if (dyn && dyn->value > addr && dyn->value - addr < room)
            room = dyn->value - addr;
    }
    return room / em_sym_size(image);
}

int em_symbols_locate(struct em_symbols *symbols, struct em_image *image, struct em_error *error)
{
    const struct em_dyn *dyn = em_image_dyn(image, DT_SYMTAB), *mips = em_image_dyn(image, DT_MIPS_SYMTABNO);
    struct em_sysv_hash sysv;
    struct em_gnu_hash gnu;
    int r;

    *symbols = (struct em_symbols){ 0 };
    if (!dyn)
        return EM_OK;
    r = em_sysv_hash_read(&sysv, image, error);
    if (r == EM_OK && !sysv.there)
        r = em_gnu_hash_read(&gnu, image, error);
    if (r < 0)
        return r;
    symbols->addr = dyn->value;
    symbols->exact = true;
    if (sysv.there)
        symbols->count = sysv.chains;
    else if (gnu.there && gnu.symbols > gnu.first)
        symbols->count = gnu.symbols;
    else if (image->machine == EM_MIPS && mips)
        symbols->count = mips->value;
    else {
        symbols->count = count_by_neighbour(image, symbols->addr);
        symbols->exact = false;
    }
    if (symbols->count > em_image_room(image, symbols->addr) / em_sym_size(image) ||
        !em_image_offset(image, symbols->addr, symbols->count * em_sym_size(image), &symbols->offset))
        return outside(image, "dynamic symbols (DT_SYMTAB)", symbols->addr, error);
    symbols->there = true;
    return EM_OK;
}

int em_symbols_each(struct em_image *image, const struct em_symbols *symbols,
                    int (*visit)(void *context, uint64_t index, const struct em_symbol *symbol), void *context,
                    struct em_error *error)
{
    size_t size = em_sym_size(image);

    for (uint64_t i = 0; i < symbols->count; i++) {
        struct em_symbol symbol;
        const uint8_t *at;
        int r = em_image_peek(image, symbols->offset + i * size, size, "a dynamic symbol", &at, error);

        if (r < 0)
            return r;
        symbol = em_get_symbol(image, at);
        r = visit(context, i, &symbol);
        if (r != 0)
            return r < 0 ? r : EM_OK;
    }
    return EM_OK;
}

/* Where in .dynstr a name ends like the one that is looked for: linkers share tails, so there may be several places. */
struct wanted {
    struct {
        EM_VEC(uint32_t);
    } places;
    bool defined; /* a definition is wanted, not a use */
    bool found;
};

static int find_places(struct wanted *wanted, struct em_image *image, const char *name, struct em_error *error)
{
    size_t length = strlen(name) + 1;

    if (length > EM_WINDOW / 2)
        return EM_OK;
    for (uint64_t at = 0; at + length <= image->strtab_size;) {
        uint64_t rest = image->strtab_size - at;
        size_t piece = rest < EM_WINDOW ? (size_t)rest : EM_WINDOW;
        const uint8_t *bytes, *hit;
        int r = em_image_peek(image, image->strtab_offset + at, piece, "the dynamic string table", &bytes, error);

        if (r < 0)
            return r;
        for (hit = bytes; (hit = memmem(hit, piece - (size_t)(hit - bytes), name, length)) != NULL; hit++) {
            r = em_vec_push(image->arena, &wanted->places, (uint32_t)(at + (uint64_t)(hit - bytes)));
            if (r < 0)
                return r;
        }
        if (piece == rest)
            break;
        at += piece - (length - 1);
    }
    return EM_OK;
}

static int visit_wanted(void *context, uint64_t index, const struct em_symbol *symbol)
{
    struct wanted *wanted = context;

    if (index == 0 || (symbol->shndx != SHN_UNDEF) != wanted->defined)
        return 0;
    em_vec_each (uint32_t, place, &wanted->places)
        if (*place == symbol->name)
            wanted->found = true;
    return wanted->found ? 1 : 0;
}

static int find_symbol(struct wanted *wanted, struct em_reader *reader, const char *symbol, struct em_error *error)
{
    em_cleanup_arena struct em_arena *scratch = em_arena_new();
    struct em_symbols symbols;
    struct em_image image;
    int r = scratch ? em_image_open(&image, scratch, reader, error) : EM_NO_MEMORY;

    if (r < 0 || !image.has_strtab)
        return r;
    r = em_symbols_locate(&symbols, &image, error);
    if (r == EM_OK && symbols.there)
        r = find_places(wanted, &image, symbol, error);
    if (r == EM_OK && symbols.there && wanted->places.count > 0)
        r = em_symbols_each(&image, &symbols, visit_wanted, wanted, error);
    return r;
}

int em_object_imports(bool *imports, struct em_reader *reader, const char *symbol, struct em_error *error)
{
    struct wanted wanted = { .defined = false };
    int r = find_symbol(&wanted, reader, symbol, error);

    *imports = r == EM_OK && wanted.found;
    return r;
}

int em_object_defines(bool *defines, struct em_reader *reader, const char *symbol, struct em_error *error)
{
    struct wanted wanted = { .defined = true };
    int r = find_symbol(&wanted, reader, symbol, error);

    *defines = r == EM_OK && wanted.found;
    return r;
}

struct names {
    struct em_image *image;
    struct em_strings *defined, *undefined;
    struct em_error *error;
};

static int visit_name(void *context, uint64_t index, const struct em_symbol *symbol)
{
    struct names *names = context;
    const unsigned binding = ELF32_ST_BIND(symbol->info); /* the same for both classes */
    const char *name;
    int r;

    if (index == 0 || symbol->name == 0 || binding == STB_LOCAL || (symbol->shndx == SHN_UNDEF && binding == STB_WEAK))
        return 0;
    r = em_image_string(names->image, symbol->name, &name, names->error);
    if (r < 0)
        return r;
    return em_vec_push(names->image->arena, symbol->shndx == SHN_UNDEF ? names->undefined : names->defined, name);
}

int em_object_symbols(struct em_strings *defined, struct em_strings *undefined, struct em_arena *arena,
                      struct em_reader *reader, struct em_error *error)
{
    struct names names = { .defined = defined, .undefined = undefined, .error = error };
    struct em_symbols symbols;
    struct em_image image;
    int r = em_image_open(&image, arena, reader, error);

    names.image = &image;
    image.string_most = EM_MAX_DYNSTR;
    *defined = *undefined = (struct em_strings){ 0 };
    if (r < 0 || !image.has_strtab)
        return r;
    r = em_symbols_locate(&symbols, &image, error);
    return r == EM_OK && symbols.there ? em_symbols_each(&image, &symbols, visit_name, &names, error) : r;
}
