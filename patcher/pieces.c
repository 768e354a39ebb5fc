#include "patcher/pieces.h"

#include "patcher/tags.h"

#include <stdlib.h>

struct finder {
    struct em_pieces *pieces;
    struct em_image *image;
};

static bool load_of(const struct em_image *image, uint64_t addr, uint64_t size, uint32_t *load)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_LOAD && addr >= phdr->vaddr && addr - phdr->vaddr < phdr->filesz &&
            size <= phdr->filesz - (addr - phdr->vaddr)) {
            *load = i;
            return true;
        }
    }
    return false;
}

static bool in_memory(const struct em_shdr *section)
{
    return (section->flags & SHF_ALLOC) != 0 && section->type != SHT_NOBITS && section->size > 0;
}

/* The sections' word: a piece reaches to the end of the section that it begins with, and cuts no other. */
static bool sections_agree(const struct em_image *image, struct em_piece *piece)
{
    bool begins = false;

    if (!image->shdrs)
        return true;
    for (uint32_t i = 1; i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];

        if (!in_memory(section) || section->addr != piece->addr)
            continue;
        begins = section->offset == piece->offset;
        if (section->size > piece->size)
            piece->size = section->size;
        if (section->align > piece->align)
            piece->align = section->align;
    }
    if (!begins)
        return false;
    for (uint32_t i = 1; i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];

        if (!in_memory(section) || section->addr >= piece->addr + piece->size || section->addr + section->size <= piece->addr)
            continue;
        if (section->addr < piece->addr || section->addr + section->size > piece->addr + piece->size ||
            section->offset - piece->offset != section->addr - piece->addr)
            return false;
        if (section->align > piece->align)
            piece->align = section->align;
    }
    return true;
}

static int add(struct finder *finder, enum em_piece_kind kind, uint64_t addr, uint64_t size, uint64_t align)
{
    struct em_piece piece = { .kind = kind, .addr = addr, .size = size, .align = align };
    struct em_image *image = finder->image;

    if (size == 0 || !em_image_offset(image, addr, size, &piece.offset) || !sections_agree(image, &piece))
        return EM_OK;
    if (!load_of(image, addr, piece.size, &piece.load) || piece.align == 0 || (piece.align & (piece.align - 1)) != 0 ||
        piece.align > 4096)
        return EM_OK;
    piece.new_offset = piece.offset;
    piece.new_addr = piece.addr;
    piece.new_size = piece.size;
    return em_vec_push(image->arena, finder->pieces, piece);
}

static int add_by_tags(struct finder *finder, uint64_t address, uint64_t size, uint64_t align)
{
    const struct em_dyn *at = em_image_dyn(finder->image, address), *bytes = em_image_dyn(finder->image, size);

    return at && bytes ? add(finder, EM_PIECE_TABLE, at->value, bytes->value, align) : EM_OK;
}

