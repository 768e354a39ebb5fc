/* A zip archive: its directory, and each member to its end or some megabytes. Holds: names are contained, and what a reader gives at
 * a place is what the member has there. */
#include "bundle/tree/zip.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MOST ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_zip struct em_zip *zip = NULL;
    struct em_zip_members *members;

    if (em_zip_open(&zip, fuzz_file(data, size), NULL) < 0)
        return 0;
    members = em_zip_members(zip);
    for (size_t i = 0; i < members->count && i < 16; i++) {
        struct em_zip_member *member = &members->items[i];
        struct em_zip_place place = { zip, member };
        struct em_reader reader = em_zip_reader(&place);
        struct em_bytes bytes;
        uint8_t byte;

        FUZZ_HOLDS(member->name[0] != '/' && em_zip_find(zip, member->name) == member);
        if (em_zip_read(zip, member, arena, MOST, &bytes, NULL) < 0 || bytes.size == 0)
            continue;
        FUZZ_HOLDS(bytes.size == member->size);
        if (em_read_at(&reader, &byte, 1, bytes.size - 1, NULL) == EM_OK)
            FUZZ_HOLDS(byte == bytes.data[bytes.size - 1]);
    }
    return 0;
}
