/* lint.c: what eu-elflint, strip and a loader would hold against an object's headers. Rules that real linkers break without harm are
 * fine here: only a rise against the input counts. */
#include "patcher/check.h"

#include "patcher/tags.h"

#include <stdlib.h>

const char *em_complaint_text(enum em_complaint complaint)
{
    switch (complaint) {
    case EM_LINT_LOAD_ORDER: return "would have PT_LOADs that do not ascend";
    case EM_LINT_LOAD_CONGRUENCE: return "would have a PT_LOAD whose address and offset differ modulo its alignment";
    case EM_LINT_LOAD_OVERLAP: return "would have PT_LOADs that share a page";
    case EM_LINT_LOAD_EMPTY: return "would have a PT_LOAD without a section in it";
    case EM_LINT_HEADER_TABLE: return "would have a PT_PHDR that does not describe the program headers";
    case EM_LINT_SEGMENT_PLACE: return "would have a segment that no PT_LOAD holds";
    case EM_LINT_SECTION_PLACE: return "would have a section in memory that no PT_LOAD holds";
    case EM_LINT_SECTION_BEYOND: return "would have a section beyond the end of the file";
    case EM_LINT_SECTION_OVERLAP: return "would have sections that overlap";
    case EM_LINT_SECTION_ALIGN: return "would have a section that is not aligned";
    case EM_LINT_TABLE_OVERLAP: return "would have a header table and a section on the same bytes";
    case EM_LINT_POINTER: return "would have a dynamic entry that leads nowhere";
    case EM_LINT_STRING_TABLE: return "would have a dynamic string table without its NULs";
    case EM_LINT_KINDS: break;
    }
    return "would be wrong";
}

struct span {
    uint64_t start, end;
};

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static size_t count_overlaps(struct span *spans, size_t count)
{
    uint64_t reached = 0;
    size_t overlaps = 0;

    if (count > 1)
        qsort(spans, count, sizeof *spans, by_start);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && spans[i].start < reached)
            overlaps++;
        if (spans[i].end > reached)
            reached = spans[i].end;
    }
    return overlaps;
}

/* Whether a PT_LOAD maps this part of the file to that address. */
static bool is_mapped(const struct em_image *image, uint64_t addr, uint64_t offset, uint64_t size)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_LOAD && addr >= phdr->vaddr && addr - phdr->vaddr <= phdr->filesz &&
            size <= phdr->filesz - (addr - phdr->vaddr) && offset == phdr->offset + (addr - phdr->vaddr))
            return true;
    }
    return false;
}

static void lint_segments(const struct em_image *image, size_t *counts)
{
    uint64_t page = em_machine_page(image->machine), last = 0, last_page = 0;

    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_PHDR && (phdr->offset != image->phoff || phdr->filesz != image->phnum * em_phdr_size(image)))
            counts[EM_LINT_HEADER_TABLE]++;
        if (phdr->type != PT_LOAD) {
            if (phdr->filesz > 0 && phdr->type != PT_GNU_STACK && phdr->type != PT_NULL &&
                !is_mapped(image, phdr->vaddr, phdr->offset, phdr->filesz))
                counts[EM_LINT_SEGMENT_PLACE]++;
            continue;
        }
        counts[EM_LINT_LOAD_ORDER] += phdr->vaddr < last;
        counts[EM_LINT_LOAD_OVERLAP] += last_page > 0 && phdr->vaddr / page < last_page;
        counts[EM_LINT_LOAD_CONGRUENCE] += phdr->align > 1 && (phdr->vaddr - phdr->offset) % phdr->align != 0;
        last = phdr->vaddr + phdr->memsz;
        last_page = (last + page - 1) / page;
    }
}

