/* embedded.h: the files of knowledge/, as the build put them into the program (tools/embed). */
#ifndef EM_BUNDLE_DIAGNOSE_EMBEDDED_H
#define EM_BUNDLE_DIAGNOSE_EMBEDDED_H

#include <stddef.h>

struct em_embedded {
    const char *name; /* "opens" for knowledge/opens.json; NULL ends the list */
    const unsigned char *bytes;
    size_t size;
};

extern const struct em_embedded em_knowledge[];

#endif
