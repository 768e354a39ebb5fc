/* goal_symbols.c: new names for dynamic symbols.
 *
 * A name is the key of two hash tables. DT_HASH is a matter of writing it again. DT_GNU_HASH wants the defined symbols sorted by
 * bucket, so new names mean a new order, and whoever counts symbols follows: versions and relocations, and nobody else in a
 * dynamic object. Sizes do not change, so all of it happens where it is.
 */
#include "patcher/goal.h"

#include "patcher/tags.h"

#include <stdlib.h>
#include <string.h>

struct renaming {
    struct em_goal *goal;
    struct em_image *image;
    uint64_t count;
    uint8_t *table;     /* .dynsym in the new order */
    const char **names; /* by old index, new ones for those renamed */
    size_t *strings;    /* by old index: the number of the new name, or EM_NO_STRING */
    uint32_t *order;    /* old index by new index */
    uint32_t *places;   /* new index by old index */
    struct em_gnu_hash gnu;
};

int em_goal_rename_symbol(struct em_goal *goal, const char *symbol, const char *replacement, struct em_error *error)
{
    (void)error;
    return strcmp(symbol, replacement) == 0 ? EM_OK : em_map_put(&goal->renames, symbol, (void *)(uintptr_t)replacement);
}

static int load_symbols(struct renaming *renaming, bool *any, bool *any_hashed, struct em_error *error)
{
    struct em_goal *goal = renaming->goal;
    uint64_t size = renaming->count * em_sym_size(renaming->image);
    /* A program that defines nothing for others has an empty one, which may begin at any symbol. */
    bool has_hashed = renaming->gnu.there && renaming->gnu.symbols > renaming->gnu.first;
    int r;

    if (size > EM_MAX_TABLE)
        return em_fail(error, EM_LIMIT, renaming->image->name, "has more symbols than can be renamed");
    renaming->table = em_arena_alloc(goal->arena, (size_t)size);
    renaming->names = em_arena_array(goal->arena, (size_t)renaming->count, sizeof *renaming->names);
    renaming->strings = em_arena_array(goal->arena, (size_t)renaming->count, sizeof *renaming->strings);
    renaming->order = em_arena_array(goal->arena, (size_t)renaming->count, sizeof *renaming->order);
    renaming->places = em_arena_array(goal->arena, (size_t)renaming->count, sizeof *renaming->places);
    if (!renaming->table || !renaming->names || !renaming->strings || !renaming->order || !renaming->places)
        return EM_NO_MEMORY;
    renaming->image->string_most = EM_MAX_DYNSTR;
    r = em_read_at(renaming->image->reader, renaming->table, (size_t)size, goal->symbols.offset, error);
    for (uint32_t i = 0; r == EM_OK && i < renaming->count; i++) {
        struct em_symbol symbol = em_get_symbol(renaming->image, renaming->table + i * em_sym_size(renaming->image));
        const char *new;

        renaming->order[i] = renaming->places[i] = i;
        renaming->strings[i] = EM_NO_STRING;
        r = em_image_string(renaming->image, symbol.name, &renaming->names[i], error);
        if (r < 0 || i == 0)
            continue;
        new = em_map_get(&goal->renames, renaming->names[i]);
        if (!new)
            continue;
        renaming->names[i] = new;
        r = em_goal_want(goal, new, &renaming->strings[i]);
        *any = true;
        *any_hashed = *any_hashed || (has_hashed && i >= renaming->gnu.first);
    }
    return r;
}

/* Tables that run parallel to the symbols, or that are sorted with them, and that we do not know how to write. */
static int refuse_followers(const struct renaming *renaming, struct em_error *error)
{
    static const uint32_t tags[] = { DT_SYMTAB_SHNDX, DT_SYMINFO, EM_DT_ANDROID_REL, EM_DT_ANDROID_RELA };

    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (em_image_dyn(renaming->image, tags[i]))
            return em_fail(error, EM_REFUSED, renaming->image->name,
                           "has a table (tag 0x%x) that counts symbols in a way that a rename cannot follow", tags[i]);
    if (renaming->image->machine == EM_MIPS)
        return em_fail(error, EM_REFUSED, renaming->image->name,
                       "is for MIPS, whose symbols must stay in the order of the global offset table");
    return EM_OK;
}

