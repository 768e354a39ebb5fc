/* emit.c: a layout as ranges of bytes.
 *
 * Small moved tables are carried in the patch, large ones are named by where they were, so that a patch stays small whatever the
 * object. Ranges that would write what is there already are dropped: an edit and its reverse are no edit.
 */
#include "patcher/emit.h"

#include <stdlib.h>
#include <string.h>

#define CARRIED ((uint64_t)64 * 1024) /* a moved table up to this size is carried along */

int em_emit(struct em_out *out, uint64_t offset, const uint8_t *data, uint64_t size)
{
    struct em_patch_range range = { .offset = offset, .bytes = { data, (size_t)size }, .turn = out->turn };

    return size == 0 ? EM_OK : em_vec_push(out->arena, &out->patch->ranges, range);
}

static int put_zeros(struct em_out *out, uint64_t offset, uint64_t size)
{
    uint8_t *zeros = size > 0 ? em_arena_alloc(out->arena, (size_t)size) : NULL;

    return size > 0 && !zeros ? EM_NO_MEMORY : em_emit(out, offset, zeros, size);
}

static int put_old(struct em_out *out, uint64_t offset, uint64_t from, uint64_t size)
{
    struct em_patch_range range = { .offset = offset, .from = from, .bytes = { NULL, (size_t)size }, .turn = out->turn };
    int r = EM_OK;

    if (size == 0)
        return EM_OK;
    if (size <= CARRIED)
        r = em_read_bytes(out->image->reader, out->arena, from, size, &range.bytes, out->error);
    return r < 0 ? r : em_vec_push(out->arena, &out->patch->ranges, range);
}

/* All changes of contents, sorted and cut to pieces that do not overlap: later ones win where they do. */
struct changes {
    EM_VEC(struct em_change);
};

