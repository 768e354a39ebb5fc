#include "cli/abi.h"

#include <string.h>

/* gABI chapter 4, "ELF Identification"; the first name of a number is the one that is printed, the others are patchelf's aliases. */
static const struct {
    const char *name;
    uint8_t number;
} abis[] = {
    { "System V", 0 }, { "HP-UX", 1 },    { "NetBSD", 2 },   { "Linux", 3 },    { "GNU Hurd", 4 },
    { "Solaris", 6 },  { "AIX", 7 },      { "IRIX", 8 },     { "FreeBSD", 9 },  { "Tru64", 10 },
    { "OpenBSD", 12 }, { "OpenVMS", 13 }, { "system-v", 0 }, { "System-V", 0 }, { "Hurd", 4 },
};

bool em_abi_number(const char *name, uint8_t *number)
{
    for (size_t i = 0; i < sizeof abis / sizeof *abis; i++)
        if (strcasecmp(abis[i].name, name) == 0) {
            *number = abis[i].number;
            return true;
        }
    return false;
}

const char *em_abi_name(struct em_arena *arena, uint8_t number)
{
    const char *made;

    for (size_t i = 0; i < sizeof abis / sizeof *abis; i++)
        if (abis[i].number == number)
            return abis[i].name;
    made = em_arena_printf(arena, "0x%02X", number);
    return made ? made : "unknown";
}
