/* A file for --require-hashes, as sha256sum prints it. */
#include "bundle/source/source.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_pins pins;

    (void)em_pins_read(&pins, arena, fuzz_file(data, size), NULL);
    return 0;
}
