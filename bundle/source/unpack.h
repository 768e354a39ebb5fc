/* unpack.h: one pass over a container: what it holds is listed, and the libraries that are wanted become files of ours. For this room
 * only.
 *
 * Taken in the first pass are the listing of all libraries and of links with a library's name, and the small files that vouch for them:
 * RECORD, METADATA and licence files of a .dist-info, conda's and Debian's own lists. Names are taken for what they are, somebody
 * else's: one that is absolute, climbs, is empty or holds a control character makes the whole container refused, wanted or not, and so
 * do a link that leads out of it, two members of one name, and sizes beyond all measure. Nothing is ever written through a link.
 *
 * A library is written under a name of no meaning first and appears under its own when it is whole, so that two runs may unpack the
 * same at once. A member that is not wanted is passed over (archive.h); a later pass ends with the last one that is.
 *
 *     struct em_unpack unpack = { .label = place, .kept = fd, .root = fd, .listing = &listing, .names = names, ... };
 *     r = em_archive_each(fd, place, em_unpack_member, &unpack, error)
 *     r = em_unpack_links(&unpack)                       of what is there by now
 *
 * A wheel's libraries are inflated by the room of trees: twice as fast, and what is learned of them on the way, their digests too, is
 * remembered for who rewrites a wheel out of this one (bundle/tree/zip.h).
 *
 * Errors: EM_REFUSED for what no honest container has, EM_BAD_ZIP for one that cannot be read to its end, EM_IO, EM_LIMIT.
 */
#ifndef EM_BUNDLE_SOURCE_UNPACK_H
#define EM_BUNDLE_SOURCE_UNPACK_H

#include "bundle/source/archive.h"
#include "bundle/source/listing.h"
#include "bundle/tree/zip.h"

struct em_unpack {
    struct em_arena *arena;
    struct em_error *error;
    const char *label;              /* the container as the user named it */
    int kept, root;                 /* its directory in the cache, and EM_LISTING_FILES in that */
    bool is_first;                  /* the pass that makes the listing */
    bool is_image;                  /* .deb, .rpm: an absolute link counts from the container's root */
    struct em_zip *zip;             /* a wheel, as the room of trees reads it; NULL: it is none */
    bool deep;                      /* libraries of any file name, if they call themselves by one of the names */
    const struct em_strings *names; /* NULL: all libraries are wanted */
    uint64_t limit, total;          /* bytes of all members */
    size_t members, left;           /* left: members that a later pass still has to meet */
    struct em_listing *listing;
    size_t records;             /* RECORDs that came with the files */
    struct em_strings papers;   /* small files that were written: what vouches, licences */
    struct em_strings licences; /* of a package that is no distribution, where they were unpacked */
};

em_archive_visit em_unpack_member; /* context: struct em_unpack */
int em_unpack_links(struct em_unpack *unpack);

#endif