static int add_relocations(struct finder *finder)
{
    static const uint32_t pairs[][2] = {
        { DT_REL, DT_RELSZ },
        { DT_RELA, DT_RELASZ },
        { DT_JMPREL, DT_PLTRELSZ },
        { 36, 35 }, /* DT_RELR, DT_RELRSZ */
        { EM_DT_ANDROID_REL, EM_DT_ANDROID_RELSZ },
        { EM_DT_ANDROID_RELA, EM_DT_ANDROID_RELASZ },
        { EM_DT_ANDROID_RELR, EM_DT_ANDROID_RELRSZ },
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int r = add_by_tags(finder, pairs[i][0], pairs[i][1], em_word_size(finder->image));

        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int add_symbols(struct finder *finder, const struct em_goal *goal, struct em_error *error)
{
    struct em_image *image = finder->image;
    const struct em_dyn *versym = em_image_dyn(image, DT_VERSYM);
    struct em_sysv_hash sysv = { 0 };
    struct em_gnu_hash gnu = { 0 };
    int r = em_sysv_hash_read(&sysv, image, error);

    if (r == EM_OK)
        r = em_gnu_hash_read(&gnu, image, error);
    if (r == EM_OK && sysv.there)
        r = add(finder, EM_PIECE_TABLE, sysv.addr, sysv.size, sysv.entry);
    if (r == EM_OK && gnu.there)
        r = add(finder, EM_PIECE_TABLE, gnu.addr, gnu.size, em_word_size(image));
    if (r == EM_OK && goal->symbols.there && (goal->symbols.exact || image->shdrs)) {
        r = add(finder, EM_PIECE_TABLE, goal->symbols.addr, goal->symbols.count * em_sym_size(image), em_word_size(image));
        if (r == EM_OK && versym)
            r = add(finder, EM_PIECE_TABLE, versym->value, goal->symbols.count * 2, 2);
    }
    return r;
}

static int add_versions(struct finder *finder, const struct em_goal *goal)
{
    const struct em_dyn *needs = em_image_dyn(finder->image, DT_VERNEED), *defines = em_image_dyn(finder->image, DT_VERDEF);
    int r = needs ? add(finder, EM_PIECE_TABLE, needs->value, goal->needs.size, 4) : EM_OK;

    return r == EM_OK && defines ? add(finder, EM_PIECE_TABLE, defines->value, goal->defines.size, 4) : r;
}

/* PT_INTERP is .interp, but a linker script can make it span more. Then it can be told to be .interp when the name changes, and
 * cannot move else. */
static int add_interpreter(struct finder *finder, const struct em_phdr *phdr, bool is_new)
{
    struct em_image *image = finder->image;

    for (uint32_t i = 1; image->shdrs && i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];

        if (section->type != SHT_PROGBITS || !in_memory(section) || section->offset < phdr->offset ||
            section->offset + section->size > phdr->offset + phdr->filesz)
            continue;
        if (section->size == phdr->filesz || is_new)
            return add(finder, EM_PIECE_INTERP, section->addr, section->size, 1);
    }
    return image->shdrs ? EM_OK : add(finder, EM_PIECE_INTERP, phdr->vaddr, phdr->filesz, 1);
}

static int add_headers(struct finder *finder, bool new_interpreter)
{
    struct em_image *image = finder->image;
    int r = EM_OK;

    for (uint32_t i = 0; r == EM_OK && i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];
        uint64_t offset;

        /* A header whose address and offset disagree describes nothing that we would dare to move. */
        if (phdr->filesz == 0 || !em_image_offset(image, phdr->vaddr, phdr->filesz, &offset) || offset != phdr->offset)
            continue;
        if (phdr->type == PT_INTERP)
            r = add_interpreter(finder, phdr, new_interpreter);
        else if (phdr->type == PT_NOTE)
            r = add(finder, EM_PIECE_NOTE, phdr->vaddr, phdr->filesz, phdr->align > 4 ? phdr->align : 4);
    }
    if (r == EM_OK && image->dynamic)
        r = add(finder, EM_PIECE_DYNAMIC, image->dynamic->vaddr, image->dynamic->filesz, em_word_size(image));
    return r;
}

static int by_offset(const void *a, const void *b)
{
    const struct em_piece *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->size > y->size ? -1 : x->size < y->size; /* the larger one first: it swallows the smaller */
}

/* A table within a table (DT_JMPREL inside DT_RELA) moves with it; tables that cross do not move at all. */
static void drop_overlaps(struct em_pieces *pieces)
{
    size_t kept = 0;

    if (pieces->count == 0)
        return;
    qsort(pieces->items, pieces->count, sizeof *pieces->items, by_offset);
    for (size_t i = 1; i < pieces->count; i++) {
        struct em_piece *last = &pieces->items[kept], *piece = &pieces->items[i];
        uint64_t end = last->offset + last->size;

        if (piece->offset >= end) {
            pieces->items[++kept] = *piece;
            continue;
        }
        if (piece->offset + piece->size <= end && piece->kind >= EM_PIECE_NOTE && last->kind == piece->kind)
            continue;
        /* Keep the range as one that cannot move, so that a third one cannot cross it unseen. */
        if (piece->offset + piece->size > end)
            last->size = piece->offset + piece->size - last->offset;
        last->align = 0;
    }
    pieces->count = kept + 1;
    kept = 0;
    for (size_t i = 0; i < pieces->count; i++)
        if (pieces->items[i].align != 0)
            pieces->items[kept++] = pieces->items[i];
    pieces->count = kept;
}

int em_pieces_find(struct em_pieces *pieces, const struct em_goal *goal, struct em_error *error)
{
    struct finder finder = { .pieces = pieces, .image = goal->image };
    int r;

    *pieces = (struct em_pieces){ 0 };
    r = add_headers(&finder, goal->interpreter != NULL);
    if (r == EM_OK && goal->image->has_strtab)
        r = add(&finder, EM_PIECE_DYNSTR, goal->image->strtab_addr, goal->image->strtab_size, 1);
    if (r == EM_OK)
        r = add_symbols(&finder, goal, error);
    if (r == EM_OK)
        r = add_versions(&finder, goal);
    if (r == EM_OK)
        r = add_relocations(&finder);
    if (r == EM_OK)
        drop_overlaps(pieces);
    if (r == EM_OK) {
        const struct em_piece *dynstr = em_pieces_of_kind(pieces, EM_PIECE_DYNSTR);

        /* The section may be longer than DT_STRSZ: then so is the table that we edit. */
        if (dynstr)
            goal->image->strtab_size = dynstr->size;
    }
    return r;
}

struct em_piece *em_pieces_of_kind(struct em_pieces *pieces, enum em_piece_kind kind)
{
    em_vec_each (struct em_piece, piece, pieces)
        if (piece->kind == kind)
            return piece;
    return NULL;
}
