#include "patcher/tags.h"

#include <elf.h>
#include <stddef.h>

struct range {
    uint32_t low, high;
    enum em_tag_kind kind;
};

/* gABI chapter 5, "Dynamic Array Tags", and the GNU, Sun and Android additions; sorted by nothing, looked up by walking. */
static const struct range common[] = {
    { DT_NULL, DT_NULL, EM_TAG_IS_VALUE },
    { DT_NEEDED, DT_NEEDED, EM_TAG_IS_STRING },
    { DT_PLTRELSZ, DT_PLTRELSZ, EM_TAG_IS_VALUE },
    { DT_PLTGOT, DT_RELA, EM_TAG_IS_ADDRESS }, /* PLTGOT HASH STRTAB SYMTAB RELA */
    { DT_RELASZ, DT_SYMENT, EM_TAG_IS_VALUE }, /* RELASZ RELAENT STRSZ SYMENT */
    { DT_INIT, DT_FINI, EM_TAG_IS_ADDRESS },
    { DT_SONAME, DT_RPATH, EM_TAG_IS_STRING },
    { DT_SYMBOLIC, DT_SYMBOLIC, EM_TAG_IS_VALUE },
    { DT_REL, DT_REL, EM_TAG_IS_ADDRESS },
    { DT_RELSZ, DT_PLTREL, EM_TAG_IS_VALUE },  /* RELSZ RELENT PLTREL */
    { DT_DEBUG, DT_TEXTREL, EM_TAG_IS_VALUE }, /* DT_DEBUG is written at run time */
    { DT_JMPREL, DT_JMPREL, EM_TAG_IS_ADDRESS },
    { DT_BIND_NOW, DT_BIND_NOW, EM_TAG_IS_VALUE },
    { DT_INIT_ARRAY, DT_FINI_ARRAY, EM_TAG_IS_ADDRESS },
    { DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ, EM_TAG_IS_VALUE },
    { DT_RUNPATH, DT_RUNPATH, EM_TAG_IS_STRING },
    { DT_FLAGS, DT_FLAGS, EM_TAG_IS_VALUE },
    { DT_PREINIT_ARRAY, DT_PREINIT_ARRAY, EM_TAG_IS_ADDRESS },
    { DT_PREINIT_ARRAYSZ, DT_PREINIT_ARRAYSZ, EM_TAG_IS_VALUE },
    { DT_SYMTAB_SHNDX, DT_SYMTAB_SHNDX, EM_TAG_IS_ADDRESS },
    { 35, 35, EM_TAG_IS_VALUE },   /* DT_RELRSZ */
    { 36, 36, EM_TAG_IS_ADDRESS }, /* DT_RELR */
    { 37, 37, EM_TAG_IS_VALUE },   /* DT_RELRENT */
    { EM_DT_ANDROID_REL, EM_DT_ANDROID_REL, EM_TAG_IS_ADDRESS },
    { EM_DT_ANDROID_RELSZ, EM_DT_ANDROID_RELSZ, EM_TAG_IS_VALUE },
    { EM_DT_ANDROID_RELA, EM_DT_ANDROID_RELA, EM_TAG_IS_ADDRESS },
    { EM_DT_ANDROID_RELASZ, EM_DT_ANDROID_RELASZ, EM_TAG_IS_VALUE },
    { EM_DT_ANDROID_RELR, EM_DT_ANDROID_RELR, EM_TAG_IS_ADDRESS },
    { EM_DT_ANDROID_RELRSZ, EM_DT_ANDROID_RELRENT, EM_TAG_IS_VALUE },
    { DT_VALRNGLO, DT_VALRNGHI, EM_TAG_IS_VALUE },
    { DT_CONFIG, DT_AUDIT, EM_TAG_IS_STRING }, /* CONFIG DEPAUDIT AUDIT, inside of the address range */
    { DT_ADDRRNGLO, DT_ADDRRNGHI, EM_TAG_IS_ADDRESS },
    { DT_VERSYM, DT_VERSYM, EM_TAG_IS_ADDRESS },
    { DT_RELACOUNT, DT_FLAGS_1, EM_TAG_IS_VALUE }, /* RELACOUNT RELCOUNT FLAGS_1 */
    { DT_VERDEF, DT_VERDEF, EM_TAG_IS_ADDRESS },
    { DT_VERDEFNUM, DT_VERDEFNUM, EM_TAG_IS_VALUE },
    { DT_VERNEED, DT_VERNEED, EM_TAG_IS_ADDRESS },
    { DT_VERNEEDNUM, DT_VERNEEDNUM, EM_TAG_IS_VALUE },
    { DT_AUXILIARY, DT_FILTER, EM_TAG_IS_STRING }, /* AUXILIARY USED FILTER */
};

