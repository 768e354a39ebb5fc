/* verify.h: the rows of RECORDs, and the files that they are held against. For verify.c and look.c alone.
 *
 * verify.c makes a list of items, one a row, and of batches of them; look.c opens the files, on all cores, and leaves in each item what
 * it found; verify.c says what that means.
 */
#ifndef EM_BUNDLE_ENV_VERIFY_H
#define EM_BUNDLE_ENV_VERIFY_H

#include "bundle/env/inside.h"

#include <limits.h>
#include <stdatomic.h>

enum item_state {
    ITEM_SAME,
    ITEM_MISSING,
    ITEM_OTHER_SIZE,
    ITEM_OTHER_HASH,
    ITEM_NO_PROOF, /* the RECORD has a hash that anybody can make a second file for, or of a kind that we do not know */
    ITEM_NO_HASH,  /* the RECORD has a SHA-256 that cannot be read */
    ITEM_NO_FILE,  /* something else is there: a directory, a device */
};

/* One row of one RECORD whose file lies in the target. Paths are not kept: they are made again where they are needed, which costs
 * less than the memory of tens of thousands of them. */
struct item {
    const struct em_distribution *distribution;
    const struct em_record_row *row;
    uint64_t path_hash;
    uint64_t actual_size;
    uint32_t next; /* the next item of the same path plus 1, 0 if there is none */
    bool is_first; /* of its path */
    bool is_moved; /* see em_env_moved_row */
    uint8_t state;
};

struct batch {
    size_t first, count;
    uint64_t bytes;
};

struct verify {
    struct em_env *env;
    const struct em_verify_options *options;
    struct em_arena *scratch;
    struct {
        EM_VEC(struct item);
    } items;
    uint32_t *by_hash; /* places in items, by path_hash and then by place */
    struct {
        EM_VEC(struct batch);
    } batches;
    atomic_uint_fast64_t bytes_read;
};

/* Where the row's file lies. false: nowhere that a path could name. */
bool em_verify_path(const struct verify *verify, const struct item *item, char path[PATH_MAX]);

static inline struct item *next_of_path(const struct verify *verify, const struct item *item)
{
    return item->next ? &verify->items.items[item->next - 1] : NULL;
}

/* look.c: sets the state of every item. */
int em_verify_look(struct verify *verify, struct em_error *error);

#endif
