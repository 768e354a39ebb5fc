/* emit.c: a layout as ranges of bytes.
 *
 * Small moved tables are carried in the patch, large ones are named by where they were, so that a patch stays small whatever the
 * object. Ranges that would write what is there already are dropped: an edit and its reverse are no edit.
 */
#include "patcher/layout.h"

#include "patcher/symbols.h"
#include "patcher/tags.h"

#include <stdlib.h>
#include <string.h>

#define CARRIED ((uint64_t)64 * 1024) /* a moved table up to this size is carried along */

struct out {
    struct em_patch *patch;
    const struct em_layout *layout;
    struct em_image *image;
    struct em_arena *arena;
    struct em_error *error;
};

static int put(struct out *out, uint64_t offset, const uint8_t *data, uint64_t size)
{
    struct em_patch_range range = { .offset = offset, .bytes = { data, (size_t)size } };

    return size == 0 ? EM_OK : em_vec_push(out->arena, &out->patch->ranges, range);
}

static int put_zeros(struct out *out, uint64_t offset, uint64_t size)
{
    uint8_t *zeros = size > 0 ? em_arena_alloc(out->arena, (size_t)size) : NULL;

    return size > 0 && !zeros ? EM_NO_MEMORY : put(out, offset, zeros, size);
}

static int put_old(struct out *out, uint64_t offset, uint64_t from, uint64_t size)
{
    struct em_patch_range range = { .offset = offset, .from = from, .bytes = { NULL, (size_t)size } };
    int r = EM_OK;

    if (size == 0)
        return EM_OK;
    if (size <= CARRIED)
        r = em_read_bytes(out->image->reader, out->arena, from, size, &range.bytes, out->error);
    return r < 0 ? r : em_vec_push(out->arena, &out->patch->ranges, range);
}

/* All changes of contents, sorted and cut to pieces that do not overlap: later ones win where they do. */
struct changes {
    EM_VEC(struct em_change);
};

