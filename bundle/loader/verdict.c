/* verdict.c: what a loader says of a file when it has opened it, before it knows who asks. */
#include "bundle/loader/room.h"

#include <string.h>

/* Highest EI_ABIVERSION of ELFOSABI_GNU that glibc knows: unique symbols, absolute symbols (libc-abis). */
#define GNU_ABI_LAST 3

static enum verdict decide(struct loadable *file, enum verdict verdict, const char *why)
{
    file->verdict = verdict;
    file->why = why;
    return verdict;
}

static uint16_t half(const struct em_loader *loader, const struct loadable *file, size_t offset)
{
    uint16_t value = 0;

    em_bytes_u16((struct em_bytes){ file->header, file->header_size }, offset, loader->world->big_endian, &value);
    return value;
}

/* elf_machine_matches_host: most look at e_machine alone; these at the ABI in e_flags too. */
static bool machine_matches(const struct em_loader *loader, const struct loadable *file)
{
    uint16_t machine = half(loader, file, 18), ours = loader->world->machine;

    if (machine != ours)
        return false;
    if (ours == EM_PPC64 && file->base.code == EM_OK)
        return (file->base.object.flags & 3) != (loader->world->big_endian ? 2u : 1u);
    return true;
}

/* open_verify in elf/dl-load.c, up to the point where only the type is left. Class and machine of another kind are passed over in
 * silence; anything else that is odd ends the search, since "there may be something wrong in the installation". */
static enum verdict judge_header(const struct em_loader *loader, struct loadable *file)
{
    const struct em_world *world = loader->world;
    const uint8_t *ident = file->header;
    size_t header_size = world->is64 ? 64 : 52;
    bool gnu = ident[EI_OSABI] == ELFOSABI_GNU;
    static const uint8_t padding[EI_NIDENT - EI_PAD];
    uint32_t version = 0;
    bool odd;

    if (file->base.node.kind == EM_NODE_DIRECTORY)
        return decide(file, VERDICT_FATAL, "cannot read file data: Is a directory");
    if (file->header_size < header_size)
        return decide(file, VERDICT_FATAL, "file too short");
    if (memcmp(ident, ELFMAG, SELFMAG) != 0)
        return decide(file, VERDICT_FATAL, "invalid ELF header");
    odd = ident[EI_DATA] != (world->big_endian ? ELFDATA2MSB : ELFDATA2LSB) || ident[EI_VERSION] != EV_CURRENT ||
          (ident[EI_OSABI] != ELFOSABI_SYSV && !gnu) ||
          (ident[EI_ABIVERSION] != 0 && !(gnu && ident[EI_ABIVERSION] <= GNU_ABI_LAST)) ||
          memcmp(ident + EI_PAD, padding, sizeof padding) != 0;
    if (ident[EI_CLASS] != (world->is64 ? ELFCLASS64 : ELFCLASS32))
        return decide(file, VERDICT_SKIP, world->is64 ? "wrong ELF class: ELFCLASS32" : "wrong ELF class: ELFCLASS64");
    if (odd && !machine_matches(loader, file))
        return decide(file, VERDICT_SKIP, "is for another machine");
    if (ident[EI_DATA] != (world->big_endian ? ELFDATA2MSB : ELFDATA2LSB))
        return decide(file, VERDICT_FATAL,
                      world->big_endian ? "ELF file data encoding not big-endian" : "ELF file data encoding not little-endian");
    if (ident[EI_VERSION] != EV_CURRENT)
        return decide(file, VERDICT_FATAL, "ELF file version ident does not match current one");
    if (ident[EI_OSABI] != ELFOSABI_SYSV && !gnu)
        return decide(file, VERDICT_FATAL, "ELF file OS ABI invalid");
    if (ident[EI_ABIVERSION] != 0 && !(gnu && ident[EI_ABIVERSION] <= GNU_ABI_LAST))
        return decide(file, VERDICT_FATAL, "ELF file ABI version invalid");
    if (odd)
        return decide(file, VERDICT_FATAL, "nonzero padding in e_ident");
    em_bytes_u32((struct em_bytes){ file->header, file->header_size }, 20, world->big_endian, &version);
    if (version != EV_CURRENT)
        return decide(file, VERDICT_FATAL, "ELF file version does not match current one");
    if (!machine_matches(loader, file))
        return decide(file, VERDICT_SKIP, "is for another machine");
    return VERDICT_TAKE;
}

void em_glibc_judge(const struct em_loader *loader, struct loadable *file)
{
    const struct em_object *object = &file->base.object;
    uint16_t type, entry_size;

    if (judge_header(loader, file) != VERDICT_TAKE)
        return;
    type = half(loader, file, 16);
    entry_size = half(loader, file, loader->world->is64 ? 54 : 42);
    if (type != ET_DYN && type != ET_EXEC)
        decide(file, VERDICT_FATAL, "only ET_DYN and ET_EXEC can be loaded");
    else if (entry_size != (loader->world->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
        decide(file, VERDICT_FATAL, "ELF file's phentsize not the expected size");
    else if (file->base.code != EM_OK)
        decide(file, VERDICT_FATAL, file->base.problem);
    /* From here on _dl_map_object_from_fd. */
    else if (object->page_incongruent)
        decide(file, VERDICT_FATAL, "ELF load command address/offset not page-aligned");
    else if (!object->has_load)
        decide(file, VERDICT_FATAL, "object file has no loadable segments");
    else if (type != ET_DYN)
        decide(file, VERDICT_FATAL, "cannot dynamically load executable");
    else if (!object->has_dynamic)
        decide(file, VERDICT_FATAL, "object file has no dynamic section");
    else if (object->dt_flags_1 & DF_1_PIE)
        decide(file, VERDICT_FATAL, "cannot dynamically load position-independent executable");
}

/* map_library in ldso/dynlink.c: what it cannot map is ENOEXEC, and nobody looks further. Class, machine and ET_EXEC go through, and
 * the process crashes later: refused is the nearest that we have. */
void em_musl_judge(const struct em_loader *loader, struct loadable *file)
{
    const struct em_object *object = &file->base.object;

    if (file->base.node.kind == EM_NODE_DIRECTORY)
        decide(file, VERDICT_FATAL, "Is a directory");
    else if (file->base.code == EM_NOT_ELF)
        decide(file, VERDICT_FATAL, "Exec format error");
    else if (file->base.code != EM_OK)
        decide(file, VERDICT_FATAL, file->base.problem);
    else if (object->is64 != loader->world->is64 || object->machine != loader->world->machine)
        decide(file, VERDICT_FATAL, "is for another machine, and musl does not look: the process would crash");
    else if (object->type != ET_DYN && object->type != ET_EXEC)
        decide(file, VERDICT_FATAL, "Exec format error");
    else if (!object->has_dynamic || !object->has_load)
        decide(file, VERDICT_FATAL, "Exec format error");
}
