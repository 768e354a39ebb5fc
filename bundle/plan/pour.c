#include "bundle/plan/pour.h"

#include "bundle/plan/input.h"

#include <string.h>

/* Two of them fit into a core's own cache beside each other. */
#define PIECE ((size_t)256 * 1024)

/* So much is handed to the disk at a time while the rest is still being hashed, and the sync at the end finds little to do. */
#define WRITE_OUT ((uint64_t)8 << 20)

/* A changed piece of a clone, which must not be written before all of the clone has been read: the patch moves bytes about. */
struct held {
    uint64_t offset;
    struct em_bytes bytes;
};

struct pour {
    const struct em_step *step;
    struct em_arena *arena;
    struct em_error *error;
    struct em_reader source;
    const struct em_patch *patch;            /* NULL: the result is the source */
    struct em_hasher *of_source, *of_result; /* the same one where there is no patch */
    uint8_t *piece, *patched;                /* of the source; of the result where it differs */
    int out;
    bool is_clone;
    struct {
        EM_VEC(struct held);
    } held;
};

/* Lays the patch over the bytes of the result from offset on. touched: it changes any of them. */
static int lay_over(struct pour *pour, uint8_t *piece, uint64_t offset, size_t length)
{
    em_vec_each (const struct em_patch_range, range, &pour->patch->ranges) {
        uint64_t from = range->offset > offset ? range->offset : offset, to = range->offset + range->bytes.size;
        int r;

        if (to > offset + length)
            to = offset + length;
        if (from >= to)
            continue;
        if (range->bytes.data) {
            memcpy(piece + (from - offset), range->bytes.data + (from - range->offset), (size_t)(to - from));
            continue;
        }
        r = em_read_at(&pour->source, piece + (from - offset), (size_t)(to - from), range->from + (from - range->offset),
                       pour->error);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

static bool is_touched(const struct em_patch *patch, uint64_t offset, size_t length)
{
    em_vec_each (const struct em_patch_range, range, &patch->ranges)
        if (range->offset < offset + length && offset < range->offset + range->bytes.size)
            return true;
    return false;
}

static size_t piece_of(uint64_t size, uint64_t offset)
{
    const uint64_t left = offset < size ? size - offset : 0;

    return left < PIECE ? (size_t)left : PIECE;
}

static int hold(struct pour *pour, const uint8_t *bytes, size_t length, uint64_t offset)
{
    const uint8_t *copy = (const uint8_t *)em_arena_strndup(pour->arena, (const char *)bytes, length);

    return copy ? em_vec_push(pour->arena, &pour->held, ((struct held){ offset, { copy, length } })) : EM_NO_MEMORY;
}

static int put(struct pour *pour, const uint8_t *bytes, size_t length, uint64_t offset, bool differs)
{
    const uint64_t end = offset + length;
    int r;

    if (pour->is_clone)
        return differs && length > 0 ? hold(pour, bytes, length, offset) : EM_OK;
    r = em_write_all(pour->out, bytes, length, pour->step->path, pour->error);
    if (r == EM_OK && end / WRITE_OUT > offset / WRITE_OUT)
        (void)sync_file_range(pour->out, (off_t)((end / WRITE_OUT - 1) * WRITE_OUT), (off_t)WRITE_OUT, SYNC_FILE_RANGE_WRITE);
    return r;
}

/* The piece at offset: length bytes of the source, new_length of the result. */
static int pour_piece(struct pour *pour, uint64_t offset, size_t length, size_t new_length)
{
    const bool differs = pour->patch && (length != new_length || is_touched(pour->patch, offset, new_length));
    const size_t both = length < new_length ? length : new_length;
    const uint8_t *result = differs ? pour->patched : pour->piece;
    int r = em_read_at(&pour->source, pour->piece, length, offset, pour->error);

    if (r == EM_OK && differs) {
        memcpy(pour->patched, pour->piece, both);
        memset(pour->patched + both, 0, new_length - both);
        r = lay_over(pour, pour->patched, offset, new_length);
    }
    if (r < 0)
        return r;
    if (!pour->patch) {
        em_hasher_add(pour->of_source, pour->piece, length);
    } else {
        em_hasher_add_two(pour->of_source, pour->piece, pour->of_result, result, both);
        em_hasher_add(pour->of_source, pour->piece + both, length - both);
        em_hasher_add(pour->of_result, result + both, new_length - both);
    }
    return put(pour, result, new_length, offset, differs);
}

static int pour_all(struct pour *pour, void (*advance)(void *, uint64_t), void *context)
{
    const uint64_t size = pour->source.size, new_size = pour->patch ? pour->patch->new_size : size;
    const uint64_t end = size > new_size ? size : new_size;

    for (uint64_t offset = 0; offset < end; offset += PIECE) {
        const size_t new_length = piece_of(new_size, offset);
        int r = pour_piece(pour, offset, piece_of(size, offset), new_length);

        if (r < 0)
            return r;
        advance(context, new_length);
    }
    if (pour->is_clone && ftruncate(pour->out, (off_t)new_size) < 0)
        return em_fail_errno(pour->error, pour->step->path, "cannot be made %llu bytes long", (unsigned long long)new_size);
    em_vec_each (const struct held, held, &pour->held) {
        int r = em_pwrite_all(pour->out, held->bytes.data, held->bytes.size, held->offset, pour->step->path, pour->error);

        if (r < 0)
            return r;
    }
    return EM_OK;
}

static int make_patch(struct pour *pour, const struct em_edits *edits, struct em_patch *patch)
{
    int r = edits->count > 0 ? em_patch_make(patch, pour->arena, &pour->source, edits->items, edits->count, NULL, pour->error)
                             : EM_OK;

    if (r == EM_OK && edits->count > 0 && !em_patch_is_empty(patch))
        pour->patch = patch;
    return r;
}

/* Of the file that is open: that no byte was written while it was read. A clone is ours alone. */
static int check_stamp(const struct pour *pour, int in, const struct em_stamp *before)
{
    struct em_stamp after;
    struct stat st;

    if (fstat(in, &st) < 0)
        return em_fail_errno(pour->error, pour->step->from, "cannot be examined");
    after = em_stamp_of(&st);
    return pour->is_clone || em_stamp_equal(before, &after)
               ? EM_OK
               : em_fail(pour->error, EM_CHANGED, pour->step->from, "changed while it was copied");
}

static int open_source(struct pour *pour, int in, struct em_stamp *stamp)
{
    const char *from = pour->step->from;
    struct stat st;

    if (fstat(in, &st) < 0)
        return em_fail_errno(pour->error, from, "cannot be examined");
    if (!S_ISREG(st.st_mode))
        return em_fail(pour->error, EM_REFUSED, from, "is not a regular file");
    *stamp = em_stamp_of(&st);
    pour->is_clone = em_clone_fd(in, pour->out);
    if (pour->is_clone && fstat(pour->out, &st) < 0)
        return em_fail_errno(pour->error, from, "cannot be examined");
    pour->source = em_reader_fd(pour->is_clone ? pour->out : in, (uint64_t)st.st_size, from);
    return em_reader_check_holes(&pour->source, pour->error);
}

int em_pour(const struct em_step *step, const struct em_edits *edits, int out, struct em_change *change,
            void (*advance)(void *context, uint64_t bytes), void *context, struct em_error *error)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_hasher struct em_hasher *of_source = NULL, *of_result = NULL;
    em_cleanup_free uint8_t *piece = malloc(2 * PIECE);
    em_cleanup_fd int in = em_open_at(AT_FDCWD, step->from, O_RDONLY, 0, error);
    struct pour pour = { .step = step, .arena = arena, .error = error, .piece = piece, .out = out };
    struct em_sha256 sha256;
    struct em_stamp stamp;
    struct em_patch patch;
    int r;

    if (in < 0)
        return in;
    if (!arena || !piece)
        return EM_NO_MEMORY;
    pour.patched = piece + PIECE;
    r = open_source(&pour, in, &stamp);
    if (r == EM_OK)
        r = make_patch(&pour, edits, &patch);
    if (r == EM_OK)
        r = pour.patch ? em_hasher_new(&of_source, error) : em_hasher_new_both(&of_source, error);
    if (r == EM_OK && pour.patch)
        r = em_hasher_new_both(&of_result, error);
    pour.of_source = of_source;
    pour.of_result = of_result;
    if (r == EM_OK)
        r = pour_all(&pour, advance, context);
    if (r == EM_OK)
        r = check_stamp(&pour, in, &stamp);
    if (r < 0)
        return r;
    if (pour.patch) {
        em_hasher_end(of_source, &sha256);
        em_hasher_end_both(of_result, &change->sha256, &change->xxh3);
    } else {
        em_hasher_end_both(of_source, &sha256, &change->xxh3);
        change->sha256 = sha256;
    }
    change->has_sha256 = true;
    return em_step_check(step, &sha256, error);
}
