#include "patcher/strings.h"

#include "patcher/tags.h"

#include <string.h>

#define PIECE ((size_t)64 * 1024)
#define FEW 64u /* strings for which a search of the whole table each is fine */

struct run {
    uint64_t start, size;
};

struct table {
    struct em_goal *goal;
    struct em_image *image;
    enum em_old_strings old;
    uint8_t *starts; /* a bit for each byte of .dynstr: a reference begins here */
    struct {
        EM_VEC(struct run);
    } free;
};

static void mark(struct table *table, uint64_t index)
{
    if (index < table->image->strtab_size)
        table->starts[index / 8] |= (uint8_t)(1u << (index % 8));
}

static int mark_symbol(void *context, uint64_t index, const struct em_symbol *symbol)
{
    (void)index;
    mark(context, symbol->name);
    return 0;
}

static void mark_dynamic(struct table *table)
{
    em_vec_each (struct em_goal_dyn, dyn, &table->goal->dyns) {
        enum em_tag_kind kind = em_tag_kind(table->image->machine, dyn->tag);

        if (dyn->string == EM_NO_STRING && (kind == EM_TAG_IS_STRING || kind == EM_TAG_IS_UNKNOWN))
            mark(table, dyn->value);
    }
    for (size_t i = 0; table->old == EM_OLD_KEEP && i < table->image->dyn_count; i++)
        if (em_tag_kind(table->image->machine, table->image->dyns[i].tag) == EM_TAG_IS_STRING)
            mark(table, table->image->dyns[i].value);
}

static void mark_records(struct table *table, const struct em_vertable *versions)
{
    em_vec_each (struct em_verrec, record, &versions->records)
        mark(table, record->file);
    em_vec_each (struct em_vernaux, aux, &versions->aux)
        mark(table, aux->name);
}

/* Tables that section headers know and no tag leads to. No loader reads their strings, but strip, objdump and eu-elflint do. */
static int mark_orphans(struct table *table, struct em_error *error)
{
    struct em_image *image = table->image;
    int r = EM_OK;

    for (uint32_t i = 1; image->shdrs && r == EM_OK && i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];
        const struct em_dyn *dyn = em_image_dyn(image, section->type == SHT_GNU_verneed ? DT_VERNEED : DT_VERDEF);
        struct em_vertable versions = { 0 };

        if ((section->type != SHT_GNU_verneed && section->type != SHT_GNU_verdef) || section->link >= image->shnum ||
            image->shdrs[section->link].offset != image->strtab_offset || (dyn && dyn->value == section->addr))
            continue;
        r = em_vertable_read_section(&versions, image, section, error);
        mark_records(table, &versions);
    }
    return r;
}

static void mark_versions(struct table *table)
{
    const struct em_goal *goal = table->goal;

    for (size_t i = 0; i < goal->needs.records.count; i++) {
        const struct em_verrec *record = &goal->needs.records.items[i];

        if (goal->need_gone[i])
            continue;
        if (goal->need_file[i] == EM_NO_STRING)
            mark(table, record->file);
        for (size_t j = 0; j < record->aux_count; j++)
            if (!goal->aux_gone[record->aux_first + j])
                mark(table, goal->needs.aux.items[record->aux_first + j].name);
    }
    for (size_t i = 0; i < goal->defines.aux.count; i++)
        mark(table, goal->defines.aux.items[i].name);
}

static bool is_dynamic(const struct em_image *image, const struct em_shdr *section)
{
    return image->dynamic && section->addr == image->dynamic->vaddr && section->offset == image->dynamic_offset;
}

static bool overlaps_strings(const struct em_image *image, const struct em_shdr *section)
{
    return section->type != SHT_NULL && section->type != SHT_NOBITS && section->size > 0 &&
           section->offset < image->strtab_offset + image->strtab_size &&
           section->offset + section->size > image->strtab_offset;
}

