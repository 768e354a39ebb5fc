/* ld.so.cache. The first byte chooses the machine. Holds: an entry that is found has a name and a path. */
#include "bundle/loader/cache.h"
#include "tests/fuzz/fuzz.h"

#include <elf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_world world = { .machine = EM_X86_64, .is64 = true, .libc_major = 2, .libc_minor = 36, .cpu_level = 3 };
    static const char *const names[] = { "libc.so.6", "libx.so.1", "libm.so.6", "" };

    if (size < 1)
        return 0;
    if (data[0] & 1)
        world.machine = EM_AARCH64;
    if (data[0] & 2)
        world.libc_minor = 28;
    world.cache.arena = arena;
    if (em_cache_read(&world, arena, (struct em_bytes){ data + 1, size - 1 }, NULL) < 0)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct em_cache_entry *entry = em_world_cached(&world, arena, names[i]);

        FUZZ_HOLDS(!entry || (entry->name && entry->path));
    }
    return 0;
}
