/* A deflate stream is inflated, its blocks told, and spliced for a file that differs in three places. The last 16 bytes say where, what
 * stands before them is the stream. Holds: what zlib says of the stream is what we say, byte for byte; whatever could be inflated
 * can be spliced, and the new stream inflates to the new file.
 */
#include "bundle/tree/inflate.h"
#include "bundle/wheel/splice.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#define TAIL 16u
#define MOST ((size_t)1 << 20)

struct plain {
    struct em_arena *arena;
    uint8_t *data;
    size_t size;
};

static int inflate_all(struct plain *plain, struct em_blocks *blocks, struct em_reader *packed, uint64_t *end)
{
    em_cleanup_inflater struct em_inflater *inflater = em_inflater_new(packed);
    const uint8_t *bytes;
    size_t size;
    int r;

    FUZZ_HOLDS(inflater);
    em_inflater_tell(inflater, blocks, plain->arena);
    for (;;) {
        r = em_inflater_next(inflater, UINT64_MAX, &bytes, &size, NULL);
        if (r < 0 || size == 0)
            break;
        if (size > MOST - plain->size)
            return EM_LIMIT;
        memcpy(plain->data + plain->size, bytes, size);
        plain->size += size;
    }
    *end = r < 0 ? 0 : em_inflater_end(inflater);
    return r;
}

/* zlib's word on the same stream. It gets room for a byte more than was inflated, so that one too many would show. */
static void check_zlib(const struct plain *plain, struct em_bytes stream, int r, uint64_t end)
{
    uint8_t *out = malloc(plain->size + 1);
    z_stream z = { .next_in = (Bytef *)(uintptr_t)stream.data, .avail_in = (uInt)stream.size, .next_out = out };
    int said;

    FUZZ_HOLDS(out && inflateInit2(&z, -15) == Z_OK);
    z.avail_out = (uInt)plain->size + 1;
    said = inflate(&z, Z_FINISH);
    FUZZ_HOLDS((r == EM_OK) == (said == Z_STREAM_END));
    if (r == EM_OK)
        FUZZ_HOLDS(z.total_out == plain->size && z.total_in == end && memcmp(out, plain->data, plain->size) == 0);
    inflateEnd(&z);
    free(out);
}

static int place_order(const void *a, const void *b)
{
    const struct em_change *x = a, *y = b;

    return (x->begin > y->begin) - (x->begin < y->begin);
}

static void change(struct em_changes *changes, struct plain *plain, const uint8_t *tail)
{
    for (size_t i = 0; i < 3; i++) {
        uint64_t begin = (uint64_t)(tail[4 * i] << 12 | tail[4 * i + 1] << 4 | tail[4 * i + 2] >> 4) % plain->size;
        uint64_t end = begin + 1 + tail[4 * i + 3];

        if (end > plain->size)
            end = plain->size;
        if (em_vec_push(plain->arena, changes, ((struct em_change){ begin, end })) < 0)
            abort();
    }
    qsort(changes->items, changes->count, sizeof *changes->items, place_order);
    for (size_t i = 1; i < changes->count;) {
        if (changes->items[i].begin > changes->items[i - 1].end) {
            i++;
            continue;
        }
        if (changes->items[i].end > changes->items[i - 1].end)
            changes->items[i - 1].end = changes->items[i].end;
        memmove(&changes->items[i], &changes->items[i + 1], (--changes->count - i) * sizeof *changes->items);
    }
    em_vec_each (struct em_change, at, changes)
        for (uint64_t i = at->begin; i < at->end; i++)
            plain->data[i] ^= tail[12] ? tail[12] : 0x55;
}

static uint8_t first[MOST], second[MOST];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_fd int fd = memfd_create("scratch", MFD_CLOEXEC);
    const struct em_bytes stream = { data, size < TAIL ? 0 : size - TAIL };
    struct em_reader packed = em_reader_memory(&stream, "stream"), plain_reader, spliced_reader;
    struct em_scratch scratch = { .fd = fd };
    struct plain plain = { .arena = arena, .data = first }, result = { .arena = arena, .data = second };
    struct em_changes changes = { 0 };
    struct em_blocks blocks = { 0 };
    struct em_pieced pieced;
    struct em_spliced spliced;
    struct em_blocks again = { 0 };
    struct em_bytes bytes;
    uint64_t end;
    int r;

    if (size < TAIL)
        return 0;
    FUZZ_HOLDS(fd >= 0);
    r = inflate_all(&plain, &blocks, &packed, &end);
    if (r != EM_LIMIT)
        check_zlib(&plain, stream, r, end);
    if (r < 0 || plain.size == 0)
        return 0;
    FUZZ_HOLDS(blocks.size == plain.size);
    change(&changes, &plain, data + size - TAIL);
    bytes = (struct em_bytes){ plain.data, plain.size };
    plain_reader = em_reader_memory(&bytes, "plain");
    FUZZ_HOLDS(em_splice(&spliced, arena, &blocks, &packed, &changes, &plain_reader, 100, &scratch, NULL) == EM_OK);
    FUZZ_HOLDS(spliced.worth);
    pieced = (struct em_pieced){ .pieces = &spliced.pieces, .packed = &packed, .scratch = &scratch };
    spliced_reader = em_pieces_reader(&pieced, spliced.packed_size);
    FUZZ_HOLDS(inflate_all(&result, &again, &spliced_reader, &end) == EM_OK);
    FUZZ_HOLDS(end == spliced.packed_size && result.size == plain.size && memcmp(result.data, plain.data, plain.size) == 0);
    return 0;
}
