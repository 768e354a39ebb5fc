/* strings.h: places in .dynstr for the strings of a goal. For this room only.
 *
 * Rungs 1 and 2 of the ladder. Precondition of both: we know every reference into .dynstr. Those are the string entries of the dynamic
 * section, the names of dynamic symbols and of versions; linkers let a string share the tail of another, so each reference keeps
 * everything from its offset to the next NUL. What no reference keeps is free: an RPATH that was replaced, or slack.
 *
 *     reuse      the wanted string is there, at any offset, in use or not: the entry points at it
 *     overwrite  it fits into free bytes
 *
 * What is left is appended. Free bytes at the very end count as room, so a longer string in place of the last one costs the
 * difference. Where the table is not ours alone (another section, or section names, use it), nothing in it is free.
 */
#ifndef EM_PATCHER_STRINGS_H
#define EM_PATCHER_STRINGS_H

#include "patcher/goal.h"

struct em_placement {
    bool reused, overwritten;
    uint64_t appended_at; /* in .dynstr */
    uint8_t *appended;    /* what goes there; the table's new size is at least appended_at + appended_size */
    size_t appended_size, appended_capacity;
    struct {
        EM_VEC(struct em_change);
    } overwrites; /* in .dynstr as it was: offsets of the file */
};

enum em_old_strings {
    EM_OLD_FREE, /* what no reference will keep is room */
    EM_OLD_WIPE, /* and search paths that are not used any more become X */
    EM_OLD_KEEP, /* strings that the object refers to now keep their bytes until the next edit */
};

/* allowed: bits of enum em_rung, REUSE and OVERWRITE count. Fills in goal->strings[].offset. */
int em_strings_place(struct em_placement *placement, struct em_goal *goal, uint32_t allowed, enum em_old_strings old,
                     struct em_error *error);

#endif
