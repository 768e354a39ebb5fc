#include "bundle/source/libarchive.h"

struct em_libarchive em_la;

int em_libarchive_open(struct em_error *error)
{
    static const char *const names[] = { EM_LIBARCHIVE(EM_LIBRARY_NAME) };
    /* The soname of all 3.x; a 4.0 may have another. */
    static struct em_library library = { "libarchive.so.13", names, sizeof names / sizeof *names, &em_la, false };

    return em_library_open(&library, error);
}
