/* notes.h: the notes of a PT_NOTE, one by one. For this room only.
 *
 * A note is a name, a type and a descriptor (gABI chapter 5, "Note Section"); the type means what the one who is named says. Notes that
 * make no sense end the segment quietly: no loader reads more than the property note.
 *
 *     uint64_t left = EM_MAX_NOTES, at = 0;
 *     r = em_notes_read(&notes, &image, phdr, &left, error);
 *     while (em_note_next(&note, &image, phdr, notes, &at)) ...
 *
 * Errors: EM_IO, EM_CHANGED, EM_NO_MEMORY. Memory: the arena's; a note lies in the bytes that were read.
 */
#ifndef EM_PATCHER_NOTES_H
#define EM_PATCHER_NOTES_H

#include "patcher/image.h"

struct em_note {
    uint32_t type;
    struct em_bytes name, desc; /* name: with its NUL */
    uint64_t offset;            /* of the note in the file */
    uint64_t desc_offset;
};

/* Empty where the segment leads out of the file, or is more than is left to read of this object: segments may overlap, and four
 * thousand of them would read the file as often. */
int em_notes_read(struct em_bytes *notes, struct em_image *image, const struct em_phdr *phdr, uint64_t *left,
                  struct em_error *error);
bool em_note_next(struct em_note *note, const struct em_image *image, const struct em_phdr *phdr, struct em_bytes notes,
                  uint64_t *at);
/* owner: without its NUL. */
bool em_note_is(const struct em_note *note, const char *owner, uint32_t type);

#endif
