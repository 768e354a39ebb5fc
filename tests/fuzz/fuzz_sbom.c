/* A bill of what a distribution was given before, by us or by whoever writes such a name. Holds: whatever stands in it, the version in
 * a later bill of ours is what counts. */
#include "bundle/plan/sbom.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define SBOMS "x-1.dist-info/sboms/"

static const char *cwd;

static void prepare(struct em_arena *arena)
{
    const struct em_sha256 sha256 = { { 7 } };
    struct em_sbom bill = { .name = "x", .version = "1" };
    struct em_bytes text;

    fuzz_scratch();
    FUZZ_HOLDS(system("mkdir -p " SBOMS) == 0);
    FUZZ_HOLDS(em_vec_push(arena, &bill.libraries,
                           ((struct em_sbom_library){ "libours.so.1", "provider 4.5", NULL, &sha256 })) == EM_OK &&
               em_sbom_write(&text, arena, &bill) == EM_OK);
    fuzz_put(SBOMS "elfmend-2.cdx.json", text);
    cwd = getcwd(NULL, 0);
    FUZZ_HOLDS(cwd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_env env = { .arena = arena };
    struct em_distribution owner = { .name = "x" };
    const char *version;

    if (!cwd)
        prepare(arena);
    FUZZ_HOLDS(em_tree_disk(&tree, NULL, NULL) == EM_OK);
    env.tree = tree;
    owner.site = cwd;
    owner.dist_info = em_path_join(arena, cwd, "x-1.dist-info");
    fuzz_put(SBOMS "elfmend.cdx.json", (struct em_bytes){ data, size });
    (void)em_sbom_version(&env, arena, &owner, em_path_join(arena, cwd, "libx.so.1"));
    version = em_sbom_version(&env, arena, &owner, em_path_join(arena, cwd, "libours.so.1"));
    FUZZ_HOLDS(version && strcmp(version, "4.5") == 0);
    return 0;
}
