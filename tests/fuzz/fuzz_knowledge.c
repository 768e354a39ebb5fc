/* Further tables for --knowledge. Holds: they add to the built-in ones and take nothing of them away. */
#include "bundle/diagnose/knowledge.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    struct em_knowledge knowledge;
    const struct em_package *package;
    char major[16];

    if (em_knowledge_load(&knowledge, arena, fuzz_file(data, size), NULL) < 0)
        return 0;
    FUZZ_HOLDS(em_knowledge_opens(&knowledge, "libcudnn.so.9"));
    package = em_knowledge_package(&knowledge, "libcudnn_ops.so.9", major);
    FUZZ_HOLDS(package && strcmp(major, "9") == 0);
    (void)em_package_requirement(package, major, "cu12");
    FUZZ_HOLDS(em_knowledge_is_vendor(&knowledge, "nvidia-cudnn-cu12"));
    FUZZ_HOLDS(em_knowledge_is_driver(&knowledge, "libcuda.so.1"));
    FUZZ_HOLDS(em_knowledge_cure(&knowledge, "ctranslate2", "4.5.0", "libcudnn_ops.so.9"));
    FUZZ_HOLDS(em_knowledge_gpu(&knowledge, "GeForce RTX 5070"));
    return 0;
}
