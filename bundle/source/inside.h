/* inside.h: what the files of this room share, and nobody else includes. */
#ifndef EM_BUNDLE_SOURCE_INSIDE_H
#define EM_BUNDLE_SOURCE_INSIDE_H

#include "bundle/source/source.h"

/* The candidates in a directory or of one object. */
int em_source_read_directory(struct em_source *source, struct em_arena *arena, struct em_tree *tree, const char *directory,
                             struct em_error *error);

/* Unpacks the libraries of a file that is an archive, and what vouches for them, into a directory of the cache. */
int em_source_unpack(struct em_arena *arena, const char *place, const char **directory, struct em_error *error);

/* What is pinned for a candidate: by its absolute path, by its path in the source, by its base name. NULL: nothing. EM_REFUSED if
 * only the base name fits and the file has two digests for it. */
int em_pins_find(const struct em_pins *pins, const struct em_candidate *candidate, const struct em_sha256 **pin,
                 struct em_error *error);

#endif
