/* parts.h: what a new wheel is made of, before any of it is written. Private to this room.
 *
 *     r = em_parts_collect(&parts, arena, rewrite, error)      in the order in which they will stand
 *
 * Each part is a member as it was, a member that is patched, a copy from elsewhere, a library or a licence, or text of ours: METADATA,
 * WHEEL, the bill of materials, RECORD. The last two have no text yet: what they say is known when the others are written.
 * Payload as it was ordered, then what is new, then .dist-info, RECORD last (binary distribution format, "Recommended archiver
 * features"). What is new is in the order of the plan, which is that of requests, not of a directory. Directories and signatures
 * stay out: those say nothing that files do not, these sign what is no longer so.
 */
#ifndef EM_BUNDLE_WHEEL_PARTS_H
#define EM_BUNDLE_WHEEL_PARTS_H

#include "bundle/wheel/repack.h"

struct em_part {
    const char *name; /* in the new wheel */
    struct em_zip_member *member;
    const struct em_step *step; /* the first for this file: an edit of member, a copy, the bill of materials */
    struct em_edits edits;      /* of step's file */
    struct em_bytes text;       /* data NULL: none */
    bool in_dist_info, is_record, is_sbom;

    struct em_sha256 sha256;
    bool has_sha256; /* false: the old RECORD's row holds */
    uint64_t size;
    struct em_zip_learned *learned; /* of its stream; NULL: nothing */
};

struct em_parts {
    EM_VEC(struct em_part);
};

/* All lives in arena but what is of the wheel or the plan. */
int em_parts_collect(struct em_parts *parts, struct em_arena *arena, const struct em_rewrite *rewrite, struct em_error *error);

#endif
