#include "cli/patchelf_words.h"

#include <stddef.h>
#include <string.h>

/* ours: a part of the sentence by which no other is meant. */
static const struct {
    const char *ours, *theirs;
} table[] = {
    { "cannot find an interpreter", "cannot find section '.interp'. The input file is most likely statically linked" },
    { "has no interpreter", "cannot find section '.interp'. The input file is most likely statically linked" },
    { "cannot find a dynamic section", "cannot find section '.dynamic'. The input file is most likely statically linked" },
    { "has no dynamic section to edit", "cannot find section '.dynamic'. The input file is most likely statically linked" },
    { "is no ELF object", "not an ELF executable" },
    { "shorter than an ELF header", "missing ELF header" },
    { "only 1 exists", "unsupported ELF version" },
    { "neither ELF32 nor ELF64", "ELF executable is not 32 or 64 bit" },
    { "program headers lead beyond its end", "program header table out of bounds" },
    { "program headers, more than", "program header table out of bounds" },
    { "has program headers of", "program headers have wrong size" },
    { "has section headers of", "section headers have wrong size" },
    { "section headers lead beyond its end", "section header table out of bounds" },
    { "section headers lie beyond its end", "section header table out of bounds" },
    { "keeps its section names in section", "string table index out of bounds" },
    { "section names that lead beyond", "data region extends past file end" },
    { "empty table of section names", "string table size is zero" },
    { "section names without a NUL", "string table is not zero terminated" },
    { "whose name lies outside", "section name offset out of bounds" },
    { "by the section headers, beyond its end", "data offset extends past file end" },
    { "by the section headers, where it is not aligned", "section content is not naturally aligned" },
    { "of its dynamic string table, which has", "string table index out of bounds" },
    { "dynamic string table without a NUL", "string table is not NUL-terminated" },
    { "a dynamic string that does not end", "string table is not NUL-terminated" },
    { "dynamic section without an end", "setSubstr: write extends past end of section" },
    { "GNU hash table", ".gnu.hash table header out of range" },
    { "hash table (DT_HASH)", ".hash table header out of range" },
    { "needs a number of bytes", "invalid argument to --page-size" },
};

const char *em_patchelf_words(const char *sentence)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strstr(sentence, table[i].ours))
            return table[i].theirs;
    return NULL;
}