static int by_change(const void *a, const void *b)
{
    const struct em_change *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int add_change(struct em_out *out, struct changes *changes, struct em_change change)
{
    /* One that lies inside of an earlier one is written into it: a string's place in a table that was rebuilt. */
    em_vec_each (struct em_change, earlier, changes)
        if (change.offset >= earlier->offset && change.offset + change.size <= earlier->offset + earlier->size) {
            memcpy(earlier->bytes + (change.offset - earlier->offset), change.bytes, change.size);
            return EM_OK;
        }
    return em_vec_push(out->arena, changes, change);
}

static int gather_changes(struct em_out *out, struct changes *changes)
{
    const struct em_goal *goal = out->layout->goal;
    int r = EM_OK;

    /* Changes of single fields can be many (a version for each symbol): they do not overlap, so no search. */
    em_vec_each (const struct em_change, change, &goal->changes)
        if (r == EM_OK)
            r = em_vec_push(out->arena, changes, *change);
    em_vec_each (const struct em_change, change, &out->layout->placement->overwrites)
        if (r == EM_OK)
            r = em_vec_push(out->arena, changes, *change);
    em_vec_each (const struct em_goal_ref, ref, &goal->refs) {
        struct em_change change = { .offset = ref->offset, .bytes = em_arena_alloc(out->arena, 4), .size = 4 };

        if (!change.bytes)
            return EM_NO_MEMORY;
        em_put32(out->image, change.bytes, (uint32_t)goal->strings.items[ref->string].offset);
        if (r == EM_OK)
            r = add_change(out, changes, change);
    }
    if (r == EM_OK && changes->count > 1)
        qsort(changes->items, changes->count, sizeof *changes->items, by_change);
    for (size_t i = 1; r == EM_OK && i < changes->count; i++)
        if (changes->items[i].offset < changes->items[i - 1].offset + changes->items[i - 1].size)
            return em_fail_at(out->error, EM_REFUSED, out->image->name, changes->items[i].offset,
                              "cannot get edits that change the same bytes");
    return r;
}

/* size bytes from the old file at from go to offset, changes applied on the way. */
static int put_changed(struct em_out *out, const struct changes *changes, uint64_t offset, uint64_t from, uint64_t size)
{
    uint64_t at = from, end = from + size;
    int r = EM_OK;

    em_vec_each (const struct em_change, change, changes) {
        if (change->offset + change->size <= from || change->offset >= end || r < 0)
            continue;
        r = put_old(out, offset + (at - from), at, change->offset - at);
        if (r == EM_OK)
            r = em_emit(out, offset + (change->offset - from), change->bytes, change->size);
        at = change->offset + change->size;
    }
    return r < 0 ? r : put_old(out, offset + (at - from), at, end - at);
}

static int put_dynstr(struct em_out *out, const struct changes *changes, const struct em_piece *piece)
{
    const struct em_placement *placement = out->layout->placement;
    uint64_t at = placement->appended_at, end = at + placement->appended_size,
             kept = placement->appended_size > 0 ? at : piece->size;
    int r = EM_OK;

    if (piece->moved)
        r = put_changed(out, changes, piece->new_offset, piece->offset, kept);
    if (r == EM_OK)
        r = em_emit(out, piece->new_offset + at, placement->appended, placement->appended_size);
    if (placement->appended_size == 0)
        end = piece->size;
    if (!piece->moved && end < piece->size)
        end = piece->size;
    return r == EM_OK && end < piece->new_size ? put_zeros(out, piece->new_offset + end, piece->new_size - end) : r;
}

static int put_interpreter(struct em_out *out, const struct em_piece *piece)
{
    const char *name = out->layout->goal->interpreter;
    uint64_t size = piece->moved || piece->new_size > piece->size ? piece->new_size : piece->size;
    uint8_t *bytes = em_arena_alloc(out->arena, (size_t)size);

    if (!bytes)
        return EM_NO_MEMORY;
    memcpy(bytes, name, strlen(name));
    return em_emit(out, piece->new_offset, bytes, size);
}

static int by_range(const void *a, const void *b)
{
    const struct em_patch_range *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Alignment in the tail is zero, and said so: who goes by the ranges alone finds every new byte in one. A hole of a sparse file is left
 * one. */
static int fill_tail(struct em_out *out)
{
    struct em_patch *patch = out->patch;
    uint64_t end = patch->old_size;
    size_t count = patch->ranges.count;

    if (count > 1)
        qsort(patch->ranges.items, count, sizeof *patch->ranges.items, by_range);
    for (size_t i = 0; i <= count; i++) {
        uint64_t next = i < count ? patch->ranges.items[i].offset : patch->new_size;
        uint64_t size = i < count ? patch->ranges.items[i].bytes.size : 0;

        if (next > end && next - end <= CARRIED && put_zeros(out, end, next - end) < 0)
            return EM_NO_MEMORY;
        if (next + size > end)
            end = next + size;
    }
    return 1;
}

/* Sorted, cut down to bytes that differ, and proven not to overlap. */
static int tidy(struct em_out *out)
{
    struct em_patch *patch = out->patch;
    size_t kept = 0;

    if (patch->ranges.count > 1)
        qsort(patch->ranges.items, patch->ranges.count, sizeof *patch->ranges.items, by_range);
    for (size_t i = 0; i < patch->ranges.count; i++) {
        struct em_patch_range range = patch->ranges.items[i];
        uint64_t end = range.offset + range.bytes.size;

        if (i + 1 < patch->ranges.count && end > patch->ranges.items[i + 1].offset)
            return em_fail_at(out->error, EM_REFUSED, out->image->name, patch->ranges.items[i + 1].offset,
                              "cannot be edited: two parts of the result would share bytes");
        if (range.bytes.data && range.bytes.size <= EM_WINDOW && end <= out->image->size) {
            const uint8_t *was;
            int r = em_image_peek(out->image, range.offset, range.bytes.size, "a part to be changed", &was, out->error);

            if (r < 0)
                return r;
            while (range.bytes.size > 0 && range.bytes.data[range.bytes.size - 1] == was[range.bytes.size - 1])
                range.bytes.size--;
            while (range.bytes.size > 0 && *range.bytes.data == *was) {
                range.bytes.data++;
                range.bytes.size--;
                range.offset++;
                was++;
            }
        }
        if (range.bytes.size > 0)
            patch->ranges.items[kept++] = range;
    }
    patch->ranges.count = kept;
    return 1;
}

int em_layout_emit(struct em_patch *patch, const struct em_layout *layout, struct em_error *error)
{
    struct em_out out = { patch, layout, layout->image, layout->image->arena, error, EM_TURN_SPACE };
    struct changes changes = { 0 };
    int r;

    *patch = (struct em_patch){ .old_size = layout->image->size,
                                .new_size = layout->file_end,
                                .rung = layout->rung,
                                .warning = layout->warning ? layout->warning : layout->goal->warning };
    r = gather_changes(&out, &changes);
    em_vec_each (const struct em_piece, piece, &layout->pieces) {
        if (r < 0)
            return r;
        if (piece->kind == EM_PIECE_DYNSTR)
            r = put_dynstr(&out, &changes, piece);
        else if (piece->kind == EM_PIECE_INTERP && layout->goal->interpreter)
            r = put_interpreter(&out, piece);
        else if (piece->kind != EM_PIECE_DYNAMIC && piece->moved)
            r = put_changed(&out, &changes, piece->new_offset, piece->offset, piece->size);
    }
    /* Changes in what stays are written where they are. */
    em_vec_each (const struct em_change, change, &changes) {
        bool moved = false;

        em_vec_each (const struct em_piece, piece, &layout->pieces)
            moved = moved || (piece->moved && change->offset >= piece->offset && change->offset < piece->offset + piece->size);
        if (r == EM_OK && !moved)
            r = em_emit(&out, change->offset, change->bytes, change->size);
    }
    em_vec_each (const struct em_blank, blank, &layout->blanks)
        if (r == EM_OK)
            r = put_zeros(&out, blank->offset, blank->size);
    out.turn = EM_TURN_HEADERS;
    if (r == EM_OK)
        r = em_emit_phdrs(&out);
    if (r == EM_OK)
        r = em_emit_ehdr(&out);
    out.turn = EM_TURN_SECTIONS;
    if (r == EM_OK)
        r = em_emit_shdrs(&out);
    if (r == EM_OK)
        r = em_emit_symbols(&out);
    out.turn = EM_TURN_DYNAMIC;
    if (r == EM_OK)
        r = em_emit_dynamic(&out);
    out.turn = EM_TURN_SPACE;
    if (r == 1)
        r = fill_tail(&out);
    return r == 1 ? tidy(&out) : r;
}