/* MIPS keeps its symbols in the order of the global offset table and has a GNU hash table of a form of its own (DT_MIPS_XHASH), which
 * no lookup may go by once a name has changed. Where the other table is there too, the loader goes by that one. */
static int drop_mips_hash(struct em_goal *goal, struct em_error *error)
{
    struct em_goal_dyn *dyn = goal->image->machine == EM_MIPS ? em_goal_dyn(goal, EM_DT_MIPS_XHASH) : NULL;

    if (!dyn)
        return EM_OK;
    if (!em_goal_dyn(goal, DT_HASH))
        return em_fail(error, EM_REFUSED, goal->image->name,
                       "has a hash table of MIPS's own kind (DT_MIPS_XHASH) and no other, so its symbols cannot be renamed");
    em_goal_remove_dyn(goal, dyn);
    return EM_OK;
}

static int by_bucket(const void *a, const void *b, void *context)
{
    const struct renaming *renaming = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint32_t x_bucket = em_gnu_hash_of(renaming->names[x]) % renaming->gnu.buckets;
    uint32_t y_bucket = em_gnu_hash_of(renaming->names[y]) % renaming->gnu.buckets;

    if (x_bucket != y_bucket)
        return x_bucket < y_bucket ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int sort_symbols(struct renaming *renaming)
{
    size_t size = em_sym_size(renaming->image);
    uint8_t *sorted = em_arena_array(renaming->goal->arena, (size_t)renaming->count, size);

    if (!sorted)
        return EM_NO_MEMORY;
    qsort_r(renaming->order + renaming->gnu.first, (size_t)renaming->count - renaming->gnu.first, sizeof *renaming->order,
            by_bucket, renaming);
    for (uint32_t i = 0; i < renaming->count; i++) {
        renaming->places[renaming->order[i]] = i;
        memcpy(sorted + i * size, renaming->table + renaming->order[i] * size, size);
    }
    renaming->table = sorted;
    return EM_OK;
}

static int write_gnu_hash(struct renaming *renaming, struct em_error *error)
{
    const struct em_gnu_hash *gnu = &renaming->gnu;
    struct em_image *image = renaming->image;
    size_t word = em_word_size(image), bits = word * 8;
    uint8_t *table = em_arena_alloc(renaming->goal->arena, (size_t)gnu->size), *bloom, *buckets, *chains;
    int r;

    if (!table)
        return EM_NO_MEMORY;
    bloom = table + 16;
    r = em_read_at(image->reader, table, 16, gnu->offset, error);
    if (r < 0)
        return r;
    buckets = bloom + gnu->bloom_words * word;
    chains = buckets + (size_t)gnu->buckets * 4;
    for (uint32_t i = gnu->first; i < renaming->count; i++) {
        uint32_t hash = em_gnu_hash_of(renaming->names[renaming->order[i]]), next = 0;
        uint8_t *at = bloom + ((hash / bits) % gnu->bloom_words) * word, *bucket = buckets + (hash % gnu->buckets) * 4;
        bool last = i + 1 == renaming->count;

        if (!last)
            next = em_gnu_hash_of(renaming->names[renaming->order[i + 1]]);
        em_put_word(image, at,
                    em_get_word(image, at) | (UINT64_C(1) << (hash % bits)) |
                        (UINT64_C(1) << ((hash >> (gnu->bloom_shift & 31)) % bits)));
        if (em_get32(image, bucket) == 0)
            em_put32(image, bucket, i);
        last = last || next % gnu->buckets != hash % gnu->buckets;
        em_put32(image, chains + (size_t)(i - gnu->first) * 4, (hash & ~UINT32_C(1)) | last);
    }
    return em_goal_change(renaming->goal, gnu->offset, table, (size_t)gnu->size);
}

static void put_entry(const struct em_image *image, const struct em_sysv_hash *sysv, uint8_t *at, uint64_t value)
{
    if (sysv->entry == 8)
        em_put64(image, at, value);
    else
        em_put32(image, at, (uint32_t)value);
}

/* Every symbol but the local ones is in it, undefined ones too, as linkers do it. */
static int write_sysv_hash(struct renaming *renaming, struct em_error *error)
{
    struct em_sysv_hash sysv;
    uint8_t *table;
    int r = em_sysv_hash_read(&sysv, renaming->image, error);

    if (r < 0 || !sysv.there || sysv.buckets == 0)
        return r;
    table = em_arena_alloc(renaming->goal->arena, (size_t)sysv.size);
    if (!table)
        return EM_NO_MEMORY;
    put_entry(renaming->image, &sysv, table, sysv.buckets);
    put_entry(renaming->image, &sysv, table + sysv.entry, sysv.chains);
    for (uint64_t i = sysv.chains < renaming->count ? sysv.chains : renaming->count; i-- > 1;) {
        uint64_t bucket = em_sysv_hash_of(renaming->names[renaming->order[i]]) % sysv.buckets;
        uint8_t *head = table + (2 + bucket) * sysv.entry, *chain = table + (2 + sysv.buckets + i) * sysv.entry;

        if (ELF64_ST_BIND(em_get_symbol(renaming->image, renaming->table + i * em_sym_size(renaming->image)).info) == STB_LOCAL)
            continue;
        memcpy(chain, head, sysv.entry);
        put_entry(renaming->image, &sysv, head, i);
    }
    return em_goal_change(renaming->goal, sysv.offset, table, (size_t)sysv.size);
}

/* r_info keeps the symbol above the type: 32 bits up in the 64-bit class, 8 in the 32-bit class. */
static int write_relocations(struct renaming *renaming, uint64_t addr, uint64_t size, uint64_t entry, struct em_error *error)
{
    struct em_image *image = renaming->image;
    size_t word = em_word_size(image);
    unsigned shift = image->is64 ? 32 : 8;
    bool changed = false;
    uint64_t offset;
    uint8_t *table;
    int r;

    if (size == 0)
        return EM_OK;
    if (entry < 2 * word || size > EM_MAX_TABLE || !em_image_offset(image, addr, size, &offset))
        return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic_offset,
                          "has relocations that lead out of their PT_LOAD");
    table = em_arena_alloc(renaming->goal->arena, (size_t)size);
    if (!table)
        return EM_NO_MEMORY;
    r = em_read_at(image->reader, table, (size_t)size, offset, error);
    for (uint64_t at = 0; r == EM_OK && at + entry <= size; at += entry) {
        uint64_t info = em_get_word(image, table + at + word), symbol = info >> shift;

        if (symbol >= renaming->count)
            return em_fail_at(error, EM_BAD_ELF, image->name, offset + at, "has a relocation of a symbol that is not there");
        if (renaming->places[symbol] == symbol)
            continue;
        info = (info & ((UINT64_C(1) << shift) - 1)) | ((uint64_t)renaming->places[symbol] << shift);
        em_put_word(image, table + at + word, info);
        changed = true;
    }
    return r == EM_OK && changed ? em_goal_change(renaming->goal, offset, table, (size_t)size) : r;
}

