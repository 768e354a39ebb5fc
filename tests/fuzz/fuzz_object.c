/* An object is read: headers, dynamic section, versions, symbols, names it may hand to dlopen. Holds: what is read again from the
 * same bytes is the same. */
#include "patcher/patcher.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    const struct em_bytes bytes = { data, size };
    struct em_reader reader = em_reader_memory(&bytes, "fuzz");
    struct em_strings names = { 0 };
    struct em_object object, again;
    bool imports;

    (void)em_names_scan(&names, arena, &reader, NULL);
    (void)em_object_imports(&imports, &reader, "dlopen", NULL);
    if (em_object_read(&object, arena, &reader, NULL) < 0)
        return 0;
    FUZZ_HOLDS(object.size == size);
    FUZZ_HOLDS(em_object_read(&again, arena, &reader, NULL) == EM_OK);
    FUZZ_HOLDS(object.needed.count == again.needed.count && object.verneed.count == again.verneed.count);
    FUZZ_HOLDS(em_machine_name(arena, object.machine) != NULL);
    return 0;
}
