/* cache.h: /etc/ld.so.cache, read as ld.so of the world's libc and machine reads it.
 *
 * The file maps keys (SONAMEs, and the names of links that end in ".so") to paths; ld.so returns one path for a name, the best of
 * the entries that it could use, and looks at no second one if that file is gone. So the map in the world holds just that one.
 * Formats: sysdeps/generic/dl-cache.h of glibc; elf/dl-cache.c, search_cache, for what is chosen.
 */
#ifndef EM_BUNDLE_LOADER_CACHE_H
#define EM_BUNDLE_LOADER_CACHE_H

#include "bundle/loader/world.h"

/* Fills world->cache from bytes. machine, is64, big_endian, libc version, hwcaps and platform must be known by now. EM_BAD_CACHE is
 * what ld.so would ignore in silence; the caller decides. */
int em_cache_read(struct em_world *world, struct em_arena *arena, struct em_bytes bytes, struct em_error *error);

/* One more entry, of a name that has none yet; the later one of the same key is dropped. */
int em_cache_add(struct em_world *world, struct em_arena *arena, const struct em_cache_entry *entry);

#endif
