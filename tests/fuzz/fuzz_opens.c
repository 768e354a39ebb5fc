/* The note in which an object says what it opens (UAPI.12, ELF dlopen() metadata). Holds: each name is one line of text, and the one that
 * is wanted is among them. */
#include "bundle/diagnose/opens.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct em_knowledge none;
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_object object = { 0 };
    struct em_openings openings;
    uint64_t read = 0;

    FUZZ_HOLDS(em_vec_push(arena, &object.dlopen_notes, em_arena_strndup(arena, (const char *)data, size)) == EM_OK);
    FUZZ_HOLDS(em_openings_of(&openings, arena, &none, NULL, "/x/libx.so", &object, NULL, &read, NULL) == EM_OK);
    em_vec_each (const struct em_opening, opening, &openings) {
        bool wanted = false;

        em_vec_each (const char *, name, &opening->names) {
            FUZZ_HOLDS(**name && !strpbrk(*name, "\n\r\t\033\177"));
            wanted = wanted || strcmp(*name, opening->wanted) == 0;
        }
        FUZZ_HOLDS(wanted && opening->entry->loses);
    }
    return 0;
}
