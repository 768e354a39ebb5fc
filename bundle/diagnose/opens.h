/* opens.h: which names an object hands to dlopen: by the tables and the strings that they point at, and by the notes in which it says
 * so itself (UAPI.12, ELF dlopen() metadata). Private to diagnose.
 *
 * Of what a note calls required the object's main function is lost; "recommended" and "suggested" are optional. A note that is no such
 * JSON says nothing.
 */
#ifndef EM_BUNDLE_DIAGNOSE_OPENS_H
#define EM_BUNDLE_DIAGNOSE_OPENS_H

#include "bundle/diagnose/diagnose.h"

/* One library that an object opens, under any of several names: the first that the loader finds is taken. */
struct em_opening {
    struct em_strings names; /* most wanted first */
    const char *wanted;      /* the one that packages carry: used in sentences and for copies */
    const struct em_opens_entry *entry;
    const struct em_opens *rule;
};

struct em_openings {
    EM_VEC(struct em_opening);
};

/* Empty if no rule fits the object and it has no note. tree is where object->path can be read. */
int em_openings_of(struct em_openings *openings, struct em_arena *arena, const struct em_knowledge *knowledge,
                   struct em_tree *tree, const char *path, const struct em_object *object, struct em_diagnose_cache *cache,
                   uint64_t *bytes_read, struct em_error *error);

#endif
