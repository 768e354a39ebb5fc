#include "patcher/layout.h"

#include <string.h>

static bool is_dup_range(uint64_t start, uint64_t end, uint64_t from, uint64_t to)
{
    return start < to && end > from;
}

/* The first thing behind .dynstr that is not a piece we would move: sections and headers say where it begins. */
static uint64_t find_barrier(const struct em_goal *goal, const struct em_pieces *pieces, uint64_t from, uint64_t to)
{
    const struct em_image *image = goal->image;
    uint64_t barrier = to, sht_end = image->shoff + (uint64_t)image->shnum * image->shentsize;

    if (image->shoff != 0 && is_dup_range(image->shoff, sht_end, from, to) && image->shoff < barrier)
        barrier = image->shoff < from ? from : image->shoff;
    for (uint32_t i = 0; i < image->phnum + (image->shdrs ? image->shnum : 0); i++) {
        const struct em_phdr *phdr = i < image->phnum ? &image->phdrs[i] : NULL;
        const struct em_shdr *section = phdr ? NULL : &image->shdrs[i - image->phnum];
        uint64_t start = phdr ? phdr->offset : section->offset, size = phdr ? phdr->filesz : section->size;
        bool inside = false;

        if (size == 0 || (phdr && phdr->type == PT_LOAD) ||
            (!phdr && (section->type == SHT_NOBITS || section->type == SHT_NULL)))
            continue;
        if (!is_dup_range(start, start + size, from, to))
            continue;
        em_vec_each (const struct em_piece, piece, pieces)
            inside = inside || (piece->kind != EM_PIECE_DYNAMIC && start >= piece->offset &&
                                start + size <= piece->offset + piece->size && (phdr || (section->flags & SHF_ALLOC) != 0));
        if (!inside && (start < from ? from : start) < barrier)
            barrier = start < from ? from : start;
    }
    return barrier;
}

/* Bytes between pieces that nobody claims: alignment, so they are few and zero. Without sections, few means what alignment takes,
 * since zeros may be data. */
static int is_padding(const struct em_goal *goal, uint64_t start, uint64_t end, struct em_error *error)
{
    struct em_layout probe = { .image = goal->image };
    uint64_t most = goal->image->shdrs ? 4096 : 15;

    if (end < start || end - start > most)
        return 0;
    return em_layout_is_zero(&probe, start, end - start, error);
}

static int find_chain(struct em_chain *chain, uint64_t at, const struct em_goal *goal, const struct em_pieces *pieces,
                      struct em_error *error)
{
    const struct em_phdr *load = &goal->image->phdrs[chain->load];
    uint64_t end = load->offset + load->filesz, barrier = find_barrier(goal, pieces, at, end);
    int r;

    chain->barrier = UINT64_MAX;
    for (size_t i = 0; i < pieces->count && chain->count < EM_MAX_CHAIN; i++) {
        const struct em_piece *piece = &pieces->items[i];

        if (piece->offset < at || piece->offset >= barrier)
            continue;
        r = is_padding(goal, at, piece->offset, error);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        chain->items[chain->count++] = i;
        at = piece->offset + piece->size;
    }
    r = barrier == end ? is_padding(goal, at, end, error) : 0;
    if (r < 0)
        return r;
    if (r == 0) {
        /* Zeros in front of the barrier are room too, if sections vouch for them. */
        int zeros = goal->image->shdrs && barrier > at ? is_padding(goal, at, barrier, error) : 0;

        if (zeros < 0)
            return zeros;
        chain->barrier = load->vaddr + ((zeros ? barrier : at) - load->offset);
    }
    return EM_OK;
}

int em_chains_find(struct em_chains *chains, const struct em_goal *goal, const struct em_pieces *pieces, struct em_error *error)
{
    const struct em_image *image = goal->image;
    uint64_t end = image->phoff + image->phnum * em_phdr_size(image);
    int r = EM_OK;

    *chains = (struct em_chains){ 0 };
    em_vec_each (const struct em_piece, piece, pieces)
        if (piece->kind == EM_PIECE_DYNSTR && r == EM_OK) {
            chains->strings.load = piece->load;
            chains->strings.items[chains->strings.count++] = (size_t)(piece - pieces->items);
            r = find_chain(&chains->strings, piece->offset + piece->size, goal, pieces, error);
        }
    for (uint32_t i = 0; i < image->phnum && r == EM_OK; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type != PT_LOAD || phdr->offset > image->phoff || end > phdr->offset + phdr->filesz)
            continue;
        chains->headers.load = i;
        return find_chain(&chains->headers, end, goal, pieces, error);
    }
    return r;
}

static void move_to(struct em_layout *layout, struct em_piece *piece, uint64_t addr, uint64_t offset)
{
    piece->new_addr = addr;
    piece->new_offset = offset;
    if (!piece->moved)
        layout->moved_bytes += piece->size;
    piece->moved = true;
}

static int blank(struct em_layout *layout, uint32_t load, uint64_t from, uint64_t to)
{
    struct em_blank range = { layout->image->phdrs[load].offset + (from - layout->image->phdrs[load].vaddr), to - from };

    return to <= from || em_vec_push(layout->image->arena, &layout->blanks, range) == EM_OK ? 1 : EM_NO_MEMORY;
}

