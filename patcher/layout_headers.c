/* layout_headers.c: program headers for the new segment and for a missing PT_GNU_STACK.
 *
 * Four places cost nothing: a PT_NULL; 56 (32) zero bytes behind the table that nobody uses; a PT_NOTE with the very range of
 * PT_GNU_PROPERTY, which every loader that looks for properties prefers; and a PT_PHDR in an object that no kernel starts, since only
 * the program's is ever looked at. Then the pieces behind the table may give way, and last the table itself moves.
 */
#include "patcher/layout.h"

#include "patcher/tags.h"

#include <string.h>

struct victims {
    uint32_t items[4];
    size_t count;
};

static bool is_program(const struct em_image *image)
{
    const struct em_dyn *flags = em_image_dyn(image, DT_FLAGS_1);

    if (image->type != ET_DYN || (flags && (flags->value & DF_1_PIE)))
        return true;
    for (uint32_t i = 0; i < image->phnum; i++)
        if (image->phdrs[i].type == PT_INTERP)
            return true;
    return false;
}

static bool is_said_twice(const struct em_image *image, const struct em_phdr *note)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_GNU_PROPERTY && phdr->offset == note->offset && phdr->filesz == note->filesz &&
            phdr->vaddr == note->vaddr)
            return true;
    }
    return false;
}

static void add_victim(struct victims *victims, uint32_t index, size_t wanted)
{
    if (victims->count < wanted && victims->count < 4)
        victims->items[victims->count++] = index;
}

/* The kinds in the order in which they are missed least. */
static void find_victims(const struct em_image *image, struct victims *victims, size_t wanted)
{
    for (uint32_t i = 0; i < image->phnum; i++)
        if (image->phdrs[i].type == PT_NULL)
            add_victim(victims, i, wanted);
    for (uint32_t i = 0; i < image->phnum; i++)
        if (image->phdrs[i].type == PT_NOTE && is_said_twice(image, &image->phdrs[i]))
            add_victim(victims, i, wanted);
    for (uint32_t i = 0; i < image->phnum; i++)
        if (image->phdrs[i].type == PT_PHDR && !is_program(image))
            add_victim(victims, i, wanted);
}

/* Whether a section or a segment has bytes there, zero or not. Outside of the segment that holds the table they would not be in
 * memory with it. */
static bool is_claimed(const struct em_layout *layout, uint64_t from, uint64_t to)
{
    const struct em_image *image = layout->image;
    bool loaded = false;

    for (uint32_t i = 0; i < image->phnum + (image->shdrs ? image->shnum : 0); i++) {
        const struct em_phdr *phdr = i < image->phnum ? &image->phdrs[i] : NULL;
        const struct em_shdr *section = phdr ? NULL : &image->shdrs[i - image->phnum];
        uint64_t start = phdr ? phdr->offset : section->offset, size = phdr ? phdr->filesz : section->size;

        if (phdr && phdr->type == PT_LOAD && phdr->offset <= image->phoff && to <= phdr->offset + phdr->filesz)
            loaded = true;
        if (size == 0 || (phdr && (phdr->type == PT_LOAD || phdr->type == PT_PHDR)) ||
            (!phdr && (section->type == SHT_NOBITS || section->type == SHT_NULL)))
            continue;
        if (start < to && start + size > from)
            return true;
    }
    return !loaded ||
           (image->shoff != 0 && image->shoff < to && image->shoff + (uint64_t)image->shnum * image->shentsize > from);
}

/* The table as a piece of its own, for the last rung. */
static int move_table(struct em_layout *layout, size_t count, struct em_error *error)
{
    struct em_piece table = { .align = em_word_size(layout->image), .kind = EM_PIECE_TABLE };
    int r;

    table.new_size = count * em_phdr_size(layout->image);
    r = em_layout_place(layout, &table, EM_TARGET_NEW, error);
    if (r != 1)
        return r;
    layout->phoff = table.new_offset;
    layout->warning = "the program headers moved to the end of the file; strip and objcopy may break the result";
    return 1;
}

/* Behind all other PT_LOADs, which are ascending; what is no PT_LOAD goes to the end. */
static void insert(struct em_layout *layout, struct em_phdr phdr)
{
    uint32_t at = layout->phnum;

    if (phdr.type == PT_LOAD) {
        while (at > 0 && layout->phdrs[at - 1].type != PT_LOAD)
            at--;
    }
    memmove(layout->phdrs + at + 1, layout->phdrs + at, (layout->phnum - at) * sizeof phdr);
    layout->phdrs[at] = phdr;
    layout->phnum++;
}

static void remove_victims(struct em_layout *layout, const struct victims *victims)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < layout->phnum; i++) {
        bool gone = false;

        for (size_t j = 0; j < victims->count; j++)
            gone = gone || victims->items[j] == i;
        if (!gone)
            layout->phdrs[kept++] = layout->phdrs[i];
    }
    layout->phnum = kept;
}

/* PT_PHDR describes the table; ld.so computes the load address of a program from it. */
static void describe_table(struct em_layout *layout)
{
    uint64_t size = layout->phnum * em_phdr_size(layout->image);

    for (uint32_t i = 0; i < layout->phnum; i++) {
        struct em_phdr *phdr = &layout->phdrs[i];

        if (phdr->type != PT_PHDR || phdr->offset != layout->image->phoff)
            continue;
        if (layout->phoff != layout->image->phoff) {
            phdr->offset = layout->phoff;
            phdr->paddr = phdr->vaddr = layout->new_load.vaddr + (layout->phoff - layout->new_load.offset);
        }
        phdr->filesz = phdr->memsz = size;
    }
}

