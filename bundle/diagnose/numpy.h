/* numpy.h: which NumPy an object was built against, read off the file; nothing is imported. Private to diagnose.
 *
 * It is no case for the loader: a module built against NumPy 1 is mapped, and fails in its own initialisation.
 */
#ifndef EM_BUNDLE_DIAGNOSE_NUMPY_H
#define EM_BUNDLE_DIAGNOSE_NUMPY_H

#include "bundle/diagnose/diagnose.h"

/* EM501, where NumPy 2 is installed: objects that use NumPy's C API as NumPy 1 had it. One finding a distribution. */
int em_judge_numpy(struct em_findings *findings, struct em_arena *arena, const struct em_env *env, uint64_t *bytes_read,
                   struct em_error *error);

/* How an object uses NumPy's C API. */
enum em_numpy_abi {
    EM_NUMPY_NONE, /* not at all, as far as its strings tell */
    EM_NUMPY_1,    /* built against NumPy 1: works with 1 alone */
    EM_NUMPY_2,    /* built against NumPy 2: works with 1 and 2 */
};
int em_numpy_abi_of(enum em_numpy_abi *abi, struct em_arena *arena, struct em_tree *tree, const char *path,
                    uint64_t *bytes_read, struct em_error *error);

#endif