static int by_change(const void *a, const void *b)
{
    const struct em_change *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int add_change(struct out *out, struct changes *changes, struct em_change change)
{
    /* One that lies inside of an earlier one is written into it: a string's place in a table that was rebuilt. */
    em_vec_each (struct em_change, earlier, changes)
        if (change.offset >= earlier->offset && change.offset + change.size <= earlier->offset + earlier->size) {
            memcpy(earlier->bytes + (change.offset - earlier->offset), change.bytes, change.size);
            return EM_OK;
        }
    return em_vec_push(out->arena, changes, change);
}

static int gather_changes(struct out *out, struct changes *changes)
{
    const struct em_goal *goal = out->layout->goal;
    int r = EM_OK;

    /* Changes of single fields can be many (a version for each symbol): they do not overlap, so no search. */
    em_vec_each (const struct em_change, change, &goal->changes)
        if (r == EM_OK)
            r = em_vec_push(out->arena, changes, *change);
    em_vec_each (const struct em_change, change, &out->layout->placement->overwrites)
        if (r == EM_OK)
            r = em_vec_push(out->arena, changes, *change);
    em_vec_each (const struct em_goal_ref, ref, &goal->refs) {
        struct em_change change = { .offset = ref->offset, .bytes = em_arena_alloc(out->arena, 4), .size = 4 };

        if (!change.bytes)
            return EM_NO_MEMORY;
        em_put32(out->image, change.bytes, (uint32_t)goal->strings.items[ref->string].offset);
        if (r == EM_OK)
            r = add_change(out, changes, change);
    }
    if (r == EM_OK && changes->count > 1)
        qsort(changes->items, changes->count, sizeof *changes->items, by_change);
    for (size_t i = 1; r == EM_OK && i < changes->count; i++)
        if (changes->items[i].offset < changes->items[i - 1].offset + changes->items[i - 1].size)
            return em_fail_at(out->error, EM_REFUSED, out->image->name, changes->items[i].offset,
                              "cannot get edits that change the same bytes");
    return r;
}

/* size bytes from the old file at from go to offset, changes applied on the way. */
static int put_changed(struct out *out, const struct changes *changes, uint64_t offset, uint64_t from, uint64_t size)
{
    uint64_t at = from, end = from + size;
    int r = EM_OK;

    em_vec_each (const struct em_change, change, changes) {
        if (change->offset + change->size <= from || change->offset >= end || r < 0)
            continue;
        r = put_old(out, offset + (at - from), at, change->offset - at);
        if (r == EM_OK)
            r = put(out, offset + (change->offset - from), change->bytes, change->size);
        at = change->offset + change->size;
    }
    return r < 0 ? r : put_old(out, offset + (at - from), at, end - at);
}

static int put_dynstr(struct out *out, const struct changes *changes, const struct em_piece *piece)
{
    const struct em_placement *placement = out->layout->placement;
    uint64_t at = placement->appended_at, end = at + placement->appended_size,
             kept = placement->appended_size > 0 ? at : piece->size;
    int r = EM_OK;

    if (piece->moved)
        r = put_changed(out, changes, piece->new_offset, piece->offset, kept);
    if (r == EM_OK)
        r = put(out, piece->new_offset + at, placement->appended, placement->appended_size);
    if (placement->appended_size == 0)
        end = piece->size;
    if (!piece->moved && end < piece->size)
        end = piece->size;
    return r == EM_OK && end < piece->new_size ? put_zeros(out, piece->new_offset + end, piece->new_size - end) : r;
}

static int put_interpreter(struct out *out, const struct em_piece *piece)
{
    const char *name = out->layout->goal->interpreter;
    uint64_t size = piece->moved || piece->new_size > piece->size ? piece->new_size : piece->size;
    uint8_t *bytes = em_arena_alloc(out->arena, (size_t)size);

    if (!bytes)
        return EM_NO_MEMORY;
    memcpy(bytes, name, strlen(name));
    return put(out, piece->new_offset, bytes, size);
}

/* An address that leads into a moved piece moves with it. */
static uint64_t follow(const struct em_layout *layout, uint64_t addr, bool *moved)
{
    em_vec_each (const struct em_piece, piece, &layout->pieces)
        if (piece->moved && addr >= piece->addr && addr < piece->addr + piece->size) {
            *moved = true;
            return piece->new_addr + (addr - piece->addr);
        }
    return addr;
}

static bool is_dropped(const struct em_layout *layout, const struct em_goal_dyn *dyn, bool *dropped)
{
    bool drop = layout->candidate.drop_count && !*dropped && (dyn->tag == DT_RELACOUNT || dyn->tag == DT_RELCOUNT);

    *dropped = *dropped || drop;
    return drop;
}

/* 0: an entry of a kind that we do not know leads into something that would move. */
static int final_value(const struct em_layout *layout, const struct em_goal_dyn *dyn, uint64_t index, uint64_t *value)
{
    const struct em_piece *dynstr = NULL, *dynamic = NULL;
    bool moved = false;
    uint64_t there;

    em_vec_each (const struct em_piece, piece, &layout->pieces) {
        if (piece->kind == EM_PIECE_DYNSTR)
            dynstr = piece;
        if (piece->kind == EM_PIECE_DYNAMIC)
            dynamic = piece;
    }
    *value = dyn->string != EM_NO_STRING ? layout->goal->strings.items[dyn->string].offset : dyn->value;
    if (dyn->tag == DT_STRSZ && dynstr && (dynstr->moved || dynstr->new_size != dynstr->size))
        *value = dynstr->new_size;
    if (layout->image->machine == EM_MIPS && dyn->tag == EM_DT_MIPS_RLD_MAP_REL && dynamic && dyn->from != SIZE_MAX) {
        uint64_t size = em_dyn_size(layout->image);

        *value += dynamic->addr + dyn->from * size - (dynamic->new_addr + index * size);
        if (!layout->image->is64)
            *value &= UINT32_MAX;
    }
    there = follow(layout, *value, &moved);
    switch (em_tag_kind(layout->image->machine, dyn->tag)) {
    case EM_TAG_IS_ADDRESS: *value = there; return 1;
    case EM_TAG_IS_UNKNOWN: return !moved;
    case EM_TAG_IS_VALUE:
    case EM_TAG_IS_STRING: break;
    }
    return 1;
}

static int put_dynamic(struct out *out)
{
    const struct em_layout *layout = out->layout;
    struct em_piece *piece = NULL;
    size_t size = em_dyn_size(out->image), slots = out->image->dyn_slots, index = 0, first, last;
    uint8_t *now, *then;
    bool dropped = false;

    if (!out->image->dynamic)
        return 1;
    em_vec_each (struct em_piece, each, &layout->pieces)
        if (each->kind == EM_PIECE_DYNAMIC)
            piece = each;
    if (piece && piece->moved)
        slots = (size_t)piece->new_size / size;
    now = em_arena_alloc(out->arena, slots * size);
    then = em_arena_alloc(out->arena, slots * size);
    if (!now || !then)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < out->image->dyn_slots && i < slots; i++)
        em_put_dyn(out->image, then + i * size, &out->image->dyns[i]);
    em_vec_each (const struct em_goal_dyn, dyn, &layout->goal->dyns) {
        struct em_dyn entry = { .tag = dyn->tag };

        if (is_dropped(layout, dyn, &dropped))
            continue;
        if (index + 1 >= slots || !final_value(layout, dyn, index, &entry.value))
            return 0;
        em_put_dyn(out->image, now + index++ * size, &entry);
    }
    if (piece && piece->moved)
        return put(out, piece->new_offset, now, slots * size) < 0 ? EM_NO_MEMORY : 1;
    for (first = 0; first < slots && memcmp(now + first * size, then + first * size, size) == 0; first++)
        ;
    for (last = slots; last > first && memcmp(now + (last - 1) * size, then + (last - 1) * size, size) == 0; last--)
        ;
    return put(out, out->image->dynamic_offset + first * size, now + first * size, (last - first) * size) < 0 ? EM_NO_MEMORY
                                                                                                              : 1;
}

