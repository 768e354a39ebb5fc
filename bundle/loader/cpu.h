/* cpu.h: what this machine's processor adds to a search: the subdirectories that glibc tries first, and $PLATFORM.
 */
#ifndef EM_BUNDLE_LOADER_CPU_H
#define EM_BUNDLE_LOADER_CPU_H

#include "base/base.h"

/* Of an x86-64 processor: 1 to 4. 0 elsewhere. */
unsigned em_cpu_level(void);

/* Subdirectories that glibc 2.minor tries before each directory, best first; without a slash at the end. */
int em_cpu_hwcaps(struct em_arena *arena, struct em_strings *hwcaps, uint16_t machine, unsigned minor);

/* AT_PLATFORM, as glibc sees it; NULL: it has none. */
const char *em_cpu_platform(uint16_t machine);

#endif
