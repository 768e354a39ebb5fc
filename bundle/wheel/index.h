/* index.h: a simple index that any static server can hand out (PEP 503, PEP 658, PEP 691).
 *
 *     r = em_index_add(&indexed, directory, arena, "dist/x-1+mend.1-py3-none-any.whl", error)
 *
 * Under directory/x/ the wheel is copied (if it does not lie there), beside it its METADATA as WHEEL.metadata, and index.html and
 * index.json of the project are written anew from what lies there: wheels, those of others without a .metadata beside them too, and
 * source distributions (.tar.gz); what is no regular file, or has a name that is not UTF-8, is left where it is, untold. The top-level
 * pages list the projects. Each file appears whole or not at all, and wherever a run ends the pages speak of no file that is not there
 * with the bytes that they say. What the index says depends on what lies in it, and on nothing else.
 */
#ifndef EM_BUNDLE_WHEEL_INDEX_H
#define EM_BUNDLE_WHEEL_INDEX_H

#include "base/base.h"

/* What the page says of a wheel, as an installer's requirement would. */
struct em_indexed {
    const char *name, *version; /* name: normalised */
    char sha256[EM_SHA256_HEX_SIZE];
};

int em_index_add(struct em_indexed *indexed, const char *directory, struct em_arena *arena, const char *wheel,
                 struct em_error *error);

#endif
