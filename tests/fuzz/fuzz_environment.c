/* An environment by its texts: pyvenv.cfg, a .pth file, METADATA, RECORD, INSTALLER, a file of conda-meta, separated by 0x1e in the
 * input. It is read, verified and asked for owners as any other. Holds: nothing that is verified lies outside of regular files.
 */
#include "bundle/env/env.h"
#include "tests/fuzz/fuzz.h"

#define SITE "v/lib/python3.11/site-packages/"

static void prepare(void)
{
    static bool done;

    if (done)
        return;
    fuzz_scratch();
    FUZZ_HOLDS(system("mkdir -p " SITE "x-1.dist-info v/conda-meta v/bin && printf '\\177ELF' > " SITE "x.so") == 0);
    done = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = { "v/pyvenv.cfg",
                                         SITE "a.pth",
                                         SITE "x-1.dist-info/METADATA",
                                         SITE "x-1.dist-info/RECORD",
                                         SITE "x-1.dist-info/INSTALLER",
                                         "v/conda-meta/x-1-0.json" };
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    struct em_bytes rest = { data, size };
    const struct em_verify_options verify = { .jobs = 1, .hash = true, .unlisted = true };
    struct em_deviations deviations;
    struct em_env env;

    prepare();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct em_bytes part = fuzz_part(&rest);

        if (part.size > 0)
            fuzz_put(files[i], part);
        else
            unlink(files[i]);
    }
    FUZZ_HOLDS(em_tree_disk(&tree, NULL, NULL) == EM_OK);
    if (em_env_read(&env, arena, tree, "v", NULL) < 0)
        return 0;
    em_vec_each (struct em_env_object, object, &env.objects)
        (void)em_env_owner(&env, object->path);
    (void)em_env_verify(&deviations, &env, &verify, NULL, NULL);
    return 0;
}
