/* arena.h: memory that lives as long as a run.
 *
 * Strings, lists and small structs of one run come from one arena and go with it; nobody frees a single one. Handles that own
 * something else (an fd, a thread) have a new/free pair instead.
 *
 *     struct em_arena *arena = em_arena_new();            NULL: no memory
 *     char *copy = em_arena_strdup(arena, name);          NULL: no memory
 *     em_arena_free(arena);
 *
 * All allocations are zeroed and aligned for any type; sizes are checked for overflow. Every allocator returns NULL when there
 * is no memory, and the caller returns EM_NO_MEMORY.
 *
 * Who tries many things of which one is kept gives back what a failed try took:
 *
 *     struct em_arena_mark mark = em_arena_mark(arena);
 *     if (!try(arena)) em_arena_rewind(arena, mark);      all that was allocated since is gone; nobody may hold on to it
 *
 * Who works on what a stranger has made says how much that may take:
 *
 *     em_arena_bound(arena, most);                        most bytes more; whoever wants more gets NULL, as if there were no memory
 *     if (em_arena_is_full(arena))                        and that was the reason
 *     em_arena_allow(arena, more);                        so many more than the bound said: there is one more thing to work on
 *     em_arena_bound(arena, EM_ARENA_UNBOUND);            no more
 *
 * A list that has grown out of its place gives that back (em_arena_release), if it is large; so nobody keeps a pointer into one.
 *
 * Threads: one arena, one thread at a time. A worker that allocates gets an arena of its own.
 */
#ifndef EM_BASE_ARENA_H
#define EM_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct em_arena;

struct em_arena *em_arena_new(void);
void em_arena_free(struct em_arena *arena); /* NULL is fine */

void *em_arena_alloc(struct em_arena *arena, size_t size) __attribute__((alloc_size(2)));
void *em_arena_array(struct em_arena *arena, size_t count, size_t size) __attribute__((alloc_size(2, 3)));
char *em_arena_strdup(struct em_arena *arena, const char *string);
char *em_arena_strndup(struct em_arena *arena, const char *bytes, size_t length); /* bytes need no NUL; one is added */
char *em_arena_printf(struct em_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* bytes, of that size, are wanted no more. Small ones stay until the arena goes. */
void em_arena_release(struct em_arena *arena, void *bytes, size_t size);

struct em_arena_mark {
    uint64_t chunks; /* that were ever added */
    unsigned char *at;
    size_t left;
};
struct em_arena_mark em_arena_mark(const struct em_arena *arena);
void em_arena_rewind(struct em_arena *arena, struct em_arena_mark mark);

#define EM_ARENA_UNBOUND UINT64_MAX
void em_arena_bound(struct em_arena *arena, uint64_t most);
void em_arena_allow(struct em_arena *arena, uint64_t more);
/* Somebody wanted more than the bound since it was set. */
bool em_arena_is_full(const struct em_arena *arena);

#define em_new(arena, type) ((type *)em_arena_alloc((arena), sizeof(type)))

static inline void em_arena_freep(struct em_arena **arena)
{
    em_arena_free(*arena);
}
#define em_cleanup_arena __attribute__((cleanup(em_arena_freep)))

#endif