/* A section header string table, or a symbol table that no loader sees, may use .dynstr too. */
static bool is_shared(const struct em_image *image)
{
    for (size_t i = 0; i < image->dyn_count; i++) {
        const struct em_dyn *dyn = &image->dyns[i];

        /* Another table inside of this one: only a broken or a very clever file has that. */
        if (em_tag_kind(image->machine, dyn->tag) == EM_TAG_IS_ADDRESS && dyn->tag != DT_STRTAB &&
            dyn->value - image->strtab_addr < image->strtab_size)
            return true;
    }
    for (uint32_t i = 0; image->shdrs && i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];
        bool is_loaders = section->type == SHT_DYNSYM || section->type == SHT_DYNAMIC || section->type == SHT_GNU_verdef ||
                          section->type == SHT_GNU_verneed || section->type == SHT_NULL || is_dynamic(image, section);

        if (overlaps_strings(image, section) && (section->offset != image->strtab_offset || i == image->shstrndx))
            return true;
        if (!is_loaders && section->link < image->shnum && overlaps_strings(image, &image->shdrs[section->link]))
            return true;
    }
    return false;
}

/* The first place from at on, and before end, where a reference begins; end if there is none. */
static uint64_t next_start(const struct table *table, uint64_t at, uint64_t end)
{
    while (at < end && !((table->starts[at / 8] >> (at % 8)) & 1))
        at += table->starts[at / 8] >> (at % 8) ? 1 : 8 - at % 8;
    return at < end ? at : end;
}

/* Splits the table into what references keep, each up to its NUL, and what is free. */
static int find_free(struct table *table, struct em_error *error)
{
    em_cleanup_free uint8_t *buffer = malloc(PIECE);
    uint64_t size = table->image->strtab_size, start = 0;
    bool live = false;

    if (!buffer)
        return EM_NO_MEMORY;
    for (uint64_t piece = 0; piece < size; piece += PIECE) {
        uint64_t end = size - piece < PIECE ? size : piece + PIECE, at = piece;
        int r = em_read_at(table->image->reader, buffer, (size_t)(end - piece), table->image->strtab_offset + piece, error);

        while (r == EM_OK && at < end) {
            if (!live) {
                at = next_start(table, at, end);
                live = at < end;
                if (live && at > start)
                    r = em_vec_push(table->goal->arena, &table->free, (struct run){ start, at - start });
            } else {
                const uint8_t *nul = memchr(buffer + (at - piece), '\0', (size_t)(end - at));

                live = !nul;
                start = at = nul ? piece + (uint64_t)(nul - buffer) + 1 : end;
            }
        }
        if (r < 0)
            return r;
    }
    return start < size ? em_vec_push(table->goal->arena, &table->free, (struct run){ start, size - start }) : EM_OK;
}

static int start_table(struct table *table, struct em_goal *goal, enum em_old_strings old, struct em_error *error)
{
    int r;

    *table = (struct table){ .goal = goal, .image = goal->image, .old = old };
    if (is_shared(goal->image))
        return EM_OK;
    table->starts = calloc(1, (size_t)(goal->image->strtab_size / 8 + 1));
    if (!table->starts)
        return EM_NO_MEMORY;
    mark(table, 0);
    mark_dynamic(table);
    mark_versions(table);
    r = mark_orphans(table, error);
    if (r < 0)
        return r;
    r = goal->symbols.there ? em_symbols_each(goal->image, &goal->symbols, mark_symbol, table, error) : EM_OK;
    /* A symbol that is renamed lets its old name go; the old name stays marked, which costs its bytes and no more. */
    return r < 0 ? r : find_free(table, error);
}

/* Many strings: whole ones only, by a map. */
static int find_whole(struct em_goal *goal, bool *found, struct em_error *error)
{
    struct em_bytes bytes;
    int r = em_read_bytes(goal->image->reader, goal->arena, goal->image->strtab_offset, goal->image->strtab_size, &bytes,
                          error);

    for (size_t at = 0; r == EM_OK && at < bytes.size;) {
        const char *text = em_bytes_string(bytes, at);
        uintptr_t number = text ? (uintptr_t)em_map_get(&goal->wanted, text) : 0;

        if (!text)
            break;
        if (number > 0 && !found[number - 1]) {
            goal->strings.items[number - 1].offset = at;
            found[number - 1] = true;
        }
        at += strlen(text) + 1;
    }
    return r;
}

