/* python.h: what an extension module was built for, read off the file; nothing is imported. Private to diagnose.
 *
 * A module built against NumPy 1 is mapped and fails in its own initialisation; one for another Python is passed over by the import
 * system as if it were not there; one for another machine under a name that fits is tried, and refused by the loader.
 */
#ifndef EM_BUNDLE_DIAGNOSE_PYTHON_H
#define EM_BUNDLE_DIAGNOSE_PYTHON_H

#include "bundle/diagnose/advice.h"
#include "bundle/diagnose/diagnose.h"

/* EM501, where NumPy 2 is installed: objects that use NumPy's C API as NumPy 1 had it. One finding a distribution. */
int em_judge_numpy(struct em_findings *findings, struct em_arena *arena, const struct em_env *env, uint64_t *bytes_read,
                   struct em_error *error);

/* Modules that have no sibling that fits: EM502 where the file name says another Python, machine or libc; EM107 where the name fits and
 * the file is for another machine, or no ELF file. One a distribution. */
int em_judge_python(struct em_findings *findings, const struct em_advisor *advisor);

/* How an object uses NumPy's C API. */
enum em_numpy_abi {
    EM_NUMPY_NONE, /* not at all, as far as its strings tell */
    EM_NUMPY_1,    /* built against NumPy 1: works with 1 alone */
    EM_NUMPY_2,    /* built against NumPy 2: works with 1 and 2 */
};
int em_numpy_abi_of(enum em_numpy_abi *abi, struct em_arena *arena, struct em_tree *tree, const char *path,
                    uint64_t *bytes_read, struct em_error *error);

/* Whether a module's file name fits: "x.cpython-311-x86_64-linux-gnu.so" for Python "3.11" on that machine and libc. true for
 * names that say nothing. tag gets what stands between the module's name and ".so" ("" where there is nothing). */
bool em_python_fits(const char *file_name, const char *python_version, const struct em_world *world, char tag[64]);

#endif
