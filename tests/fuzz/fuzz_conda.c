/* What conda says a package has: a file of conda-meta. Holds: what it lists stays below the prefix; a file that is put is listed with
 * its digest, and one that is dropped is not, by whoever reads the result. */
#include "bundle/env/conda.h"
#include "tests/fuzz/fuzz.h"

static const char *const library = "lib/libx.so.1";

/* 0: it is no list. */
static int describe(struct em_distribution *package, struct em_arena *arena, struct em_bytes bytes)
{
    em_cleanup_conda struct em_conda *conda = NULL;

    *package = (struct em_distribution){ .site = "/p" };
    return em_conda_open(&conda, arena, bytes, "x.json", NULL) == EM_OK &&
           em_conda_describe(conda, package, arena, NULL) == EM_OK;
}

static struct em_bytes written(struct em_arena *arena, const struct em_conda *conda)
{
    em_cleanup_text struct em_text text = { 0 };
    const char *copy;

    FUZZ_HOLDS(em_conda_write(conda, &text) == EM_OK);
    copy = em_arena_strndup(arena, text.data, text.size);
    FUZZ_HOLDS(copy);
    return (struct em_bytes){ (const uint8_t *)copy, text.size };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_conda struct em_conda *conda = NULL;
    const struct em_bytes bytes = { data, size };
    const struct em_sha256 sha256 = { { 7 } };
    const struct em_record_row *row;
    struct em_distribution package;

    if (em_conda_open(&conda, arena, bytes, "x.json", NULL) < 0)
        return 0;
    if (describe(&package, arena, bytes))
        em_vec_each (const struct em_record_row, listed, &package.record.rows)
            FUZZ_HOLDS(em_path_is_contained(listed->path));
    FUZZ_HOLDS(em_conda_put(conda, library, &sha256, 11) == EM_OK);
    if (describe(&package, arena, written(arena, conda))) {
        row = em_record_find(&package.record, library);
        FUZZ_HOLDS(row);
        FUZZ_HOLDS(!row->has_sha256 || em_sha256_equal(&row->sha256, &sha256));
    }
    em_conda_drop(conda, library);
    (void)describe(&package, arena, written(arena, conda));
    return 0;
}
