/* listing.h: the libraries that a container holds, by their paths in it, and the links to them. For this room only.
 *
 * It lies beside what is unpacked, a line a member with tabs between, so that the next run need not read the container to know what is
 * in it. What a library calls itself (SONAME) is known only of those that somebody has looked into, and its digest of those that were
 * unpacked. Papers are the other files that are there, RECORD and METADATA among them. Nothing of all this is synced, which would take
 * longer than to unpack it again: after a power failure any of it may be cut off, or full of zeros. So the listing ends with a digest of
 * itself, and a file is what it was if it has the digest that stands there.
 *
 * Errors: EM_BAD_RECORD without a sentence for a listing that is not whole, or papers that are not what they were; EM_IO.
 */
#ifndef EM_BUNDLE_SOURCE_LISTING_H
#define EM_BUNDLE_SOURCE_LISTING_H

#include "base/base.h"

#define EM_LISTING_FILES "files"
#define EM_MEMBER_SIZE_UNKNOWN UINT64_MAX

struct em_member {
    enum em_member_kind { EM_MEMBER_FILE, EM_MEMBER_LINK, EM_MEMBER_HARD } kind;
    const char *path;   /* contained, normal */
    const char *target; /* of a link, relative to the container's root, normal; else NULL */
    uint64_t size;      /* of a file */
    const char *soname; /* "": it has none; NULL: not looked into */
    bool has_digest;    /* a file that was unpacked */
    struct em_xxh3 digest;
    bool wanted;   /* by somebody in this run */
    bool missing;  /* wanted, and not unpacked yet */
    bool is_sound; /* unpacked, and seen to be so in this run */
    bool is_candidate;
};

struct em_paper {
    const char *path; /* contained, normal */
    struct em_xxh3 digest;
};

struct em_listing {
    EM_VEC(struct em_member *);
    struct em_map by_path;
    struct {
        EM_VEC(struct em_paper);
    } papers;
};

/* EM_REFUSED without a sentence: a member of that path is there. */
int em_listing_add(struct em_listing *listing, struct em_arena *arena, const struct em_member *member);
/* Of the directory that has "list" and "files" in it. */
int em_listing_read(struct em_listing *listing, struct em_arena *arena, int directory, struct em_error *error);
/* Appears whole, or not at all; but see above. */
int em_listing_write(const struct em_listing *listing, struct em_arena *arena, int directory, const char *label,
                     struct em_error *error);

/* A paper as it is now, in the directory root; what is not there any more is none. */
int em_listing_add_paper(struct em_listing *listing, struct em_arena *arena, int root, const char *path,
                         struct em_error *error);
/* The digest of a regular file below root. */
int em_listing_digest(int root, const char *path, struct em_xxh3 *digest, struct em_error *error);
bool em_listing_is_sound(int root, const char *path, const struct em_xxh3 *digest);

/* A file name by which a library of that name may go: "libx.so.9.10.2" and "libx.so" for libx.so.9. */
bool em_member_may_answer(const char *file_name, const char *name);

#endif
