#include "bundle/wheel/compress.h"

#include <libdeflate.h>
#include <string.h>

#define LEVEL 6
#define CHUNK ((size_t)1 << 20) /* 0.1% larger than one stream; eight of them in work stay below the memory we promise */
#define BATCH 4u

struct chunk {
    uint8_t *plain, *packed;
    size_t size, room, packed_size;
    bool last;
};

/* Behind what comes next: clears the mark of the last block, and ends on a whole byte. Where that block is only inflating tells. */
static int open_end(struct chunk *chunk)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_bytes bytes = { chunk->packed, chunk->packed_size };
    struct em_reader reader = em_reader_memory(&bytes, "chunk");
    em_cleanup_inflater struct em_inflater *inflater = em_inflater_new(&reader);
    struct em_blocks blocks = { 0 };
    const uint8_t *made;
    uint64_t end;
    size_t size;
    int r;

    if (!arena || !inflater)
        return EM_NO_MEMORY;
    em_inflater_tell(inflater, &blocks, arena);
    do
        r = em_inflater_next(inflater, UINT64_MAX, &made, &size, NULL);
    while (r == EM_OK && size > 0);
    if (r < 0)
        return r;
    chunk->packed[blocks.last_bit / 8] &= (uint8_t) ~(1u << blocks.last_bit % 8);
    end = blocks.end_bit + 3; /* BFINAL 0, BTYPE 0: what libdeflate pads with is zero already */
    if ((end + 7) / 8 > chunk->packed_size)
        chunk->packed[chunk->packed_size] = 0;
    memcpy(chunk->packed + (end + 7) / 8, "\x00\x00\xff\xff", 4);
    chunk->packed_size = (size_t)((end + 7) / 8) + 4;
    return EM_OK;
}

static int compress_chunk(void *context, size_t index)
{
    struct chunk *chunk = (struct chunk *)context + index;
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);

    if (!compressor)
        return EM_NO_MEMORY;
    chunk->packed_size = libdeflate_deflate_compress(compressor, chunk->plain, chunk->size, chunk->packed, chunk->room - 16);
    libdeflate_free_compressor(compressor);
    if (chunk->packed_size == 0)
        return EM_LIMIT;
    return chunk->last ? EM_OK : open_end(chunk);
}

static int compress_all(struct chunk *chunks, struct em_piece *piece, struct em_reader *plain, unsigned jobs,
                        struct em_scratch *scratch, struct em_error *error)
{
    uint64_t at = 0;
    bool done = false;

    while (!done) {
        size_t count = 0;
        int r;

        for (; count < BATCH && !done; count++) {
            struct chunk *chunk = &chunks[count];

            chunk->size = plain->size - at < CHUNK ? (size_t)(plain->size - at) : CHUNK;
            r = em_read_at(plain, chunk->plain, chunk->size, at, error);
            if (r < 0)
                return r;
            at += chunk->size;
            done = chunk->last = at == plain->size;
        }
        r = em_pool_each(jobs, count, compress_chunk, chunks);
        for (size_t i = 0; r == EM_OK && i < count; i++) {
            r = em_pwrite_all(scratch->fd, chunks[i].packed, chunks[i].packed_size, scratch->end, "temporary file", error);
            scratch->end += chunks[i].packed_size;
            piece->size += chunks[i].packed_size;
        }
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_compress(struct em_piece *piece, struct em_reader *plain, unsigned jobs, struct em_scratch *scratch,
                struct em_error *error)
{
    struct chunk chunks[BATCH] = { 0 };
    size_t most = plain->size < CHUNK ? (size_t)plain->size : CHUNK;
    size_t room = libdeflate_deflate_compress_bound(NULL, most) + 16;
    size_t wanted = plain->size > (BATCH - 1) * CHUNK ? BATCH : (size_t)plain->size / CHUNK + 1;
    int r = EM_OK;

    *piece = (struct em_piece){ .offset = scratch->end };
    for (size_t i = 0; i < wanted; i++) {
        chunks[i].room = room;
        chunks[i].plain = malloc(most + 1);
        chunks[i].packed = malloc(room);
        if (!chunks[i].plain || !chunks[i].packed)
            r = EM_NO_MEMORY;
    }
    if (r == EM_OK)
        r = compress_all(chunks, piece, plain, jobs, scratch, error);
    for (size_t i = 0; i < wanted; i++) {
        free(chunks[i].plain);
        free(chunks[i].packed);
    }
    return r;
}