/* A header that describes a piece, or a part of it, goes where it goes. */
static void follow_phdr(const struct em_layout *layout, struct em_phdr *phdr)
{
    if (phdr->type == PT_LOAD || phdr->type == PT_PHDR || phdr->filesz == 0)
        return;
    em_vec_each (const struct em_piece, piece, &layout->pieces) {
        uint64_t by;

        if (phdr->type == PT_INTERP && piece->kind == EM_PIECE_INTERP && layout->goal->interpreter) {
            phdr->offset = piece->new_offset;
            phdr->vaddr = phdr->paddr = piece->new_addr;
            phdr->filesz = phdr->memsz = piece->new_size;
            return;
        }
        if (phdr->offset < piece->offset || phdr->offset + phdr->filesz > piece->offset + piece->size ||
            phdr->vaddr - piece->addr != phdr->offset - piece->offset)
            continue;
        if (phdr->type == PT_DYNAMIC && piece->kind == EM_PIECE_DYNAMIC)
            phdr->filesz = phdr->memsz = piece->new_size;
        by = piece->new_addr - piece->addr;
        phdr->offset = piece->new_offset + (phdr->offset - piece->offset);
        phdr->vaddr += by;
        phdr->paddr += by;
        return;
    }
}

static int put_phdrs(struct out *out)
{
    const struct em_layout *layout = out->layout;
    size_t size = em_phdr_size(out->image);
    uint8_t *table = em_arena_array(out->arena, layout->phnum + 1, size);

    if (!table)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < layout->phnum; i++) {
        struct em_phdr phdr = layout->phdrs[i];

        follow_phdr(layout, &phdr);
        em_put_phdr(out->image, table + i * size, &phdr);
    }
    return put(out, layout->phoff, table, layout->phnum * size);
}

static void follow_section(const struct em_layout *layout, struct em_shdr *section)
{
    const struct em_image *image = layout->image;

    if (!(section->flags & SHF_ALLOC) || section->type == SHT_NOBITS || section->type == SHT_NULL)
        return;
    /* The count goes by what is left of the table, before its address changes. */
    if (section->type == SHT_GNU_verneed && layout->goal->needs_changed && section->offset == layout->goal->needs.offset) {
        section->info = 0;
        for (size_t i = 0; i < layout->goal->needs.records.count; i++)
            section->info += !layout->goal->need_gone[i];
    }
    em_vec_each (const struct em_piece, piece, &layout->pieces) {
        uint64_t end = piece->offset + piece->size;

        if (section->offset < piece->offset || section->offset >= end || section->offset + section->size > end ||
            section->addr - piece->addr != section->offset - piece->offset)
            continue;
        if (section->offset == piece->offset && section->size == piece->size && piece->kind != EM_PIECE_NOTE &&
            piece->kind != EM_PIECE_TABLE)
            section->size = piece->new_size;
        section->offset = piece->new_offset + (section->offset - piece->offset);
        section->addr += piece->new_addr - piece->addr;
        if (!image->is64)
            section->addr &= UINT32_MAX;
        return;
    }
}

