/* A world of another machine, as `doctor --world` writes it. */
#include "bundle/loader/world_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_world world = { 0 };

    if (em_world_from_file(&world, arena, fuzz_file(data, size), NULL) < 0)
        return 0;
    (void)em_world_cached(&world, arena, "libc.so.6");
    (void)em_world_promises(&world, "libc.so.6");
    return 0;
}
