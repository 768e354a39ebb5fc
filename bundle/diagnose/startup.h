/* startup.h: what the import of a package does first, as its source says. Private to diagnose.
 *
 * Nothing is imported and nothing is run: __init__.py is read as text, and of it only what stands at the start of a line, which is what
 * happens in any case. What a `try` or an `if` guards is indented.
 *
 *     em_startup_imports(&imports, arena, tree, "/v/site-packages/pkg/_core.abi3.so", &bytes_read)
 *
 * Errors: EM_NO_MEMORY. A file that is not there, or cannot be read, imports nothing.
 */
#ifndef EM_BUNDLE_DIAGNOSE_STARTUP_H
#define EM_BUNDLE_DIAGNOSE_STARTUP_H

#include "bundle/tree/tree.h"

/* The extension module's own package imports it unconditionally: who imports the package gets it, or an ImportError. */
int em_startup_imports(bool *imports, struct em_arena *arena, struct em_tree *tree, const char *module, uint64_t *bytes_read);

#endif
