#include "bundle/wheel/splice.h"

#include <libdeflate.h>
#include <string.h>

#define PIECE ((size_t)65536)

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

/* Where a chunk ends of which the old file's CRC says what it must be; at itself: nothing says so here. */
static uint64_t known_until(const struct em_splice_check *check)
{
    uint64_t chunk = check->at / EM_ZIP_CHUNK, begin = chunk * EM_ZIP_CHUNK, end = begin + EM_ZIP_CHUNK;

    if (!check->old || chunk >= check->old->count || end > check->plain->size || end > check->old_size)
        return check->at;
    return em_is_changed(check->changes, begin, end) ? check->at : end;
}

static int differs(const struct em_splice_check *check)
{
    return em_fail_at(check->error, EM_BAD_ZIP, check->plain->name, check->at, "was compressed into something else");
}

static int compare_crc(struct em_splice_check *check, const uint8_t *bytes, size_t size, uint64_t end)
{
    check->chunk_crc = libdeflate_crc32(check->chunk_crc, bytes, size);
    if (check->at + size < end)
        return EM_OK;
    if (check->chunk_crc != check->old->items[check->at / EM_ZIP_CHUNK])
        return differs(check);
    check->chunk_crc = 0;
    return EM_OK;
}

static int compare_bytes(struct em_splice_check *check, const uint8_t *bytes, size_t size)
{
    em_cleanup_free uint8_t *plain = malloc(size);
    int r;

    if (!plain)
        return EM_NO_MEMORY;
    r = em_read_at(check->plain, plain, size, check->at, check->error);
    return r == EM_OK && memcmp(plain, bytes, size) != 0 ? differs(check) : r;
}

int em_splice_compare(struct em_splice_check *check, const uint8_t *bytes, size_t size)
{
    if (size > check->plain->size - check->at)
        return em_fail(check->error, EM_BAD_ZIP, check->plain->name, "was compressed into something longer");
    while (size > 0) {
        uint64_t end = known_until(check), left = EM_ZIP_CHUNK - check->at % EM_ZIP_CHUNK;
        size_t part = size < left ? size : (size_t)left;
        int r = end > check->at ? compare_crc(check, bytes, part, end) : compare_bytes(check, bytes, part);

        if (r < 0)
            return r;
        check->at += part;
        bytes += part;
        size -= part;
    }
    return EM_OK;
}

int em_splice_end(const struct em_splice_check *check)
{
    return check->at == check->plain->size
               ? EM_OK
               : em_fail(check->error, EM_BAD_ZIP, check->plain->name, "was compressed into something shorter");
}
