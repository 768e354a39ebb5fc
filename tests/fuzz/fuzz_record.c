/* RECORD. Holds: an untouched record is written as it was read; a row that is put is found by whoever reads the result. */
#include "bundle/env/record.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_text struct em_text text = { 0 };
    em_cleanup_text struct em_text edited = { 0 };
    const struct em_sha256 sha256 = { { 7 } };
    const struct em_record_row *row;
    struct em_record record;

    if (em_record_read(&record, arena, (struct em_bytes){ data, size }, "RECORD", NULL) < 0)
        return 0;
    em_record_write(&record, &text);
    FUZZ_HOLDS(text.size == size && (size == 0 || memcmp(text.data, data, size) == 0));
    FUZZ_HOLDS(em_record_put(&record, "a,\"b\"/lib.so", &sha256, 11) == EM_OK);
    if (record.rows.count > 1)
        FUZZ_HOLDS(em_record_put(&record, record.rows.items[0].path, &sha256, 12) == EM_OK);
    em_record_write(&record, &edited);
    FUZZ_HOLDS(em_record_read(&record, arena, (struct em_bytes){ (const uint8_t *)edited.data, edited.size }, "RECORD", NULL) ==
               EM_OK);
    row = em_record_find(&record, "a,\"b\"/lib.so");
    FUZZ_HOLDS(row && row->has_sha256 && em_sha256_equal(&row->sha256, &sha256) && row->has_size);
    return 0;
}
