/* interpreter.h: what the file of a dynamic loader says about itself, read from its bytes; nothing of the target is run.
 */
#ifndef EM_BUNDLE_LOADER_INTERPRETER_H
#define EM_BUNDLE_LOADER_INTERPRETER_H

#include "bundle/loader/world.h"

/* Where loaders of this machine are installed, by their libc, the usual one first; ends with NULL. */
const char *const *em_interpreter_places(uint16_t machine, bool is64, enum em_libc libc);

/* "/lib/ld-musl-x86_64.so.1" is musl's; everything else is taken for glibc's. */
enum em_libc em_interpreter_libc(const char *path);

/* Fills libc version, system_dirs, lib_token and *cache (path of ld.so.cache, NULL: not named in it) from the loader's bytes; what
 * is not to be found in them keeps the value it has for this machine by convention. */
int em_interpreter_scan(struct em_world *world, struct em_arena *arena, struct em_bytes bytes, const char **cache);

/* The convention alone, for a tree without a loader. */
int em_interpreter_default(struct em_world *world, struct em_arena *arena);

#endif
