/* emit.h: a layout on its way to ranges of bytes. For emit.c, which writes contents, and emit_headers.c, which writes what says where
 * they are.
 */
#ifndef EM_PATCHER_EMIT_H
#define EM_PATCHER_EMIT_H

#include "patcher/layout.h"

struct em_out {
    struct em_patch *patch;
    const struct em_layout *layout;
    struct em_image *image;
    struct em_arena *arena;
    struct em_error *error;
    enum em_turn turn; /* of what is emitted now */
};

int em_emit(struct em_out *out, uint64_t offset, const uint8_t *data, uint64_t size);

int em_emit_phdrs(struct em_out *out);
int em_emit_shdrs(struct em_out *out);
int em_emit_symbols(struct em_out *out);
int em_emit_ehdr(struct em_out *out);
/* 1; or 0: an entry that we do not know points into a piece that would move, or there are too many. */
int em_emit_dynamic(struct em_out *out);

#endif
