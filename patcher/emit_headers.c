/* emit_headers.c: what says where things are: the dynamic section, the headers, and symbols that stand for a section.
 *
 * Whatever describes a piece, or a part of one, goes where the piece goes.
 */
#include "patcher/emit.h"

#include "patcher/symbols.h"
#include "patcher/tags.h"

#include <string.h>

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

int em_emit_dynamic(struct em_out *out)
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
        return em_emit(out, piece->new_offset, now, slots * size) < 0 ? EM_NO_MEMORY : 1;
    for (first = 0; first < slots && memcmp(now + first * size, then + first * size, size) == 0; first++)
        ;
    for (last = slots; last > first && memcmp(now + (last - 1) * size, then + (last - 1) * size, size) == 0; last--)
        ;
    return em_emit(out, out->image->dynamic_offset + first * size, now + first * size, (last - first) * size) < 0 ? EM_NO_MEMORY
                                                                                                                  : 1;
}

/* The first section at or behind an address; end if there is none. */
static uint64_t next_section(const struct em_image *image, uint64_t addr, uint64_t end)
{
    for (uint32_t i = 1; image->shdrs && i < image->shnum; i++)
        if ((image->shdrs[i].flags & SHF_ALLOC) && image->shdrs[i].addr >= addr && image->shdrs[i].addr < end)
            end = image->shdrs[i].addr;
    return end;
}

/* GNU strip lets PT_GNU_RELRO begin with its first section and keeps its size: without .dynamic at its head it would reach beyond its
 * PT_LOAD. So it begins behind; the loader protects whole pages, and those that are left out now hold nothing. */
static void trim_relro(const struct em_layout *layout, struct em_phdr *phdr)
{
    em_vec_each (const struct em_piece, piece, &layout->pieces) {
        uint64_t cut;

        if (piece->kind != EM_PIECE_DYNAMIC || !piece->moved || piece->offset != phdr->offset || piece->size >= phdr->filesz)
            continue;
        cut = next_section(layout->image, piece->addr + piece->size, phdr->vaddr + phdr->filesz) - phdr->vaddr;
        phdr->offset += cut;
        phdr->vaddr += cut;
        phdr->paddr += cut;
        phdr->filesz -= cut;
        phdr->memsz -= cut;
    }
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

int em_emit_phdrs(struct em_out *out)
{
    const struct em_layout *layout = out->layout;
    size_t size = em_phdr_size(out->image);
    uint8_t *table = em_arena_array(out->arena, layout->phnum + 1, size);

    if (!table)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < layout->phnum; i++) {
        struct em_phdr phdr = layout->phdrs[i];

        follow_phdr(layout, &phdr);
        if (phdr.type == PT_GNU_RELRO)
            trim_relro(layout, &phdr);
        em_put_phdr(out->image, table + i * size, &phdr);
    }
    return em_emit(out, layout->phoff, table, layout->phnum * size);
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

int em_emit_shdrs(struct em_out *out)
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
        r = em_emit(out, layout->shoff + i * size, bytes, size);
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

/* GNU ld has _DYNAMIC absolute on some machines (s390x): then its name alone says what it means. Returns 1 if it is that one. */
static int is_dynamic_symbol(struct em_out *out, const struct em_shdr *table, const struct em_symbol *symbol)
{
    static const char name[] = "_DYNAMIC";
    const struct em_image *image = out->image;
    const struct em_shdr *names = table->link < image->shnum ? &image->shdrs[table->link] : NULL;
    const uint8_t *at;
    int r;

    if (symbol->shndx != SHN_ABS || !image->dynamic || symbol->value != image->dynamic->vaddr || !names ||
        names->size < sizeof name || symbol->name > names->size - sizeof name)
        return 0;
    r = em_image_peek(out->image, names->offset + symbol->name, sizeof name, "a symbol's name", &at, out->error);
    return r < 0 ? r : memcmp(at, name, sizeof name) == 0;
}

/* The section that a symbol moves with, 0 if none. */
static int section_of(struct em_out *out, const struct em_shdr *table, const struct em_symbol *symbol, uint32_t *index)
{
    int r = is_dynamic_symbol(out, table, symbol);

    *index = symbol->shndx < out->image->shnum ? symbol->shndx : 0;
    for (uint32_t i = 1; r == 1 && i < out->image->shnum; i++)
        if (out->image->shdrs[i].type == SHT_DYNAMIC)
            *index = i;
    return r < 0 ? r : EM_OK;
}

/* Section symbols, and local ones like _DYNAMIC, say where a section is: debuggers believe them, and eu-elflint compares. They are local
 * and stand in front (gABI chapter 4, sh_info). */
static int follow_symbols(struct em_out *out, const struct em_shdr *table, const uint64_t *addrs)
{
    size_t size = em_sym_size(out->image), word = em_word_size(out->image);
    int r = EM_OK;

    for (uint64_t i = 1; r == EM_OK && i < table->info && (i + 1) * size <= table->size; i++) {
        struct em_symbol symbol;
        const struct em_shdr *section;
        const uint8_t *at;
        uint8_t *value;
        uint32_t index;

        r = em_image_peek(out->image, table->offset + i * size, size, "a symbol", &at, out->error);
        if (r < 0)
            return r;
        symbol = em_get_symbol(out->image, at);
        r = section_of(out, table, &symbol, &index);
        if (r < 0)
            return r;
        section = &out->image->shdrs[index];
        if (index == 0 || addrs[index] == section->addr || symbol.value < section->addr ||
            symbol.value > section->addr + section->size)
            continue;
        value = em_arena_alloc(out->arena, word);
        if (!value)
            return EM_NO_MEMORY;
        em_put_word(out->image, value, symbol.value + (addrs[index] - section->addr));
        r = em_emit(out, table->offset + i * size + word, value, word); /* st_value: at 4 in one class, at 8 in the other */
    }
    return r;
}

int em_emit_symbols(struct em_out *out)
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

int em_emit_ehdr(struct em_out *out)
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
    return em_emit(out, 0, bytes, size);
}
