/* GPU code in an object: containers and their entries. Holds: a set has no code that is not in the list. */
#include "patcher/gpucode.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    const struct em_bytes bytes = { data, size };
    struct em_reader reader = em_reader_memory(&bytes, "fuzz");
    struct em_gpu_listing listing;

    if (em_gpu_code_scan(&listing, arena, &reader, NULL) < 0)
        return 0;
    FUZZ_HOLDS(listing.codes.count <= EM_GPU_CODES);
    em_vec_each (struct em_gpu_set, set, &listing.sets)
        FUZZ_HOLDS(listing.codes.count == EM_GPU_CODES || set->codes >> listing.codes.count == 0);
    em_vec_each (struct em_gpu_code, code, &listing.codes)
        FUZZ_HOLDS(em_gpu_code_name(arena, code) != NULL);
    return 0;
}
