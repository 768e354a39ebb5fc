#include "bundle/wheel/splice.h"

#include <string.h>

/* ---- the stream that pieces make ---- */

static int64_t read_pieces(void *context, void *buffer, size_t length, uint64_t offset, struct em_error *error)
{
    struct em_pieced *pieced = context;
    const struct em_piece *piece;
    uint64_t inside;
    ssize_t got;
    int r;

    if (offset < pieced->at_begin)
        pieced->at = 0, pieced->at_begin = 0;
    while (pieced->at < pieced->pieces->count && offset - pieced->at_begin >= pieced->pieces->items[pieced->at].size)
        pieced->at_begin += pieced->pieces->items[pieced->at++].size;
    if (pieced->at == pieced->pieces->count)
        return 0;
    piece = &pieced->pieces->items[pieced->at];
    inside = offset - pieced->at_begin;
    if (length > piece->size - inside)
        length = (size_t)(piece->size - inside);
    if (piece->packed) {
        r = em_read_at(pieced->packed, buffer, length, piece->offset + inside, error);
        return r < 0 ? r : (int64_t)length;
    }
    got = em_pread(pieced->scratch->fd, buffer, length, piece->offset + inside);
    return got < 0 ? em_fail_errno(error, "temporary file", "cannot be read back") : got;
}

struct em_reader em_pieces_reader(struct em_pieced *pieced, uint64_t size)
{
    return (struct em_reader){ .read = read_pieces, .context = pieced, .size = size, .name = "spliced stream" };
}

/* ---- the check ---- */

/* The old file's CRC says what the chunk must be. */
static bool is_known(const struct em_splice_check *check, uint64_t chunk)
{
    uint64_t begin = chunk * EM_ZIP_CHUNK, end = begin + EM_ZIP_CHUNK;

    return check->old && chunk < check->old->count && end <= check->plain->size && end <= check->old_size &&
           !em_is_changed(check->changes, begin, end);
}

static int differs(const struct em_splice_check *check, uint64_t at)
{
    return em_fail_at(check->error, EM_BAD_ZIP, check->plain->name, at, "was compressed into something else");
}

static int compare_bytes(const struct em_splice_check *check, const uint8_t *bytes, size_t size)
{
    em_cleanup_free uint8_t *plain = malloc(size);
    int r;

    if (!plain)
        return EM_NO_MEMORY;
    r = em_read_at(check->plain, plain, size, check->at, check->error);
    return r == EM_OK && memcmp(plain, bytes, size) != 0 ? differs(check, check->at) : r;
}

int em_splice_compare(struct em_splice_check *check, uint64_t at, const uint8_t *bytes, size_t size)
{
    if (at != check->at)
        return differs(check, check->at);
    if (size > check->plain->size - check->at)
        return em_fail(check->error, EM_BAD_ZIP, check->plain->name, "was compressed into something longer");
    while (size > 0) {
        uint64_t left = EM_ZIP_CHUNK - check->at % EM_ZIP_CHUNK;
        size_t part = size < left ? size : (size_t)left;
        int r = is_known(check, check->at / EM_ZIP_CHUNK) ? EM_OK : compare_bytes(check, bytes, part);

        if (r < 0)
            return r;
        check->at += part;
        bytes += part;
        size -= part;
    }
    return EM_OK;
}

int em_splice_end(const struct em_splice_check *check, const struct em_zip_chunk_crcs *made)
{
    if (check->at != check->plain->size)
        return em_fail(check->error, EM_BAD_ZIP, check->plain->name, "was compressed into something shorter");
    for (uint64_t chunk = 0; chunk < check->plain->size / EM_ZIP_CHUNK; chunk++)
        if (is_known(check, chunk) && (!made || chunk >= made->count || made->items[chunk] != check->old->items[chunk]))
            return differs(check, chunk * EM_ZIP_CHUNK);
    return EM_OK;
}
