/* The words of a wheel that are edited: METADATA, WHEEL, local versions. Holds: a requirement that was
 * added is there, and asking for nothing gives what was there. */
#include "bundle/wheel/metadata.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* But for the end of a last line that has none: it is given one, so that a header may stand behind it. */
static bool is_same(struct em_bytes edited, struct em_bytes bytes)
{
    return edited.size - bytes.size <= 2 && memcmp(edited.data, bytes.data, bytes.size) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    const struct em_bytes bytes = { data, size };
    struct em_plan_wheel none = { 0 }, change = { .version = "1+mend.1" };
    struct em_strings licences = { 0 };
    struct em_bytes edited;
    const char *version = em_arena_strndup(arena, (const char *)data, size < 40 ? size : 40);

    FUZZ_HOLDS(version && em_vec_push(arena, &change.requires, "nvidia-cudnn-cu12>=9") == EM_OK);
    if (em_metadata_edit(&edited, arena, bytes, &none, &licences, "x.whl", NULL) == EM_OK)
        FUZZ_HOLDS(is_same(edited, bytes));
    if (em_metadata_edit(&edited, arena, bytes, &change, &licences, "x.whl", NULL) == EM_OK)
        FUZZ_HOLDS(memmem(edited.data, edited.size, "nvidia-cudnn-cu12>=9", 20));
    (void)em_metadata_edit_wheel(&edited, arena, bytes, "1mend", "p.q-a-b.c", "x.whl", NULL);
    FUZZ_HOLDS(em_metadata_local_version(arena, version, "mend.1") != NULL);
    (void)em_metadata_is_local(version);
    return 0;
}