/* Processor supplements; the same number means different things. */
static const struct range mips[] = {
    { DT_MIPS_RLD_VERSION, DT_MIPS_ICHECKSUM, EM_TAG_IS_VALUE },
    { DT_MIPS_IVERSION, DT_MIPS_IVERSION, EM_TAG_IS_STRING },
    { DT_MIPS_FLAGS, DT_MIPS_FLAGS, EM_TAG_IS_VALUE },
    { DT_MIPS_BASE_ADDRESS, DT_MIPS_BASE_ADDRESS, EM_TAG_IS_ADDRESS },
    { DT_MIPS_CONFLICT, DT_MIPS_LIBLIST, EM_TAG_IS_ADDRESS },
    { DT_MIPS_LOCAL_GOTNO, DT_MIPS_HIPAGENO, EM_TAG_IS_VALUE },
    { DT_MIPS_RLD_MAP, DT_MIPS_RLD_MAP, EM_TAG_IS_ADDRESS },
    { DT_MIPS_PLTGOT, DT_MIPS_PLTGOT, EM_TAG_IS_ADDRESS },
    { DT_MIPS_RWPLT, DT_MIPS_RWPLT, EM_TAG_IS_ADDRESS },
    { EM_DT_MIPS_RLD_MAP_REL, EM_DT_MIPS_RLD_MAP_REL, EM_TAG_IS_VALUE },
    { EM_DT_MIPS_XHASH, EM_DT_MIPS_XHASH, EM_TAG_IS_ADDRESS },
};
static const struct range ppc64[] = {
    { DT_PPC64_GLINK, DT_PPC64_OPD, EM_TAG_IS_ADDRESS },
    { DT_PPC64_OPDSZ, DT_PPC64_OPT, EM_TAG_IS_VALUE },
};
static const struct range ppc[] = {
    { DT_PPC_GOT, DT_PPC_GOT, EM_TAG_IS_ADDRESS },
    { DT_PPC_OPT, DT_PPC_OPT, EM_TAG_IS_VALUE },
};
static const struct range x86_64[] = {
    { 0x70000000, 0x70000000, EM_TAG_IS_ADDRESS }, /* DT_X86_64_PLT */
    { 0x70000001, 0x70000003, EM_TAG_IS_VALUE },   /* PLTSZ, PLTENT */
};
static const struct range aarch64[] = { { 0x70000001, 0x70000005, EM_TAG_IS_VALUE } }; /* BTI_PLT PAC_PLT VARIANT_PCS */
static const struct range riscv[] = { { 0x70000001, 0x70000001, EM_TAG_IS_VALUE } };   /* VARIANT_CC */

#define TABLE(name) name, sizeof name / sizeof *name

static const struct {
    uint16_t machine;
    const struct range *ranges;
    size_t count;
} machines[] = {
    { EM_MIPS, TABLE(mips) },     { EM_PPC64, TABLE(ppc64) },     { EM_PPC, TABLE(ppc) },
    { EM_X86_64, TABLE(x86_64) }, { EM_AARCH64, TABLE(aarch64) }, { EM_RISCV, TABLE(riscv) },
};

static enum em_tag_kind look_up(const struct range *ranges, size_t count, uint64_t tag)
{
    for (size_t i = 0; i < count; i++)
        if (tag >= ranges[i].low && tag <= ranges[i].high)
            return ranges[i].kind;
    return EM_TAG_IS_UNKNOWN;
}

enum em_tag_kind em_tag_kind(uint16_t machine, uint64_t tag)
{
    enum em_tag_kind kind = look_up(TABLE(common), tag);

    for (size_t i = 0; kind == EM_TAG_IS_UNKNOWN && i < sizeof machines / sizeof *machines; i++)
        if (machines[i].machine == machine)
            kind = look_up(machines[i].ranges, machines[i].count, tag);
    return kind;
}

uint64_t em_machine_page(uint16_t machine)
{
    switch (machine) {
    case EM_AARCH64:
    case EM_PPC:
    case EM_PPC64:
    case EM_MIPS:
    case EM_IA_64:
    case EM_ALPHA:
    case EM_LOONGARCH:
    case EM_PARISC: return 65536;
    case EM_SPARC:
    case EM_SPARC32PLUS:
    case EM_SPARCV9: return 8192;
    default: return 4096;
    }
}
