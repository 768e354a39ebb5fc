/* layout_space.c: room in the file and in memory. */
#include "patcher/layout.h"

#include "patcher/tags.h"

int em_layout_is_zero(const struct em_layout *layout, uint64_t offset, uint64_t size, struct em_error *error)
{
    uint8_t buffer[4096];

    while (size > 0 && offset < layout->image->size) {
        uint64_t rest = layout->image->size - offset;
        size_t piece = size < sizeof buffer ? (size_t)size : sizeof buffer;
        int r;

        if (rest < piece)
            piece = (size_t)rest;
        r = em_read_at(layout->image->reader, buffer, piece, offset, error);
        if (r < 0)
            return r;
        for (size_t i = 0; i < piece; i++)
            if (buffer[i] != 0)
                return 0;
        offset += piece;
        size -= piece;
    }
    return 1;
}

/* What else lies at or behind a place in the file. next: where the first of it begins; section headers apart, since they can move. */
struct neighbours {
    uint64_t from, next, next_headers;
    bool overlap;
};

static void meet(struct neighbours *neighbours, uint64_t *next, uint64_t start, uint64_t size)
{
    if (size == 0 || start + size <= neighbours->from)
        return;
    if (start < neighbours->from)
        neighbours->overlap = true;
    else if (start < *next)
        *next = start;
}

static struct neighbours look_around(const struct em_layout *layout, uint32_t load, uint64_t from)
{
    const struct em_image *image = layout->image;
    struct neighbours found = { .from = from, .next = UINT64_MAX, .next_headers = UINT64_MAX };

    for (uint32_t i = 0; i < layout->phnum; i++) {
        const struct em_phdr *phdr = &layout->phdrs[i], *self = &layout->phdrs[load];

        /* The same file range may be mapped twice; then nothing can be put behind it for one of them only. */
        if (i != load && (phdr->type == PT_LOAD || phdr->offset < self->offset || phdr->offset >= from))
            meet(&found, &found.next, phdr->offset, phdr->filesz);
    }
    for (uint32_t i = 0; image->shdrs && i < image->shnum; i++)
        if (image->shdrs[i].type != SHT_NOBITS && image->shdrs[i].type != SHT_NULL)
            meet(&found, &found.next, image->shdrs[i].offset, image->shdrs[i].size);
    meet(&found, &found.next, image->phoff, image->phnum * em_phdr_size(image));
    if (layout->shoff != 0)
        meet(&found, &found.next_headers, layout->shoff, (uint64_t)image->shnum * image->shentsize);
    if (layout->has_new_load)
        meet(&found, &found.next, layout->new_load.offset, layout->new_load.filesz + 1);
    return found;
}

/* The lowest address that another segment's pages begin at. */
static uint64_t memory_limit(const struct em_layout *layout, uint32_t load)
{
    const struct em_phdr *self = &layout->phdrs[load];
    uint64_t limit = layout->image->is64 ? UINT64_MAX : UINT32_MAX, page = em_machine_page(layout->image->machine);

    for (uint32_t i = 0; i < layout->phnum; i++) {
        const struct em_phdr *phdr = &layout->phdrs[i];

        if (i != load && phdr->type == PT_LOAD && phdr->memsz > 0 && phdr->vaddr >= self->vaddr &&
            phdr->vaddr / page * page < limit)
            limit = phdr->vaddr / page * page;
    }
    if (layout->has_new_load && layout->new_load.vaddr / page * page < limit)
        limit = layout->new_load.vaddr / page * page;
    return limit;
}

/* The section headers go behind what grew into them. */
static void move_section_headers(struct em_layout *layout, uint64_t end)
{
    layout->shoff = em_round_up(end, em_word_size(layout->image));
    end = layout->shoff + (uint64_t)layout->image->shnum * layout->image->shentsize;
    if (end > layout->file_end)
        layout->file_end = end;
}

