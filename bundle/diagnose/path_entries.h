/* path_entries.h: a path list, entry by entry, as the loader takes it. Private to diagnose. */
#ifndef EM_BUNDLE_DIAGNOSE_PATH_ENTRIES_H
#define EM_BUNDLE_DIAGNOSE_PATH_ENTRIES_H

#include "base/vec.h"

enum em_entry_kind {
    EM_ENTRY_PLACE,   /* a directory: absolute */
    EM_ENTRY_WORKING, /* empty or relative: counts from the current directory */
    EM_ENTRY_UNKNOWN, /* with a token that only the process knows */
};

struct em_path_entry {
    const char *written;
    enum em_entry_kind kind;
    const char *directory; /* EM_ENTRY_PLACE: $ORIGIN expanded, normal */
    bool by_origin;
};

struct em_path_entries {
    EM_VEC(struct em_path_entry);
};

/* list NULL: no entries. origin: the object's directory. */
int em_path_entries(struct em_path_entries *entries, struct em_arena *arena, const char *list, const char *origin);

#endif