static uint64_t value_of(const struct renaming *renaming, uint64_t tag)
{
    const struct em_dyn *dyn = em_image_dyn(renaming->image, tag);

    return dyn ? dyn->value : 0;
}

static int write_all_relocations(struct renaming *renaming, struct em_error *error)
{
    size_t word = em_word_size(renaming->image);
    uint64_t plt = value_of(renaming, DT_JMPREL), plt_size = value_of(renaming, DT_PLTRELSZ);
    uint64_t tables[2][2] = { { value_of(renaming, DT_REL), value_of(renaming, DT_RELSZ) },
                              { value_of(renaming, DT_RELA), value_of(renaming, DT_RELASZ) } };
    int r = EM_OK;

    for (size_t i = 0; r == EM_OK && i < 2; i++)
        r = write_relocations(renaming, tables[i][0], tables[i][1], (2 + i) * word, error);
    for (size_t i = 0; i < 2; i++)
        if (plt >= tables[i][0] && plt_size > 0 && plt + plt_size <= tables[i][0] + tables[i][1])
            return r; /* inside of the other table, as some machines have it */
    return r < 0 ? r
                 : write_relocations(renaming, plt, plt_size, (value_of(renaming, DT_PLTREL) == DT_RELA ? 3 : 2) * word, error);
}

