/* A transaction's journal. Its last line has the XXH3 of all before it, which no mutation gets right: the first byte of the input
 * says whether it is taken as it is or gets a right one. Holds: no path leads out of the root; written again it is read as the same.
 */
#include "bundle/plan/journal.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The bytes with an end line of their own instead of the last line. */
static struct em_bytes sealed(struct em_arena *arena, struct em_bytes bytes)
{
    const char *text = em_arena_strndup(arena, (const char *)bytes.data, bytes.size);
    const char *end = memmem(bytes.data, bytes.size, "\nend ", 5);
    const size_t body = end ? (size_t)(end + 1 - (const char *)bytes.data) : bytes.size;
    char hex[EM_XXH3_HEX_SIZE];
    struct em_reader reader;
    struct em_xxh3 xxh3;
    size_t steps = 0;
    char *whole;

    FUZZ_HOLDS(text);
    for (const char *line = text; line < text + body; line += strcspn(line, "\n") + 1)
        steps += strncmp(line, "mkdir ", 6) == 0 || strncmp(line, "create ", 7) == 0 || strncmp(line, "replace ", 8) == 0 ||
                 strncmp(line, "restore ", 8) == 0;
    bytes.size = body;
    reader = em_reader_memory(&bytes, "journal");
    FUZZ_HOLDS(em_hash_reader(&reader, NULL, &xxh3, NULL) == EM_OK);
    em_xxh3_hex(&xxh3, hex);
    whole = em_arena_printf(arena, "%.*send %zu %s\n", (int)body, text, steps, hex);
    FUZZ_HOLDS(whole);
    return (struct em_bytes){ (const uint8_t *)whole, strlen(whole) };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text once = { 0 };
    em_cleanup_text struct em_text twice = { 0 };
    struct em_bytes bytes = { data + 1, size - 1 };
    struct em_journal journal;

    if (size < 1)
        return 0;
    if (data[0] & 1)
        bytes = sealed(arena, bytes);
    if (em_journal_from_text(&journal, arena, bytes, "journal", NULL) < 0)
        return 0;
    em_vec_each (struct em_entry, entry, &journal.entries)
        FUZZ_HOLDS(em_path_is_contained(entry->path));
    FUZZ_HOLDS(em_journal_to_text(&journal, &once) == EM_OK);
    FUZZ_HOLDS(em_journal_from_text(&journal, arena, (struct em_bytes){ (const uint8_t *)once.data, once.size }, "again",
                                    NULL) == EM_OK);
    FUZZ_HOLDS(em_journal_to_text(&journal, &twice) == EM_OK && strcmp(once.data, twice.data) == 0);
    return 0;
}
