/* sections.c: what must be right in the section headers before an edit.
 *
 * No loader asks them, so a reader does not mind. But strip, objcopy and whoever edits next go by them: headers that contradict
 * themselves would make of a good edit a bad file later. None at all is fine.
 */
#include "patcher/image.h"

/* gABI chapter 4, e_shstrndx and "String Table": the first and the last byte are NUL. Index 0 means that sections have no names. */
static int check_names(struct em_image *image, struct em_error *error)
{
    const struct em_shdr *names = &image->shdrs[image->shstrndx];
    const uint8_t *at;
    int r;

    if (names->size > image->size || names->offset > image->size - names->size)
        return em_fail_at(error, EM_BAD_ELF, image->name, names->offset, "has section names that lead beyond its end");
    if (names->type == SHT_NOBITS || names->size == 0)
        return em_fail_at(error, EM_BAD_ELF, image->name, names->offset, "has an empty table of section names");
    r = em_image_peek(image, names->offset + names->size - 1, 1, "the section names", &at, error);
    if (r < 0)
        return r;
    if (*at != '\0')
        return em_fail_at(error, EM_BAD_ELF, image->name, names->offset, "has section names without a NUL at their end");
    for (uint32_t i = 0; i < image->shnum; i++)
        if (image->shdrs[i].name >= names->size)
            return em_fail_at(error, EM_BAD_ELF, image->name, image->shoff + (uint64_t)i * image->shentsize,
                              "has a section (%u) whose name lies outside of the section names", i);
    return EM_OK;
}

static int check_dynamic(const struct em_image *image, const struct em_shdr *section, struct em_error *error)
{
    if (section->size > image->size || section->offset > image->size - section->size)
        return em_fail_at(error, EM_BAD_ELF, image->name, section->offset,
                          "has its dynamic section, by the section headers, beyond its end");
    if (section->offset % em_word_size(image) != 0)
        return em_fail_at(error, EM_BAD_ELF, image->name, section->offset,
                          "has its dynamic section, by the section headers, where it is not aligned");
    return EM_OK;
}

/* Every reader of the table stops at its last byte, so that must be a NUL whatever the strings in it are. */
static int check_strings(struct em_image *image, struct em_error *error)
{
    const uint8_t *at;
    int r;

    if (!image->has_strtab)
        return EM_OK;
    r = em_image_peek(image, image->strtab_offset + image->strtab_size - 1, 1, "the dynamic string table", &at, error);
    if (r < 0 || *at == '\0')
        return r;
    return em_fail_at(error, EM_BAD_ELF, image->name, image->strtab_offset + image->strtab_size - 1,
                      "has a dynamic string table without a NUL at its end");
}

int em_image_check_sections(struct em_image *image, struct em_error *error)
{
    int r = check_strings(image, error);

    if (r == EM_OK && image->shdrs && (uint64_t)image->shnum * image->phnum > EM_MAX_PLACES)
        return em_fail(error, EM_LIMIT, image->name, "has %u sections in %u segments, more than can be edited", image->shnum,
                       image->phnum);
    if (r == EM_OK && image->shdrs && image->shstrndx >= image->shnum)
        return em_fail_at(error, EM_BAD_ELF, image->name, 0, "keeps its section names in section %u, and has %u",
                          image->shstrndx, image->shnum);
    if (r == EM_OK && image->shdrs && image->shstrndx != SHN_UNDEF)
        r = check_names(image, error);
    for (uint32_t i = 0; r == EM_OK && image->shdrs && i < image->shnum; i++)
        if (image->shdrs[i].type == SHT_DYNAMIC)
            r = check_dynamic(image, &image->shdrs[i], error);
    return r;
}
