/* cache.h: what can be made again, and where it is kept.
 *
 *     r = em_cache_directory(arena, "sources", &directory, error)     absolute, made if it is missing, for the user alone
 *
 * It is $ELFMEND_CACHE, else $XDG_CACHE_HOME/elfmend, else ~/.cache/elfmend (XDG base directory specification): whatever lies there
 * may be removed at any time. Errors: EM_USAGE if none of the variables names a place, EM_IO.
 */
#ifndef EM_BASE_CACHE_H
#define EM_BASE_CACHE_H

#include "base/arena.h"
#include "base/error.h"

int em_cache_directory(struct em_arena *arena, const char *part, const char **directory, struct em_error *error);

#endif
