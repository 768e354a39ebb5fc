#include "patcher/notes.h"

#include <string.h>

int em_notes_read(struct em_bytes *notes, struct em_image *image, const struct em_phdr *phdr, uint64_t *left,
                  struct em_error *error)
{
    *notes = (struct em_bytes){ 0 };
    if (phdr->filesz > *left || phdr->offset > image->size || phdr->filesz > image->size - phdr->offset)
        return EM_OK;
    *left -= phdr->filesz;
    return em_read_bytes(image->reader, image->arena, phdr->offset, phdr->filesz, notes, error);
}

bool em_note_next(struct em_note *note, const struct em_image *image, const struct em_phdr *phdr, struct em_bytes notes,
                  uint64_t *at)
{
    uint64_t align = phdr->align == 8 ? 8 : 4, start = *at, desc;
    uint32_t namesz, descsz;

    if (!em_bytes_u32(notes, start, image->big_endian, &namesz) ||
        !em_bytes_u32(notes, start + 4, image->big_endian, &descsz) ||
        !em_bytes_u32(notes, start + 8, image->big_endian, &note->type))
        return false;
    desc = start + 12 + (((uint64_t)namesz + align - 1) & ~(align - 1));
    /* With 8-byte alignment the descriptor starts at a multiple of 8 of the whole note: 12 + 4 for "GNU". */
    if (align == 8)
        desc = start + ((12 + (uint64_t)namesz + 7) & ~(uint64_t)7);
    if (!em_bytes_slice(notes, start + 12, namesz, &note->name) || !em_bytes_slice(notes, desc, descsz, &note->desc))
        return false;
    note->offset = phdr->offset + start;
    note->desc_offset = phdr->offset + desc;
    *at = desc + (((uint64_t)descsz + align - 1) & ~(align - 1));
    return true;
}

bool em_note_is(const struct em_note *note, const char *owner, uint32_t type)
{
    return note->type == type && note->name.size == strlen(owner) + 1 && memcmp(note->name.data, owner, note->name.size) == 0;
}
