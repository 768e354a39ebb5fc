/* listing.h: the libraries that a container holds, by their paths in it, and the links to them. For this room only.
 *
 * It lies beside what is unpacked, a line a member with tabs between, so that the next run need not read the container to know what is
 * in it. What a library calls itself (SONAME) is known only of those that somebody has looked into.
 *
 * Errors: EM_BAD_RECORD for a listing that we did not write, EM_IO.
 */
#ifndef EM_BUNDLE_SOURCE_LISTING_H
#define EM_BUNDLE_SOURCE_LISTING_H

#include "base/base.h"

#define EM_MEMBER_SIZE_UNKNOWN UINT64_MAX

struct em_member {
    enum em_member_kind { EM_MEMBER_FILE, EM_MEMBER_LINK, EM_MEMBER_HARD } kind;
    const char *path;   /* contained, normal */
    const char *target; /* of a link, relative to the container's root, normal; else NULL */
    uint64_t size;      /* of a file */
    const char *soname; /* "": it has none; NULL: not looked into */
    bool wanted;        /* by somebody in this run */
    bool missing;       /* wanted, and not unpacked yet */
    bool is_candidate;
};

struct em_listing {
    EM_VEC(struct em_member *);
    struct em_map by_path;
};

/* EM_REFUSED without a sentence: a member of that path is there. */
int em_listing_add(struct em_listing *listing, struct em_arena *arena, const struct em_member *member);
int em_listing_read(struct em_listing *listing, struct em_arena *arena, int directory, const char *label,
                    struct em_error *error);
/* Appears whole, or not at all. */
int em_listing_write(const struct em_listing *listing, struct em_arena *arena, int directory, const char *label,
                     struct em_error *error);

/* A file name by which a library of that name may go: "libx.so.9.10.2" and "libx.so" for libx.so.9. */
bool em_member_may_answer(const char *file_name, const char *name);

#endif