static bool wants_stack(const struct em_goal *goal)
{
    for (uint32_t i = 0; i < goal->image->phnum; i++)
        if (goal->image->phdrs[i].type == PT_GNU_STACK)
            return false;
    return goal->stack >= 0;
}

size_t em_headers_wanted(const struct em_goal *goal, const struct em_candidate *candidate)
{
    struct victims victims = { 0 };
    size_t wanted = (size_t)wants_stack(goal) + (candidate->target == EM_TARGET_NEW);

    find_victims(goal->image, &victims, wanted);
    return wanted - victims.count;
}

uint64_t em_headers_end(const struct em_image *image, size_t more)
{
    uint64_t end = image->phoff + (image->phnum + more) * em_phdr_size(image);

    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_LOAD && phdr->offset <= image->phoff && end <= phdr->offset + phdr->filesz)
            return phdr->vaddr + (end - phdr->offset);
    }
    return 0;
}

/* Whether a part of the object is in a piece that goes to another segment. */
static bool leaves(const struct em_layout *layout, const struct em_phdr *load, uint64_t addr, uint64_t size)
{
    em_vec_each (const struct em_piece, piece, &layout->pieces)
        if (piece->moved && piece->new_addr - load->vaddr >= load->memsz && addr >= piece->addr && size <= piece->size &&
            addr - piece->addr <= piece->size - size)
            return true;
    return false;
}

/* A PT_LOAD from which the last section goes: an earlier editor made it for just that table. */
static bool is_emptied(const struct em_layout *layout, uint32_t index)
{
    const struct em_image *image = layout->image;
    const struct em_phdr *load = &layout->phdrs[index];
    bool any = false;

    if (load->type != PT_LOAD || load->filesz == 0 || load->filesz != load->memsz || load->offset < em_ehdr_size(image) ||
        layout->phoff - load->offset < load->filesz || image->phoff - load->offset < load->filesz)
        return false;
    em_vec_each (const struct em_piece, piece, &layout->pieces)
        if (piece->moved && piece->new_addr - load->vaddr < load->memsz)
            return false;
    for (uint32_t i = 0; image->shdrs && i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];

        if (!(section->flags & SHF_ALLOC) || section->size == 0 || section->addr - load->vaddr >= load->memsz)
            continue;
        if (!leaves(layout, load, section->addr, section->size))
            return false;
        any = true;
    }
    for (uint32_t i = 0; any && i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type != PT_LOAD && phdr->memsz > 0 && phdr->vaddr - load->vaddr < load->memsz &&
            !leaves(layout, load, phdr->vaddr, phdr->filesz))
            return false;
    }
    em_vec_each (const struct em_goal_dyn, dyn, &layout->goal->dyns)
        if (any && em_tag_kind(image->machine, dyn->tag) == EM_TAG_IS_ADDRESS && dyn->value - load->vaddr < load->memsz &&
            !leaves(layout, load, dyn->value, 1))
            return false;
    return any;
}

/* Left as it is, strip and objcopy would give it an offset that no loader takes. */
static void drop_emptied(struct em_layout *layout)
{
    for (uint32_t i = 0; i < layout->phnum; i++)
        if (is_emptied(layout, i))
            layout->phdrs[i] = (struct em_phdr){ .type = PT_NULL };
}

static int find_slots(struct em_layout *layout, struct victims *victims, struct em_error *error)
{
    const struct em_image *image = layout->image;
    size_t size = em_phdr_size(image), wanted = (size_t)wants_stack(layout->goal) + layout->has_new_load;
    uint64_t end = image->phoff + image->phnum * size;

    if (wanted == 0)
        return layout->candidate.slot == EM_SLOT_SPARE;
    if (layout->candidate.slot == EM_SLOT_MOVE) {
        wanted += !layout->has_new_load;
        return image->phnum + wanted >= PN_XNUM ? 0 : move_table(layout, image->phnum + wanted, error);
    }
    find_victims(image, victims, wanted);
    if (layout->candidate.slot == EM_SLOT_GROW) /* the chain behind the table was pushed for just that many */
        return wanted > victims->count && wanted - victims->count == em_headers_wanted(layout->goal, &layout->candidate);
    if (victims->count == wanted)
        return 1;
    wanted -= victims->count;
    if (image->phnum + wanted >= PN_XNUM || is_claimed(layout, end, end + wanted * size))
        return 0;
    return em_layout_is_zero(layout, end, wanted * size, error);
}

int em_layout_headers(struct em_layout *layout, struct em_error *error)
{
    struct victims victims = { 0 };
    struct em_phdr *stack = NULL;
    int r;

    for (uint32_t i = 0; i < layout->phnum; i++)
        if (layout->phdrs[i].type == PT_GNU_STACK)
            stack = &layout->phdrs[i];
    if (layout->goal->stack >= 0 && stack)
        stack->flags = (stack->flags & ~(uint32_t)PF_X) | (uint32_t)layout->goal->stack;
    r = find_slots(layout, &victims, error);
    if (r != 1)
        return r;
    drop_emptied(layout);
    remove_victims(layout, &victims);
    if (layout->has_new_load)
        insert(layout, layout->new_load);
    if (layout->goal->stack >= 0 && !stack)
        insert(layout,
               (struct em_phdr){ .type = PT_GNU_STACK, .flags = PF_R | PF_W | (uint32_t)layout->goal->stack, .align = 16 });
    if (layout->phnum != layout->image->phnum || victims.count > 0 || layout->has_new_load)
        describe_table(layout);
    return 1;
}