/* Rungs 3 and 4. What is in the way moves up: each piece by no more than it must, evicted ones not at all. The old order stays, so
 * sections stay ascending. Room that is left over behind .dynstr is .dynstr's from then on: the next edit finds it there. */
static int push(struct em_layout *layout, const struct em_chain *chain, uint64_t at, struct em_error *error)
{
    const struct em_phdr *load = &layout->image->phdrs[chain->load];
    struct em_piece *dynstr = NULL;
    uint64_t end = load->vaddr + load->filesz;
    int r = 1;

    for (size_t i = 0; r == 1 && i < chain->count; i++) {
        struct em_piece *piece = &layout->pieces.items[chain->items[i]];
        uint64_t there = at <= piece->addr ? piece->addr : em_round_up(at, piece->align);

        if (piece->leaves)
            continue;
        if (dynstr && dynstr->new_size > dynstr->size)
            dynstr->new_size = there - dynstr->new_addr;
        else
            r = blank(layout, chain->load, at, there);
        if (there != piece->addr)
            move_to(layout, piece, there, load->offset + (there - load->vaddr));
        at = there + piece->new_size;
        dynstr = piece->kind == EM_PIECE_DYNSTR ? piece : NULL;
    }
    if (r != 1 || at > chain->barrier)
        return r == 1 ? 0 : r;
    if (chain->barrier == UINT64_MAX && at > end)
        return em_layout_extend(layout, chain->load, at - end, error);
    if (dynstr && dynstr->new_size > dynstr->size && chain->barrier != UINT64_MAX && layout->candidate.evict) {
        dynstr->new_size = chain->barrier - dynstr->new_addr;
        at = chain->barrier;
    }
    return blank(layout, chain->load, at, chain->barrier != UINT64_MAX ? chain->barrier : end);
}

static bool is_in(const struct em_layout *layout, const struct em_chain *chain, enum em_piece_kind kind)
{
    for (size_t i = 0; i < chain->count; i++)
        if (layout->pieces.items[chain->items[i]].kind == kind)
            return true;
    return false;
}

/* An interpreter's name or a note may not come first in a new segment: llvm-strip and llvm-objcopy take the first header in the table
 * that begins at an offset for the one that the others lie in, lay that out by its own small alignment, and the PT_LOAD is no longer
 * congruent. So tables go in front of them; if no table leaves anyway, the smallest goes along. */
static bool may_come_first(const struct em_piece *piece)
{
    return piece->kind != EM_PIECE_INTERP && piece->kind != EM_PIECE_NOTE;
}

static void send_table_along(struct em_layout *layout)
{
    struct em_piece *smallest = NULL;
    bool any = false;

    em_vec_each (struct em_piece, piece, &layout->pieces) {
        any = any || piece->leaves;
        if (piece->leaves && may_come_first(piece))
            return;
        if (piece->kind == EM_PIECE_TABLE && piece->size > 0 && (!smallest || piece->size < smallest->size))
            smallest = piece;
    }
    if (any && smallest)
        smallest->leaves = true;
}

/* New sizes, and who goes elsewhere. Rung 6 is in here: DT_RELACOUNT and DT_RELCOUNT only spare the loader a look at each relocation's
 * type, so an entry more important than that may have the slot; else the dynamic section goes where it can be written. */
static int choose_leaving(struct em_layout *layout, const struct em_chain *chain)
{
    struct em_piece *dynstr = em_pieces_of_kind(&layout->pieces, EM_PIECE_DYNSTR);
    struct em_piece *interp = em_pieces_of_kind(&layout->pieces, EM_PIECE_INTERP);
    struct em_piece *dynamic = em_pieces_of_kind(&layout->pieces, EM_PIECE_DYNAMIC);
    uint64_t size = layout->placement->appended_at + layout->placement->appended_size;
    size_t entries = layout->goal->dyns.count + 1 - layout->candidate.drop_count;
    bool fits = entries <= layout->image->dyn_slots || !layout->image->dynamic;

    if ((layout->placement->appended_size > 0 && !dynstr) || size > EM_MAX_DYNSTR || (layout->goal->interpreter && !interp))
        return 0;
    if (fits == layout->candidate.move_dynamic || (layout->candidate.move_dynamic && !dynamic))
        return 0;
    if (layout->placement->appended_size > 0 && size > dynstr->size)
        dynstr->new_size = size;
    if (layout->candidate.copy)
        dynstr->leaves = true;
    for (size_t i = 0; i < chain->count; i++)
        if (layout->candidate.evict & (1u << i))
            layout->pieces.items[chain->items[i]].leaves = true;
    if (layout->goal->interpreter) {
        interp->new_size = strlen(layout->goal->interpreter) + 1;
        interp->leaves = interp->leaves || interp->new_size > interp->size;
        /* A shorter name keeps the place of the old one, with zeros behind: bytes of a segment that are no section's, strip tools give to
         * what is never loaded. */
        if (!interp->leaves)
            interp->new_size = interp->size;
    }
    if (layout->candidate.move_dynamic) {
        dynamic->new_size = (entries + 4) * em_dyn_size(layout->image);
        dynamic->leaves = true;
        layout->warning = "the dynamic section had no free slot and moved; _DYNAMIC still names its old place";
    }
    if (layout->candidate.target == EM_TARGET_NEW)
        send_table_along(layout);
    return 1;
}

