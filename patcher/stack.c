/* stack.c: whether an object's code would miss an executable stack.
 *
 * The flag is mostly an accident: one assembly file without .note.GNU-stack among the inputs, and the linker asks for an executable stack
 * for all of it. Code that means it is GCC's for a nested function whose address is taken: it writes a *trampoline* onto the stack,
 * some instructions that load the static chain and jump (GCC internals, "Support for Nested Functions"). What it writes stands in
 * the code as constants: on x86-64 the jump through r11 and a nop to fill it up, 49 ff e3 90, whose REX prefix no other code has use
 * for; on aarch64 a template that ends with a literal load of x18 and a branch to x17. For other machines there is no such mark that
 * we could be sure of.
 */
#include "patcher/patcher.h"

#include "patcher/spans.h"

#include <string.h>

#define PIECE ((size_t)256 * 1024)

struct mark {
    uint16_t machine;
    uint8_t size;
    uint8_t bytes[7];
};

static const struct mark marks[] = {
    { EM_X86_64, 4, { 0x49, 0xff, 0xe3, 0x90 } },
    { EM_AARCH64, 7, { 0x00, 0x00, 0x58, 0x20, 0x02, 0x1f, 0xd6 } },
};

static int find_in(struct em_image *image, struct em_span span, const struct mark *mark, uint8_t *buffer, bool *found,
                   struct em_error *error)
{
    for (uint64_t at = span.start; !*found;) {
        size_t piece = span.end - at < PIECE ? (size_t)(span.end - at) : PIECE;
        int r = em_read_at(image->reader, buffer, piece, at, error);

        if (r < 0)
            return r;
        *found = memmem(buffer, piece, mark->bytes, mark->size) != NULL;
        if (at + piece == span.end)
            break;
        at += piece - mark->size + 1;
    }
    return EM_OK;
}

int em_object_stack_use(enum em_stack_use *use, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    em_cleanup_free uint8_t *buffer = malloc(PIECE);
    const struct mark *mark = NULL;
    struct em_spans spans = { 0 };
    struct em_image image;
    bool found = false;
    int r = em_image_open(&image, arena, reader, error);

    if (r < 0)
        return r;
    if (!buffer)
        return EM_NO_MEMORY;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i].machine == image.machine && !image.big_endian)
            mark = &marks[i];
    *use = EM_STACK_USE_UNKNOWN;
    if (!mark)
        return EM_OK;
    for (uint32_t i = 0; r == EM_OK && i < image.phnum; i++)
        if (image.phdrs[i].type == PT_LOAD && (image.phdrs[i].flags & PF_X) != 0)
            r = em_spans_add(&spans, &image, image.phdrs[i].offset, image.phdrs[i].filesz);
    em_spans_settle(&spans);
    if (r == EM_OK)
        r = em_spans_check(&spans, &image, error);
    for (size_t i = 0; r == EM_OK && !found && i < spans.count; i++)
        r = find_in(&image, spans.items[i], mark, buffer, &found, error);
    if (r < 0)
        return r;
    *use = found ? EM_STACK_USE_CODE : EM_STACK_USE_NONE;
    return EM_OK;
}