/* The places of all wanted strings that the table has, in one pass. */
static int find_present(struct em_goal *goal, bool *found, struct em_error *error)
{
    em_cleanup_free uint8_t *buffer = NULL;
    size_t longest = 1;
    uint64_t size = goal->image->strtab_size;

    if (goal->strings.count > FEW)
        return find_whole(goal, found, error);
    em_vec_each (struct em_goal_string, string, &goal->strings)
        if (strlen(string->text) + 1 > longest)
            longest = strlen(string->text) + 1;
    buffer = malloc(PIECE + longest);
    if (!buffer)
        return EM_NO_MEMORY;
    for (uint64_t at = 0; at < size; at += PIECE) {
        size_t piece = size - at < PIECE + longest ? (size_t)(size - at) : PIECE + longest;
        int r = em_read_at(goal->image->reader, buffer, piece, goal->image->strtab_offset + at, error);

        if (r < 0)
            return r;
        for (size_t i = 0; i < goal->strings.count; i++) {
            struct em_goal_string *string = &goal->strings.items[i];
            const uint8_t *hit;

            if (found[i])
                continue;
            hit = memmem(buffer, piece, string->text, strlen(string->text) + 1);
            if (!hit)
                continue;
            string->offset = at + (uint64_t)(hit - buffer);
            found[i] = true;
        }
    }
    return EM_OK;
}

/* Free bytes that now hold a string in use are free no more. */
static int take(struct table *table, uint64_t start, uint64_t size)
{
    for (size_t i = 0; i < table->free.count; i++) {
        struct run *run = &table->free.items[i], rest;

        if (start + size <= run->start || start >= run->start + run->size)
            continue;
        rest = (struct run){ start + size, 0 };
        if (run->start + run->size > rest.start)
            rest.size = run->start + run->size - rest.start;
        run->size = start > run->start ? start - run->start : 0;
        if (rest.size > 0) {
            int r = em_vec_push(table->goal->arena, &table->free, rest);

            if (r < 0)
                return r;
        }
    }
    return EM_OK;
}

/* The tightest free run; false if none has room. */
static bool overwrite(struct table *table, struct em_placement *placement, struct em_goal_string *string, int *r)
{
    uint64_t size = strlen(string->text) + 1;
    struct run *best = NULL;
    struct em_change change;

    em_vec_each (struct run, run, &table->free)
        if (run->size >= size && (!best || run->size < best->size))
            best = run;
    if (!best)
        return false;
    string->offset = best->start;
    change = (struct em_change){ .offset = table->image->strtab_offset + best->start,
                                 .bytes = em_arena_alloc(table->goal->arena, (size_t)size),
                                 .size = (size_t)size };
    if (!change.bytes) {
        *r = EM_NO_MEMORY;
        return true;
    }
    memcpy(change.bytes, string->text, (size_t)size);
    *r = em_vec_push(table->goal->arena, &placement->overwrites, change);
    best->start += size;
    best->size -= size;
    placement->overwritten = true;
    return true;
}

/* Where appending begins: at the free bytes that end the table, if there are any. */
static void find_end(const struct table *table, struct em_placement *placement)
{
    em_vec_each (struct run, run, &table->free)
        if (run->size > 0 && run->start + run->size == table->image->strtab_size)
            placement->appended_at = run->start;
}

/* Tails are looked for while there are few strings: a rename of all symbols has no use for it, and would take its square. */
static int append(struct em_placement *placement, struct em_goal *goal, struct em_goal_string *string)
{
    size_t size = strlen(string->text) + 1;
    uint8_t *hit = placement->appended_size > 0 && goal->strings.count <= FEW
                       ? memmem(placement->appended, placement->appended_size, string->text, size)
                       : NULL;

    if (hit) {
        string->offset = placement->appended_at + (uint64_t)(hit - placement->appended);
        return EM_OK;
    }
    if (placement->appended_size + size > placement->appended_capacity) {
        size_t capacity = 2 * (placement->appended_size + size);
        uint8_t *larger = em_arena_alloc(goal->arena, capacity);

        if (!larger)
            return EM_NO_MEMORY;
        if (placement->appended_size > 0)
            memcpy(larger, placement->appended, placement->appended_size);
        placement->appended = larger;
        placement->appended_capacity = capacity;
    }
    memcpy(placement->appended + placement->appended_size, string->text, size);
    string->offset = placement->appended_at + placement->appended_size;
    placement->appended_size += size;
    return EM_OK;
}

