/* tags.h: what a wheel's name promises of the glibc that it runs on.
 *
 * "manylinux_2_17_x86_64" promises every machine with glibc 2.17 (PEP 600; manylinux1, 2010 and 2014 are 2.5, 2.12 and 2.17). A library
 * that comes into a wheel may need a newer one, by the versions that it asks of libc. Then the promise is taken back: installers
 * would put the wheel on machines where it does not load. linux_* and musllinux promise no glibc and stay as they are.
 */
#ifndef EM_BUNDLE_WHEEL_TAGS_H
#define EM_BUNDLE_WHEEL_TAGS_H

#include "base/base.h"
#include "patcher/patcher.h"

/* The 17 of the newest GLIBC_2.17 that it asks for; 0: none. */
unsigned em_tags_glibc(const struct em_object *object);

/* tags ("cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64") without platforms of an older glibc than 2.minor; where none would
 * be left, manylinux_2_minor for the same machine. tags itself if it promises nothing that does not hold. NULL: no memory. */
const char *em_tags_hold(struct em_arena *arena, const char *tags, unsigned minor);

#endif
