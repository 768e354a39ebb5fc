/* What a file of a dynamic loader says about itself. The first byte chooses its libc. */
#include "bundle/loader/interpreter.h"
#include "tests/fuzz/fuzz.h"

#include <elf.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_world world = { .machine = EM_X86_64, .is64 = true, .libc_major = 2, .libc_minor = 36 };
    const char *cache;

    if (size < 1)
        return 0;
    world.libc = data[0] & 1 ? EM_LIBC_MUSL : EM_LIBC_GLIBC;
    world.interpreter = data[0] & 1 ? "/lib/ld-musl-x86_64.so.1" : "/lib64/ld-linux-x86-64.so.2";
    world.cache.arena = arena;
    (void)em_interpreter_scan(&world, arena, (struct em_bytes){ data + 1, size - 1 }, &cache);
    return 0;
}
