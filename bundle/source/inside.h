/* inside.h: what the files of this room share, and nobody else includes. */
#ifndef EM_BUNDLE_SOURCE_INSIDE_H
#define EM_BUNDLE_SOURCE_INSIDE_H

#include "bundle/source/source.h"

/* The candidates in a directory or of one object. */
int em_source_read_directory(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *directory,
                             struct em_error *error);

/* Unpacks the libraries of a file that is an archive, and what vouches for them, into a directory of the cache. */
int em_source_unpack(struct em_arena *arena, const char *place, const char **directory, struct em_error *error);

/* pip.c: one wheel by the package manager of the target, its libraries in a directory of the cache. place is "pip:REQUIREMENT". */
int em_source_fetch(struct em_arena *arena, const char *place, const struct em_env *target, const char **directory,
                    struct em_error *error);

/* archive.c: a fresh directory in the cache; the same under a name that another run for the same thing finds and replaces; a whole
 * directory gone. */
int em_cache_scratch(struct em_arena *arena, const char **directory, struct em_error *error);
int em_cache_keep(struct em_arena *arena, const char *scratch, const char *thing, const char **directory,
                  struct em_error *error);
void em_cache_remove(const char *directory);

/* What is pinned for a candidate: by its absolute path, by its path in the source, by its base name. NULL: nothing. EM_REFUSED if
 * only the base name fits and the file has two digests for it. */
int em_pins_find(const struct em_pins *pins, const struct em_candidate *candidate, const struct em_sha256 **pin,
                 struct em_error *error);

#endif