int em_layout_extend(struct em_layout *layout, uint32_t load, uint64_t bytes, struct em_error *error)
{
    struct em_phdr *phdr = &layout->phdrs[load];
    uint64_t from = phdr->offset + phdr->filesz, to, sht_size = (uint64_t)layout->image->shnum * layout->image->shentsize;
    struct neighbours around;
    bool move_headers = false;
    int r;

    if (bytes == 0)
        return 1;
    if (phdr->filesz != phdr->memsz || phdr->filesz == 0 || __builtin_add_overflow(from, bytes, &to) ||
        phdr->vaddr + phdr->memsz + bytes < phdr->vaddr)
        return 0;
    if (phdr->vaddr + phdr->memsz + bytes > memory_limit(layout, load))
        return 0;
    around = look_around(layout, load, from);
    if (around.overlap || to > around.next)
        return 0;
    if (to > around.next_headers) {
        /* Only where they end the file: what lies behind them belongs to somebody. */
        if (around.next != UINT64_MAX || layout->shoff != layout->image->shoff ||
            layout->shoff + sht_size != layout->image->size)
            return 0;
        move_headers = true;
    }
    r = em_layout_is_zero(layout, from, (move_headers ? layout->shoff : to) - from, error);
    if (r != 1)
        return r;
    phdr->filesz += bytes;
    phdr->memsz += bytes;
    if (to > layout->file_end)
        layout->file_end = to;
    if (move_headers)
        move_section_headers(layout, to);
    return 1;
}

/* Behind everything in memory and in the file, without padding: p_offset and p_vaddr are congruent modulo the largest alignment that
 * the object has, which is what glibc before 2.35 wants of each segment and any kernel of the page size (gABI chapter 5). An executable
 * whose program headers move needs more: kernels before 5.18 tell it their address as load bias + e_phoff. */
static int start_new_load(struct em_layout *layout)
{
    const struct em_image *image = layout->image;
    uint64_t align = em_machine_page(image->machine), top = 0, limit = image->is64 ? UINT64_MAX / 2 : UINT32_MAX - 65536u;
    bool is_program = image->type == ET_EXEC;

    for (uint32_t i = 0; i < layout->phnum; i++) {
        const struct em_phdr *phdr = &layout->phdrs[i];

        is_program = is_program || phdr->type == PT_INTERP;
        if (phdr->type != PT_LOAD)
            continue;
        if (phdr->align > align)
            align = phdr->align;
        if (phdr->vaddr + phdr->memsz > top)
            top = phdr->vaddr + phdr->memsz;
    }
    if (!image->load || (align & (align - 1)) != 0 || top > limit - align || align > limit / 4)
        return 0;
    layout->new_load = (struct em_phdr){ .type = PT_LOAD, .flags = PF_R, .align = align };
    layout->new_load.offset = em_round_up(layout->file_end, 64);
    layout->new_load.vaddr = em_round_up(top, align) + layout->new_load.offset % align;
    if (layout->candidate.slot == EM_SLOT_MOVE &&
        (image->type == ET_EXEC || layout->goal->interpreter || image->load->vaddr > 0)) {
        uint64_t bias = image->load->vaddr - image->load->offset, offset = em_round_up(top - bias, align);

        if (offset < layout->file_end)
            offset = em_round_up(layout->file_end, align);
        if (offset - layout->file_end <= EM_MAX_HOLE) {
            layout->new_load.offset = offset;
            layout->new_load.vaddr = offset + bias;
        }
    }
    layout->new_load.paddr = layout->new_load.vaddr;
    layout->has_new_load = true;
    return 1;
}

int em_layout_place(struct em_layout *layout, struct em_piece *piece, uint32_t target, struct em_error *error)
{
    uint64_t align = piece->align > em_word_size(layout->image) ? piece->align : em_word_size(layout->image);
    /* The loader writes into the dynamic section of most machines; on MIPS it is read-only. */
    bool is_written = piece->kind == EM_PIECE_DYNAMIC && (layout->image->phdrs[piece->load].flags & PF_W);
    struct em_phdr *load;
    uint64_t end, addr;
    int r;

    if (target == EM_TARGET_NONE || piece->moved)
        return 0;
    if (target == EM_TARGET_NEW && !layout->has_new_load && (r = start_new_load(layout)) != 1)
        return r;
    load = target == EM_TARGET_NEW ? &layout->new_load : &layout->phdrs[target];
    end = load->vaddr + load->filesz;
    addr = em_round_up(end, align);
    if (target == EM_TARGET_NEW) {
        if (is_written)
            load->flags |= PF_W;
        load->filesz = load->memsz = addr + piece->new_size - load->vaddr;
        if (load->offset + load->filesz > layout->file_end)
            layout->file_end = load->offset + load->filesz;
    } else {
        if (is_written && !(load->flags & PF_W))
            return 0;
        r = em_layout_extend(layout, target, addr + piece->new_size - end, error);
        if (r != 1)
            return r;
    }
    piece->new_addr = addr;
    piece->new_offset = load->offset + (addr - load->vaddr);
    piece->moved = true;
    layout->moved_bytes += piece->size;
    return 1;
}
