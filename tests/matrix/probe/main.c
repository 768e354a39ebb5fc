/* main.c: a program under test. main WHICH ALIAS SUB SPARE INTERPRETER ("-" for none): prints what went wrong, exits 0 if nothing did. */
#include "probe.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first object is the program; its own headers, as they are in memory, name the interpreter that it was started with. */
static int see(struct dl_phdr_info *info, size_t size, void *interpreter)
{
    const char *name = "-";

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            name = (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    return strcmp(name, interpreter) == 0 ? 1 : -1;
}

int main(int argc, char **argv)
{
    struct expected expected;
    const char *wrong;

    if (argc != 6)
        return 2;
    expected = (struct expected){ atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), atoi(argv[4]) };
    wrong = dl_iterate_phdr(see, argv[5]) == 1 ? probe(&expected) : "another interpreter in memory";
    if (!wrong)
        return 0;
    puts(wrong);
    return 1;
}
