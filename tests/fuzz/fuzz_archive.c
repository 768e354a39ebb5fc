/* A source that is an archive of whatever kind: listed, its libraries unpacked, its digests read. Holds: nothing appears beside the
 * directory of the cache.
 */
#include "bundle/source/source.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

static size_t names_in(const char *directory)
{
    DIR *stream = opendir(directory);
    size_t count = 0;

    while (stream && readdir(stream))
        count++;
    if (stream)
        closedir(stream);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_cleanup_arena struct em_arena *arena = em_arena_new();
    em_cleanup_tree struct em_tree *tree = NULL;
    static unsigned runs;
    struct em_source *source;
    char cwd[PATH_MAX];

    fuzz_scratch();
    FUZZ_HOLDS(getcwd(cwd, sizeof cwd - sizeof "/cache") != NULL);
    strcat(cwd, "/cache"); /* one that is not absolute is none */
    if (runs++ % 64 == 0 && system("rm -rf cache && mkdir cache") != 0)
        abort();
    setenv("ELFMEND_CACHE", cwd, 1);
    fuzz_put("archive", (struct em_bytes){ data, size });
    FUZZ_HOLDS(em_tree_disk(&tree, NULL, NULL) == EM_OK);
    if (em_source_open(&source, arena, tree, "archive", NULL) == EM_OK &&
        em_source_look(source, NULL, data[0] & 1, NULL) == EM_OK)
        em_vec_each (struct em_candidate *, candidate, &source->candidates)
            (void)em_candidate_verify(*candidate, NULL, false, NULL);
    FUZZ_HOLDS(names_in(".") == 4); /* ".", "..", cache, archive */
    return 0;
}
