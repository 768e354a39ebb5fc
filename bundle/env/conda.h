/* conda.h: the files that conda says a package has.
 *
 * conda keeps a file for each package of a prefix, conda-meta/NAME-VERSION-BUILD.json ("PrefixRecord" in the sources of conda and
 * rattler): "files" is what a removal deletes, "paths_data" has of each of these the SHA-256 of the package's bytes ("sha256"), that
 * of what was made of them where the prefix was written into them ("sha256_in_prefix"), and the size. Paths are relative to the
 * prefix. Members that we do not know stay as they are, and so does the order.
 *
 *     r = em_conda_open(&list, arena, bytes, label, error)
 *     r = em_conda_put(list, path, &sha256, size)     new or changed
 *     em_conda_drop(list, path)                       gone
 *     r = em_conda_write(list, &text)
 *     em_conda_close(list)                            NULL is fine
 *
 * Errors: EM_BAD_JSON: no JSON, or none that conda would have written; EM_NO_MEMORY.
 */
#ifndef EM_BUNDLE_ENV_CONDA_H
#define EM_BUNDLE_ENV_CONDA_H

#include "bundle/env/env.h"

struct em_conda;

int em_conda_open(struct em_conda **conda, struct em_arena *arena, struct em_bytes bytes, const char *label,
                  struct em_error *error);
void em_conda_close(struct em_conda *conda);
#define em_cleanup_conda __attribute__((cleanup(em_conda_cleanup)))
static inline void em_conda_cleanup(struct em_conda **conda)
{
    em_conda_close(*conda);
}

/* What one package's file says: name, version and record of a distribution. */
int em_conda_describe(const struct em_conda *conda, struct em_distribution *distribution, struct em_arena *arena,
                      struct em_error *error);

int em_conda_put(struct em_conda *conda, const char *path, const struct em_sha256 *sha256, uint64_t size);
void em_conda_drop(struct em_conda *conda, const char *path);
int em_conda_write(const struct em_conda *conda, struct em_text *text);

#endif
