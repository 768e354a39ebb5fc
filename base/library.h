/* library.h: shared libraries that few commands need, opened by the first that does.
 *
 * libarchive and libcrypto, with what they need in turn, cost each start of the program 4 ms and 4 MB, which is more than reading or
 * editing an object takes. So they are no DT_NEEDED of it: their headers give the types, and a table of pointers is filled when one of
 * their functions is first wanted. The functions are listed once, by a macro that takes a macro:
 *
 *     #define FUNCTIONS(X) X(archive_read_new) X(archive_read_free)
 *     static struct { FUNCTIONS(EM_LIBRARY_FIELD) } archive;
 *     static const char *const names[] = { FUNCTIONS(EM_LIBRARY_NAME) };
 *     static struct em_library library = { "libarchive.so.13", names, sizeof names / sizeof *names, &archive };
 *
 *     r = em_library_open(&library, error);      archive.archive_read_new() from then on
 *
 * A library stays open until the program ends. Errors: EM_NOT_FOUND for one that is not there, EM_UNSUPPORTED for one without a function
 * of the list; the next call tries again. Threads: any number may open the same one.
 */
#ifndef EM_BASE_LIBRARY_H
#define EM_BASE_LIBRARY_H

#include "base/error.h"

#include <stdbool.h>

#define EM_LIBRARY_FIELD(name) __typeof__(name) *name;
#define EM_LIBRARY_NAME(name) #name,

struct em_library {
    const char *soname;
    const char *const *names;
    size_t count;
    void *functions; /* a struct of as many pointers, in the order of the names */
    bool is_open;
};

int em_library_open(struct em_library *library, struct em_error *error);

#endif