/* strip and objcopy lay segments out by their sections: one without any they leave with an offset that no loader takes. */
static size_t count_empty_loads(const struct em_image *image)
{
    size_t empty = 0;

    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];
        bool filled = phdr->type != PT_LOAD || phdr->memsz == 0;

        for (uint32_t j = 1; !filled && j < image->shnum; j++) {
            const struct em_shdr *section = &image->shdrs[j];

            filled = (section->flags & SHF_ALLOC) != 0 && section->size > 0 && section->addr >= phdr->vaddr &&
                     section->addr - phdr->vaddr < phdr->memsz;
        }
        empty += !filled;
    }
    return empty;
}

static int lint_sections(const struct em_image *image, size_t *counts)
{
    uint64_t tables[2][2] = { { image->phoff, image->phoff + image->phnum * em_phdr_size(image) },
                              { image->shoff, image->shoff + (uint64_t)image->shnum * image->shentsize } };
    em_cleanup_free struct span *in_file = NULL, *in_memory = NULL;
    size_t files = 0, memories = 0;

    if (!image->shdrs)
        return EM_OK;
    in_file = calloc(image->shnum, sizeof *in_file);
    in_memory = calloc(image->shnum, sizeof *in_memory);
    if (!in_file || !in_memory)
        return EM_NO_MEMORY;
    for (uint32_t i = 1; i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];
        struct span file = { section->offset, section->offset + section->size };

        if (section->type == SHT_NULL || section->type == SHT_NOBITS || section->size == 0)
            continue;
        counts[EM_LINT_SECTION_BEYOND] += file.end < file.start || file.end > image->size;
        for (size_t j = 0; j < 2; j++)
            counts[EM_LINT_TABLE_OVERLAP] += tables[j][0] != 0 && file.start < tables[j][1] && file.end > tables[j][0];
        in_file[files++] = file;
        if (!(section->flags & SHF_ALLOC))
            continue;
        counts[EM_LINT_SECTION_ALIGN] += section->align > 1 && section->addr % section->align != 0;
        counts[EM_LINT_SECTION_PLACE] += !is_mapped(image, section->addr, section->offset, section->size);
        in_memory[memories++] = (struct span){ section->addr, section->addr + section->size };
    }
    counts[EM_LINT_LOAD_EMPTY] = count_empty_loads(image);
    counts[EM_LINT_SECTION_OVERLAP] += count_overlaps(in_file, files) + count_overlaps(in_memory, memories);
    return EM_OK;
}

static int lint_dynamic(struct em_image *image, size_t *counts, struct em_error *error)
{
    const uint8_t *at;
    int r;

    for (size_t i = 0; i < image->dyn_count; i++) {
        const struct em_dyn *dyn = &image->dyns[i];
        bool found = dyn->value == 0;

        if (em_tag_kind(image->machine, dyn->tag) != EM_TAG_IS_ADDRESS)
            continue;
        for (uint32_t j = 0; j < image->phnum; j++)
            found = found || (image->phdrs[j].type == PT_LOAD && dyn->value >= image->phdrs[j].vaddr &&
                              dyn->value - image->phdrs[j].vaddr <= image->phdrs[j].memsz);
        counts[EM_LINT_POINTER] += !found;
    }
    if (!image->has_strtab)
        return EM_OK;
    r = em_image_peek(image, image->strtab_offset, 1, "the dynamic string table", &at, error);
    if (r == EM_OK) {
        counts[EM_LINT_STRING_TABLE] += *at != '\0';
        r = em_image_peek(image, image->strtab_offset + image->strtab_size - 1, 1, "the dynamic string table", &at, error);
    }
    if (r == EM_OK)
        counts[EM_LINT_STRING_TABLE] += *at != '\0';
    return r;
}

int em_lint(struct em_image *image, size_t counts[EM_LINT_KINDS], struct em_error *error)
{
    int r;

    for (size_t i = 0; i < EM_LINT_KINDS; i++)
        counts[i] = 0;
    lint_segments(image, counts);
    r = lint_sections(image, counts);
    return r < 0 ? r : lint_dynamic(image, counts, error);
}
