/* tags.h: what the value of a dynamic entry is. For this room only.
 *
 * An edit that moves a table must change every address that leads into it, and an edit of .dynstr must know every string that is
 * in use. A tag that is not in our table may be either: nothing moves from under it, and what it may refer to counts as in use.
 */
#ifndef EM_PATCHER_TAGS_H
#define EM_PATCHER_TAGS_H

#include <stdint.h>

enum em_tag_kind {
    EM_TAG_IS_VALUE,
    EM_TAG_IS_ADDRESS,
    EM_TAG_IS_STRING,
    EM_TAG_IS_UNKNOWN,
};

#define EM_DT_ANDROID_REL 0x6000000fu
#define EM_DT_ANDROID_RELSZ 0x60000010u
#define EM_DT_ANDROID_RELA 0x60000011u
#define EM_DT_ANDROID_RELASZ 0x60000012u
#define EM_DT_ANDROID_RELR 0x6fffe000u
#define EM_DT_ANDROID_RELRSZ 0x6fffe001u
#define EM_DT_ANDROID_RELRENT 0x6fffe003u
#define EM_DT_MIPS_RLD_MAP_REL 0x70000035u /* relative to the address of its own entry */
#define EM_DT_MIPS_XHASH 0x70000036u

enum em_tag_kind em_tag_kind(uint16_t machine, uint64_t tag);

/* The largest page that a kernel of that machine may use: segments must not share one in memory. */
uint64_t em_machine_page(uint16_t machine);

#endif