static int put_shdrs(struct out *out)
{
    const struct em_layout *layout = out->layout;
    size_t size = em_shdr_size(out->image);
    bool all = layout->shoff != out->image->shoff;
    int r = EM_OK;

    for (uint32_t i = 0; out->image->shdrs && r == EM_OK && i < out->image->shnum; i++) {
        struct em_shdr section = out->image->shdrs[i];
        uint8_t *bytes;

        follow_section(layout, &section);
        if (!all && memcmp(&section, &out->image->shdrs[i], sizeof section) == 0)
            continue;
        bytes = em_arena_alloc(out->arena, size);
        if (!bytes)
            return EM_NO_MEMORY;
        em_put_shdr(out->image, bytes, &section);
        r = put(out, layout->shoff + i * size, bytes, size);
    }
    return r;
}

/* Where a section goes; its own place if it stays. */
static uint64_t new_addr(const struct em_layout *layout, const struct em_shdr *section)
{
    struct em_shdr moved = *section;

    follow_section(layout, &moved);
    return moved.addr;
}

/* Section symbols, and local ones like _DYNAMIC, say where a section is: debuggers believe them, and eu-elflint compares. They are local
 * and stand in front (gABI chapter 4, sh_info). */
static int follow_symbols(struct out *out, const struct em_shdr *table, const uint64_t *addrs)
{
    size_t size = em_sym_size(out->image), word = em_word_size(out->image);
    int r = EM_OK;

    for (uint64_t i = 1; r == EM_OK && i < table->info && (i + 1) * size <= table->size; i++) {
        struct em_symbol symbol;
        const struct em_shdr *section;
        const uint8_t *at;
        uint8_t *value;

        r = em_image_peek(out->image, table->offset + i * size, size, "a symbol", &at, out->error);
        if (r < 0)
            return r;
        symbol = em_get_symbol(out->image, at);
        if (symbol.shndx == SHN_UNDEF || symbol.shndx >= out->image->shnum)
            continue;
        section = &out->image->shdrs[symbol.shndx];
        if (addrs[symbol.shndx] == section->addr || symbol.value < section->addr ||
            symbol.value > section->addr + section->size)
            continue;
        value = em_arena_alloc(out->arena, word);
        if (!value)
            return EM_NO_MEMORY;
        em_put_word(out->image, value, symbol.value + (addrs[symbol.shndx] - section->addr));
        r = put(out, table->offset + i * size + word, value, word); /* st_value: at 4 in one class, at 8 in the other */
    }
    return r;
}

static int put_symbols(struct out *out)
{
    struct em_image *image = out->image;
    uint64_t *addrs = image->shdrs ? em_arena_array(out->arena, image->shnum, sizeof *addrs) : NULL;
    bool any = false;
    int r = EM_OK;

    if (!image->shdrs)
        return EM_OK;
    if (!addrs)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < image->shnum; i++) {
        addrs[i] = new_addr(out->layout, &image->shdrs[i]);
        any = any || addrs[i] != image->shdrs[i].addr;
    }
    for (uint32_t i = 0; any && r == EM_OK && i < image->shnum; i++)
        if (image->shdrs[i].type == SHT_SYMTAB && !(image->shdrs[i].flags & SHF_ALLOC))
            r = follow_symbols(out, &image->shdrs[i], addrs);
    return r;
}

static int put_ehdr(struct out *out)
{
    const struct em_layout *layout = out->layout;
    size_t size = em_ehdr_size(out->image), word = em_word_size(out->image);
    uint8_t *bytes = em_arena_alloc(out->arena, size);
    int r = bytes ? em_read_at(out->image->reader, bytes, size, 0, out->error) : EM_NO_MEMORY;

    if (r < 0)
        return r;
    if (layout->goal->osabi >= 0)
        bytes[EI_OSABI] = (uint8_t)layout->goal->osabi;
    em_put_word(out->image, bytes + 24 + word, layout->phoff);
    if (layout->shoff != out->image->shoff)
        em_put_word(out->image, bytes + 24 + 2 * word, layout->shoff);
    if (layout->phnum != out->image->phnum)
        em_put16(out->image, bytes + 24 + 3 * word + 8, (uint16_t)layout->phnum);
    return put(out, 0, bytes, size);
}

