#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Small enough that a run over a tiny tree stays tiny, large enough that malloc is rare. An allocation of more than a quarter
 * of it gets a chunk of its own, so that it wastes no rest of the current one. */
#define CHUNK_SIZE ((size_t)64 * 1024)
#define LARGE (CHUNK_SIZE / 4)
/* Many an arena is for one attempt at something, and holds little; each next one is twice as large. */
#define FIRST_CHUNK ((size_t)4 * 1024)

struct chunk {
    struct chunk *next, *previous; /* next: the one that was added before it */
    const struct em_arena *arena;
    uint64_t number; /* in order of addition */
    size_t size;     /* of all of it */
    alignas(max_align_t) unsigned char bytes[];
};

struct em_arena {
    struct chunk *chunks; /* the last one added */
    uint64_t added;
    uint64_t held, bound; /* bytes of all chunks, and how many they may become */
    bool full;            /* they would have become more */
    size_t next_size;     /* of the next chunk for what is small; 0: none was added so far */
    unsigned char *at;
    size_t left;
};

struct em_arena *em_arena_new(void)
{
    struct em_arena *arena = calloc(1, sizeof *arena);

    if (arena)
        arena->bound = EM_ARENA_UNBOUND;
    return arena;
}

void em_arena_free(struct em_arena *arena)
{
    if (!arena)
        return;
    for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

static struct chunk *add_chunk(struct em_arena *arena, size_t size)
{
    size_t total;
    struct chunk *chunk;

    if (__builtin_add_overflow(size, sizeof *chunk, &total))
        return NULL;
    if (arena->held > arena->bound || total > arena->bound - arena->held) {
        arena->full = true;
        return NULL;
    }
    chunk = calloc(1, total);
    if (!chunk)
        return NULL;
    chunk->size = total;
    arena->held += total;
    chunk->next = arena->chunks;
    if (chunk->next)
        chunk->next->previous = chunk;
    chunk->arena = arena;
    chunk->number = ++arena->added;
    arena->chunks = chunk;
    return chunk;
}

static void drop_chunk(struct em_arena *arena, struct chunk *chunk)
{
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        arena->chunks = chunk->next;
    if (chunk->next)
        chunk->next->previous = chunk->previous;
    arena->held -= chunk->size;
    free(chunk);
}

/* 0: it does not fit into any. */
static size_t round_up(size_t size)
{
    size_t rounded;

    if (__builtin_add_overflow(size, alignof(max_align_t) - 1, &rounded))
        return 0;
    rounded &= ~(alignof(max_align_t) - 1);
    return rounded ? rounded : alignof(max_align_t);
}

void *em_arena_alloc(struct em_arena *arena, size_t size)
{
    const size_t rounded = round_up(size);
    struct chunk *chunk;
    void *result;

    if (rounded == 0)
        return NULL;
    if (rounded > LARGE) {
        chunk = add_chunk(arena, rounded);
        if (!chunk)
            return NULL;
        return chunk->bytes;
    }
    if (rounded > arena->left) {
        size_t more = arena->next_size ? arena->next_size : FIRST_CHUNK;

        while (more < rounded)
            more *= 2;
        arena->next_size = more < CHUNK_SIZE ? more * 2 : CHUNK_SIZE;
        chunk = add_chunk(arena, more);
        if (!chunk)
            return NULL;
        arena->at = chunk->bytes;
        arena->left = more;
    }
    result = arena->at;
    arena->at += rounded;
    arena->left -= rounded;
    return result;
}

void em_arena_release(struct em_arena *arena, void *bytes, size_t size)
{
    struct chunk *chunk;

    if (!bytes || round_up(size) <= LARGE)
        return;
    chunk = (struct chunk *)((unsigned char *)bytes - offsetof(struct chunk, bytes));
    /* A list that goes on in another arena leaves its beginning to the first. */
    if (chunk->arena == arena)
        drop_chunk(arena, chunk);
}

void em_arena_bound(struct em_arena *arena, uint64_t most)
{
    if (__builtin_add_overflow(arena->held, most, &arena->bound))
        arena->bound = EM_ARENA_UNBOUND;
    arena->full = false;
}

void em_arena_allow(struct em_arena *arena, uint64_t more)
{
    if (__builtin_add_overflow(arena->bound, more, &arena->bound))
        arena->bound = EM_ARENA_UNBOUND;
}

bool em_arena_is_full(const struct em_arena *arena)
{
    return arena->full;
}

struct em_arena_mark em_arena_mark(const struct em_arena *arena)
{
    return (struct em_arena_mark){ arena->added, arena->at, arena->left };
}

/* What is handed out has to be zero, so the chunk that was current is wiped as far as it was used. */
void em_arena_rewind(struct em_arena *arena, struct em_arena_mark mark)
{
    bool same = mark.at && mark.at + mark.left == arena->at + arena->left; /* NULL: there was none yet */
    size_t used = same ? (size_t)(arena->at - mark.at) : mark.left;

    while (arena->chunks && arena->chunks->number > mark.chunks)
        drop_chunk(arena, arena->chunks);
    if (used > 0)
        memset(mark.at, 0, used);
    arena->at = mark.at;
    arena->left = mark.left;
}

void *em_arena_array(struct em_arena *arena, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return em_arena_alloc(arena, total);
}

char *em_arena_strndup(struct em_arena *arena, const char *bytes, size_t length)
{
    char *copy;

    if (length == SIZE_MAX)
        return NULL;
    copy = em_arena_alloc(arena, length + 1);
    if (copy && length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

char *em_arena_strdup(struct em_arena *arena, const char *string)
{
    return em_arena_strndup(arena, string, strlen(string));
}

char *em_arena_printf(struct em_arena *arena, const char *format, ...)
{
    va_list args;
    char *result;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return NULL;
    result = em_arena_alloc(arena, (size_t)length + 1);
    if (!result)
        return NULL;
    va_start(args, format);
    vsnprintf(result, (size_t)length + 1, format, args);
    va_end(args);
    return result;
}
