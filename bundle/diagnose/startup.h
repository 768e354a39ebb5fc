/* startup.h: what a package's Python code does about its libraries, as its source says. Private to diagnose.
 *
 * Nothing is imported and nothing is run: the files are read as text. Of __init__.py only what stands at the start of a line counts as
 * what an import does in any case: what a `try` or an `if` guards is indented.
 *
 *     em_startup_imports(&imports, arena, tree, "/v/site-packages/pkg/_core.abi3.so", &bytes_read)
 *
 *     em_startup_names(&names, &env, distribution, "libtorchaudio.so", &bytes_read)
 *
 * Errors: EM_NO_MEMORY. A file that is not there, or cannot be read, imports nothing.
 */
#ifndef EM_BUNDLE_DIAGNOSE_STARTUP_H
#define EM_BUNDLE_DIAGNOSE_STARTUP_H

#include "bundle/env/env.h"

/* The extension module's own package imports it unconditionally: who imports the package gets it, or an ImportError. */
int em_startup_imports(bool *imports, struct em_arena *arena, struct em_tree *tree, const char *module, uint64_t *bytes_read);

/* Some Python file of the distribution has the library's name in it, without ".so" and a number before that: libtorio_ffmpeg4.so as
 * "libtorio_ffmpeg". Python code that names a library opens it, by a path that it makes itself. */
int em_startup_names(bool *names, const struct em_env *env, const struct em_distribution *distribution, const char *library,
                     uint64_t *bytes_read);

#endif
