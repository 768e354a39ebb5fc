/* check.h: is the result what was meant? For this room only.
 *
 * The result is read again, as a file, before a byte of it is written. It must say by its segments what the goal says, and by its
 * sections the same as by its segments; what moved must have arrived whole; p_align must not be lower; and a lint of headers and
 * sections must have no complaint of a kind that it had not about the input. EM_REFUSED with a sentence, whose subject is the
 * result, sends the caller to the next candidate.
 */
#ifndef EM_PATCHER_CHECK_H
#define EM_PATCHER_CHECK_H

#include "patcher/layout.h"

int em_check(const struct em_patch *patch, const struct em_layout *layout, struct em_error *error);

/* Complaints about an object, counted by kind. */
enum em_complaint {
    EM_LINT_LOAD_ORDER,
    EM_LINT_LOAD_CONGRUENCE,
    EM_LINT_LOAD_OVERLAP,
    EM_LINT_LOAD_EMPTY,
    EM_LINT_HEADER_TABLE,
    EM_LINT_SEGMENT_PLACE,
    EM_LINT_SECTION_PLACE,
    EM_LINT_SECTION_BEYOND,
    EM_LINT_SECTION_OVERLAP,
    EM_LINT_SECTION_ALIGN,
    EM_LINT_TABLE_OVERLAP,
    EM_LINT_POINTER,
    EM_LINT_STRING_TABLE,
    EM_LINT_KINDS
};
const char *em_complaint_text(enum em_complaint complaint);
int em_lint(struct em_image *image, size_t counts[EM_LINT_KINDS], struct em_error *error);

#endif
