/* abi.h: EI_OSABI by the names that patchelf has for it, in any case of letters. */
#ifndef EM_CLI_ABI_H
#define EM_CLI_ABI_H

#include "base/base.h"

bool em_abi_number(const char *name, uint8_t *number);
/* "Linux"; "0x2A" is made in the arena for a number without a name. */
const char *em_abi_name(struct em_arena *arena, uint8_t number);

#endif