static int sort_versions(struct renaming *renaming, struct em_error *error)
{
    struct em_goal *goal = renaming->goal;
    uint8_t *sorted;
    int r = em_goal_load_versym(goal, error);

    if (r < 0 || !goal->versym)
        return r;
    sorted = em_arena_array(goal->arena, (size_t)renaming->count, 2);
    if (!sorted)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < renaming->count; i++)
        memcpy(sorted + 2 * (size_t)i, goal->versym + 2 * (size_t)renaming->order[i], 2);
    goal->versym = sorted;
    return EM_OK;
}

static int rename_all(struct em_goal *goal, struct em_error *error)
{
    struct renaming renaming = { .goal = goal, .image = goal->image, .count = goal->symbols.count };
    size_t size = em_sym_size(goal->image);
    bool any = false, any_hashed = false;
    int r = em_gnu_hash_read(&renaming.gnu, goal->image, error);

    if (r == EM_OK && renaming.gnu.there && (renaming.gnu.buckets == 0 || renaming.gnu.bloom_words == 0))
        return em_fail_at(error, EM_BAD_ELF, goal->image->name, renaming.gnu.offset,
                          "has a GNU hash table that no name can be looked up in");
    if (r == EM_OK)
        r = load_symbols(&renaming, &any, &any_hashed, error);
    if (r < 0 || !any)
        return r;
    r = drop_mips_hash(goal, error);
    if (r == EM_OK && any_hashed) {
        if (renaming.gnu.symbols != renaming.count)
            return em_fail_at(error, EM_BAD_ELF, goal->image->name, renaming.gnu.offset,
                              "has a GNU hash table that does not hold its symbols");
        r = refuse_followers(&renaming, error);
        if (r == EM_OK)
            r = sort_symbols(&renaming);
        if (r == EM_OK)
            r = write_gnu_hash(&renaming, error);
        if (r == EM_OK)
            r = write_all_relocations(&renaming, error);
        if (r == EM_OK)
            r = sort_versions(&renaming, error);
    }
    if (r == EM_OK)
        r = write_sysv_hash(&renaming, error);
    if (r == EM_OK)
        r = em_goal_change(goal, goal->symbols.offset, renaming.table, (size_t)renaming.count * size);
    /* st_name is the first field in both classes. */
    for (uint32_t i = 0; r == EM_OK && i < renaming.count; i++)
        if (renaming.strings[renaming.order[i]] != EM_NO_STRING)
            r = em_vec_push(goal->arena, &goal->refs,
                            (struct em_goal_ref){ goal->symbols.offset + i * size, renaming.strings[renaming.order[i]] });
    return r;
}

int em_goal_finish_symbols(struct em_goal *goal, struct em_error *error)
{
    uint64_t size = goal->symbols.count * 2;
    struct em_bytes was;
    int r = EM_OK;

    if (goal->renames.count > 0 && goal->symbols.there && goal->symbols.count > 0)
        r = rename_all(goal, error);
    if (r < 0 || !goal->versym)
        return r;
    r = em_read_bytes(goal->image->reader, goal->arena, goal->versym_offset, size, &was, error);
    if (r < 0 || memcmp(was.data, goal->versym, (size_t)size) == 0)
        return r;
    return em_goal_change(goal, goal->versym_offset, goal->versym, (size_t)size);
}