static int by_range(const void *a, const void *b)
{
    const struct em_patch_range *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Alignment in the tail is zero, and said so: who goes by the ranges alone finds every new byte in one. A hole of a sparse file is left
 * one. */
static int fill_tail(struct out *out)
{
    struct em_patch *patch = out->patch;
    uint64_t end = patch->old_size;
    size_t count = patch->ranges.count;

    if (count > 1)
        qsort(patch->ranges.items, count, sizeof *patch->ranges.items, by_range);
    for (size_t i = 0; i <= count; i++) {
        uint64_t next = i < count ? patch->ranges.items[i].offset : patch->new_size;
        uint64_t size = i < count ? patch->ranges.items[i].bytes.size : 0;

        if (next > end && next - end <= CARRIED && put_zeros(out, end, next - end) < 0)
            return EM_NO_MEMORY;
        if (next + size > end)
            end = next + size;
    }
    return 1;
}

/* Sorted, cut down to bytes that differ, and proven not to overlap. */
static int tidy(struct out *out)
{
    struct em_patch *patch = out->patch;
    size_t kept = 0;

    if (patch->ranges.count > 1)
        qsort(patch->ranges.items, patch->ranges.count, sizeof *patch->ranges.items, by_range);
    for (size_t i = 0; i < patch->ranges.count; i++) {
        struct em_patch_range range = patch->ranges.items[i];
        uint64_t end = range.offset + range.bytes.size;

        if (i + 1 < patch->ranges.count && end > patch->ranges.items[i + 1].offset)
            return em_fail_at(out->error, EM_REFUSED, out->image->name, patch->ranges.items[i + 1].offset,
                              "cannot be edited: two parts of the result would share bytes");
        if (range.bytes.data && range.bytes.size <= EM_WINDOW && end <= out->image->size) {
            const uint8_t *was;
            int r = em_image_peek(out->image, range.offset, range.bytes.size, "a part to be changed", &was, out->error);

            if (r < 0)
                return r;
            while (range.bytes.size > 0 && range.bytes.data[range.bytes.size - 1] == was[range.bytes.size - 1])
                range.bytes.size--;
            while (range.bytes.size > 0 && *range.bytes.data == *was) {
                range.bytes.data++;
                range.bytes.size--;
                range.offset++;
                was++;
            }
        }
        if (range.bytes.size > 0)
            patch->ranges.items[kept++] = range;
    }
    patch->ranges.count = kept;
    return 1;
}

int em_layout_emit(struct em_patch *patch, const struct em_layout *layout, struct em_error *error)
{
    struct out out = { patch, layout, layout->image, layout->image->arena, error };
    struct changes changes = { 0 };
    int r;

    *patch = (struct em_patch){ .old_size = layout->image->size,
                                .new_size = layout->file_end,
                                .rung = layout->rung,
                                .warning = layout->warning ? layout->warning : layout->goal->warning };
    r = gather_changes(&out, &changes);
    em_vec_each (const struct em_piece, piece, &layout->pieces) {
        if (r < 0)
            return r;
        if (piece->kind == EM_PIECE_DYNSTR)
            r = put_dynstr(&out, &changes, piece);
        else if (piece->kind == EM_PIECE_INTERP && layout->goal->interpreter)
            r = put_interpreter(&out, piece);
        else if (piece->kind != EM_PIECE_DYNAMIC && piece->moved)
            r = put_changed(&out, &changes, piece->new_offset, piece->offset, piece->size);
    }
    /* Changes in what stays are written where they are. */
    em_vec_each (const struct em_change, change, &changes) {
        bool moved = false;

        em_vec_each (const struct em_piece, piece, &layout->pieces)
            moved = moved || (piece->moved && change->offset >= piece->offset && change->offset < piece->offset + piece->size);
        if (r == EM_OK && !moved)
            r = put(&out, change->offset, change->bytes, change->size);
    }
    em_vec_each (const struct em_blank, blank, &layout->blanks)
        if (r == EM_OK)
            r = put_zeros(&out, blank->offset, blank->size);
    if (r == EM_OK)
        r = put_phdrs(&out);
    if (r == EM_OK)
        r = put_shdrs(&out);
    if (r == EM_OK)
        r = put_symbols(&out);
    if (r == EM_OK)
        r = put_ehdr(&out);
    if (r == EM_OK)
        r = put_dynamic(&out);
    if (r == 1)
        r = fill_tail(&out);
    return r == 1 ? tidy(&out) : r;
}