/* The old name of an interpreter that went elsewhere: nobody reads it, and zeros are room for the next edit. */
static int blank_interpreter(struct em_layout *layout)
{
    const struct em_piece *interp = em_pieces_of_kind(&layout->pieces, EM_PIECE_INTERP);

    return interp && interp->leaves ? blank(layout, interp->load, interp->addr, interp->addr + interp->size) : 1;
}

/* The chains first, since one may need the end of a segment that others go to. */
static int make_room(struct em_layout *layout, const struct em_chains *chains, struct em_error *error)
{
    bool grow_headers = layout->candidate.slot == EM_SLOT_GROW;
    struct em_piece *dynstr = em_pieces_of_kind(&layout->pieces, EM_PIECE_DYNSTR);
    bool grows;
    int r = choose_leaving(layout, grow_headers ? &chains->headers : &chains->strings);

    grows = dynstr && dynstr->new_size > dynstr->size && !dynstr->leaves;
    if (r == 1 && grow_headers) {
        uint64_t end = em_headers_end(layout->image, em_headers_wanted(layout->goal, &layout->candidate));

        r = end == 0 ? 0 : push(layout, &chains->headers, end, error);
        grows = grows && !is_in(layout, &chains->headers, EM_PIECE_DYNSTR);
    }
    if (r == 1 && grows)
        r = push(layout, &chains->strings, dynstr->addr, error);
    em_vec_each (struct em_piece, piece, &layout->pieces)
        if (r == 1 && piece->leaves && may_come_first(piece))
            r = em_layout_place(layout, piece, layout->candidate.target, error);
    em_vec_each (struct em_piece, piece, &layout->pieces)
        if (r == 1 && piece->leaves && !may_come_first(piece))
            r = em_layout_place(layout, piece, layout->candidate.target, error);
    /* A chain that was pushed has given those bytes away already. */
    if (grow_headers || (grows && is_in(layout, &chains->strings, EM_PIECE_INTERP)))
        return r;
    return r == 1 ? blank_interpreter(layout) : r;
}

static enum em_rung rung_of(const struct em_layout *layout)
{
    const struct em_candidate *candidate = &layout->candidate;

    if (layout->has_new_load || layout->phnum != layout->image->phnum) {
        if (candidate->slot == EM_SLOT_MOVE)
            return EM_RUNG_MOVE_HEADERS;
        if (candidate->slot == EM_SLOT_GROW)
            return EM_RUNG_GROW_HEADERS;
    }
    if (candidate->drop_count || candidate->move_dynamic)
        return EM_RUNG_DYNAMIC_SLOT;
    if (layout->has_new_load)
        return EM_RUNG_APPEND_LOAD;
    if (candidate->copy || (candidate->evict & 1u)) /* .dynstr is the first of its chain */
        return EM_RUNG_COPY_DYNSTR;
    if (candidate->evict)
        return EM_RUNG_EVICT;
    if (layout->placement->appended_size > 0)
        return EM_RUNG_SLIDE;
    if (layout->placement->overwritten)
        return EM_RUNG_OVERWRITE;
    return EM_RUNG_REUSE;
}

static int start(struct em_layout *layout, const struct em_pieces *pieces)
{
    struct em_image *image = layout->image;

    layout->pieces.count = layout->pieces.capacity = pieces->count;
    layout->pieces.items = em_arena_array(image->arena, pieces->count + 1, sizeof *pieces->items);
    layout->phdrs = em_arena_array(image->arena, image->phnum + 2, sizeof *layout->phdrs);
    if (!layout->pieces.items || !layout->phdrs)
        return EM_NO_MEMORY;
    if (pieces->count > 0)
        memcpy(layout->pieces.items, pieces->items, pieces->count * sizeof *pieces->items);
    if (image->phnum > 0)
        memcpy(layout->phdrs, image->phdrs, image->phnum * sizeof *layout->phdrs);
    layout->phnum = image->phnum;
    layout->phoff = image->phoff;
    layout->shoff = image->shoff;
    layout->file_end = image->size;
    return 1;
}

int em_layout_build(struct em_layout *layout, struct em_goal *goal, const struct em_placement *placement,
                    const struct em_pieces *pieces, const struct em_chains *chains, const struct em_candidate *candidate,
                    struct em_error *error)
{
    int r;

    *layout = (struct em_layout){ .goal = goal, .image = goal->image, .placement = placement, .candidate = *candidate };
    r = start(layout, pieces);
    if (r == 1)
        r = make_room(layout, chains, error);
    if (r == 1)
        r = em_layout_headers(layout, error);
    if (r != 1)
        return r;
    layout->growth = layout->file_end - layout->image->size;
    layout->rung = rung_of(layout);
    return 1;
}
