/* unpack.h: the libraries of a container, as files of ours. For this room only.
 *
 * What is unpacked: regular members with a library's name, RECORD, METADATA and licence files of a .dist-info, and conda's own lists. Names are
 * taken for what they are, somebody else's: one that is absolute, climbs, is empty or holds a control character makes the whole
 * container refused, wanted or not. A link is made at the end, and only if it leads to a member; nothing is ever written through
 * one. Of two members with one name neither is believed.
 *
 *     struct em_unpack unpack = { .label = place, .root = fd of an empty directory, .limit = ..., ... };
 *     r = em_unpack_member(&unpack, archive, entry)      for each member, in any order
 *     r = em_unpack_end(&unpack)                         links
 *
 * Errors: EM_REFUSED for what no honest container has, EM_BAD_ZIP for one that cannot be read to its end, EM_IO, EM_LIMIT.
 */
#ifndef EM_BUNDLE_SOURCE_UNPACK_H
#define EM_BUNDLE_SOURCE_UNPACK_H

#include "bundle/source/inside.h"
#include "bundle/source/libarchive.h"

struct em_unpack_link {
    const char *path, *target; /* both relative to the root, normal */
    bool is_hard;
};

struct em_unpack {
    struct em_arena *arena;
    struct em_error *error;
    const char *label; /* the container as the user named it */
    int root;
    bool is_image;         /* .deb, .rpm: an absolute link counts from the container's root */
    bool is_wheel;         /* which has no links at all */
    uint64_t limit, total; /* bytes of all members */
    size_t members, libraries;
    struct {
        EM_VEC(struct em_unpack_link);
    } links;
};

int em_unpack_member(struct em_unpack *unpack, struct archive *archive, struct archive_entry *entry);
int em_unpack_end(struct em_unpack *unpack);

/* conda.c: conda's digests (info/paths.json) as a RECORD, and its name and version (info/index.json) as METADATA, so that what
 * follows has one kind of list to go by. Nothing if root is no conda package. */
int em_unpack_conda(struct em_arena *arena, int root, const char *label, struct em_error *error);

#endif