static int by_length(const void *a, const void *b, void *context)
{
    const struct em_goal *goal = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    size_t x_length = strlen(goal->strings.items[x].text), y_length = strlen(goal->strings.items[y].text);

    if (x_length != y_length)
        return x_length > y_length ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The longest first: a shorter one may be its tail, or fit where it does not. */
static size_t *order_by_length(struct em_goal *goal)
{
    size_t *order = em_arena_array(goal->arena, goal->strings.count + 1, sizeof *order);

    for (size_t i = 0; order && i < goal->strings.count; i++)
        order[i] = i;
    if (order && goal->strings.count > 1)
        qsort_r(order, goal->strings.count, sizeof *order, by_length, goal);
    return order;
}

/* The bytes of the old search path that are free: [*start, *end), its NUL included. */
static bool find_old_path(const struct table *table, const struct em_dyn *dyn, uint64_t *start, uint64_t *end,
                          struct em_error *error)
{
    const char *text;

    if ((dyn->tag != DT_RPATH && dyn->tag != DT_RUNPATH) || em_image_string(table->image, dyn->value, &text, error) < 0)
        return false;
    *start = dyn->value;
    *end = dyn->value + strlen(text) + 1;
    return true;
}

/* A path that ends the table and is outgrown: the longer one goes behind it, so that the old one can be wiped as a whole. Where more
 * is free than the old path, that is used; so this costs its length once, and not again. */
static void spare_old_path(struct table *table, struct em_placement *placement, struct em_error *error)
{
    for (size_t i = 0; i < table->image->dyn_count; i++) {
        uint64_t start, end;

        if (find_old_path(table, &table->image->dyns[i], &start, &end, error) && start == placement->appended_at &&
            table->image->strtab_size - start < 2 * (end - start))
            placement->appended_at = end;
    }
}

static int wipe_old_paths(struct table *table, struct em_placement *placement, struct em_error *error)
{
    uint64_t limit = placement->appended_size > 0 ? placement->appended_at : table->image->strtab_size;

    for (size_t i = 0; i < table->image->dyn_count; i++) {
        uint64_t start, end;

        if (!find_old_path(table, &table->image->dyns[i], &start, &end, error))
            continue;
        em_vec_each (struct run, run, &table->free) {
            uint64_t from = run->start > start ? run->start : start, to = run->start + run->size;
            struct em_change change;

            to = to < end - 1 ? to : end - 1;
            to = to < limit ? to : limit;
            if (from >= to)
                continue;
            change = (struct em_change){ .offset = table->image->strtab_offset + from,
                                         .bytes = em_arena_alloc(table->goal->arena, (size_t)(to - from)),
                                         .size = (size_t)(to - from) };
            if (!change.bytes)
                return EM_NO_MEMORY;
            memset(change.bytes, 'X', change.size);
            if (em_vec_push(table->goal->arena, &placement->overwrites, change) < 0)
                return EM_NO_MEMORY;
        }
    }
    return EM_OK;
}

int em_strings_place(struct em_placement *placement, struct em_goal *goal, uint32_t allowed, enum em_old_strings old,
                     struct em_error *error)
{
    bool wipe = old == EM_OLD_WIPE;
    size_t *order = order_by_length(goal);
    bool *found = em_arena_array(goal->arena, goal->strings.count + 1, sizeof *found);
    struct table table;
    int r;

    *placement = (struct em_placement){ 0 };
    if (!goal->image->has_strtab || (goal->strings.count == 0 && !wipe))
        return EM_OK;
    if (!order || !found)
        return EM_NO_MEMORY;
    r = start_table(&table, goal, old, error);
    if (r == EM_OK && (allowed & (1u << EM_RUNG_REUSE)))
        r = find_present(goal, found, error);
    for (size_t i = 0; r == EM_OK && i < goal->strings.count; i++)
        if (found[i]) {
            r = take(&table, goal->strings.items[i].offset, strlen(goal->strings.items[i].text) + 1);
            placement->reused = true;
        }
    for (size_t i = 0; r == EM_OK && i < goal->strings.count; i++) {
        struct em_goal_string *string = &goal->strings.items[order[i]];

        if (found[order[i]])
            continue;
        if (allowed & (1u << EM_RUNG_OVERWRITE))
            found[order[i]] = overwrite(&table, placement, string, &r);
    }
    placement->appended_at = goal->image->strtab_size;
    if (allowed & (1u << EM_RUNG_OVERWRITE))
        find_end(&table, placement);
    if (r == EM_OK && wipe)
        spare_old_path(&table, placement, error);
    for (size_t i = 0; r == EM_OK && i < goal->strings.count; i++)
        if (!found[order[i]])
            r = append(placement, goal, &goal->strings.items[order[i]]);
    if (r == EM_OK && wipe && (allowed & (1u << EM_RUNG_OVERWRITE)))
        r = wipe_old_paths(&table, placement, error);
    free(table.starts);
    return r;
}
