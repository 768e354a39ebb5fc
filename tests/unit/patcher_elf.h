/* patcher_elf.h: a small shared object in memory, of any class and byte order, so that machines need no cross compiler and broken files
 * need no broken linker.
 *
 * One read-only segment with headers, symbols, strings, hash, versions; one writable segment with the dynamic section and slots to
 * spare; section headers if asked for. Where things are is in the struct, so that a test can break them.
 */
#ifndef EM_TESTS_PATCHER_ELF_H
#define EM_TESTS_PATCHER_ELF_H

#include "base/base.h"

#include <elf.h>
#include <string.h>

#define TINY_SIZE 8192u
#define TINY_DYNAMIC 0x1000u

struct tiny {
    bool is64, big_endian, no_sections;
    uint16_t machine;
    size_t spare; /* DT_NULLs behind the first */
    uint8_t bytes[TINY_SIZE];
    size_t size;
    size_t phdrs, phnum, shdrs, shnum;
    size_t dynstr, dynstr_size, dynsym, hash, verneed, versym, dynamic;
    size_t needed, soname, rpath; /* in dynstr */
};

static inline size_t tiny_word(const struct tiny *tiny)
{
    return tiny->is64 ? 8 : 4;
}

static inline void tiny_16(struct tiny *tiny, size_t at, uint64_t value)
{
    em_store_u16(tiny->bytes + at, tiny->big_endian, (uint16_t)value);
}

static inline void tiny_32(struct tiny *tiny, size_t at, uint64_t value)
{
    em_store_u32(tiny->bytes + at, tiny->big_endian, (uint32_t)value);
}

static inline void tiny_put(struct tiny *tiny, size_t at, uint64_t value)
{
    if (tiny->is64)
        em_store_u64(tiny->bytes + at, tiny->big_endian, value);
    else
        tiny_32(tiny, at, value);
}

static inline size_t tiny_string(struct tiny *tiny, const char *text)
{
    size_t at = tiny->dynstr_size;

    memcpy(tiny->bytes + tiny->dynstr + at, text, strlen(text) + 1);
    tiny->dynstr_size += strlen(text) + 1;
    return at;
}

static inline void tiny_phdr(struct tiny *tiny, uint32_t type, uint32_t flags, uint64_t offset, uint64_t addr, uint64_t size,
                             uint64_t align)
{
    size_t word = tiny_word(tiny), at = tiny->phdrs + tiny->phnum++ * (tiny->is64 ? 56 : 32);
    const uint64_t words[] = { offset, addr, addr, size, size };

    tiny_32(tiny, at, type);
    if (tiny->is64)
        tiny_32(tiny, at + 4, flags);
    at += word;
    for (size_t i = 0; i < 5; i++, at += word)
        tiny_put(tiny, at, words[i]);
    if (!tiny->is64) {
        tiny_32(tiny, at, flags);
        at += 4;
    }
    tiny_put(tiny, at, align);
}

static inline void tiny_dyn(struct tiny *tiny, size_t *at, uint64_t tag, uint64_t value)
{
    tiny_put(tiny, *at, tag);
    tiny_put(tiny, *at + tiny_word(tiny), value);
    *at += 2 * tiny_word(tiny);
}

static inline void tiny_shdr(struct tiny *tiny, uint32_t type, uint64_t flags, uint64_t addr, uint64_t offset, uint64_t size,
                             uint32_t link, uint32_t info, uint64_t align, uint64_t entry)
{
    size_t word = tiny_word(tiny), at = tiny->shdrs + tiny->shnum++ * (tiny->is64 ? 64 : 40);

    tiny_32(tiny, at + 4, type);
    tiny_put(tiny, at + 8, flags);
    tiny_put(tiny, at + 8 + word, addr);
    tiny_put(tiny, at + 8 + 2 * word, offset);
    tiny_put(tiny, at + 8 + 3 * word, size);
    tiny_32(tiny, at + 8 + 4 * word, link);
    tiny_32(tiny, at + 12 + 4 * word, info);
    tiny_put(tiny, at + 16 + 4 * word, align);
    tiny_put(tiny, at + 16 + 5 * word, entry);
}

static inline void tiny_tables(struct tiny *tiny)
{
    size_t symbol = tiny->is64 ? 24 : 16, name, version, at;

    tiny->dynstr = 0x200;
    tiny->dynstr_size = 1;
    tiny->needed = tiny_string(tiny, "libneeded.so.1");
    tiny->soname = tiny_string(tiny, "libtiny.so.2");
    tiny->rpath = tiny_string(tiny, "$ORIGIN/old");
    name = tiny_string(tiny, "dlopen");
    version = tiny_string(tiny, "NEEDED_1");
    tiny->dynsym = (tiny->dynstr + tiny->dynstr_size + 7) & ~(size_t)7;
    tiny_32(tiny, tiny->dynsym + symbol, name);
    tiny->bytes[tiny->dynsym + symbol + (tiny->is64 ? 4 : 12)] = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    tiny->versym = tiny->dynsym + 2 * symbol;
    tiny_16(tiny, tiny->versym + 2, 2);
    tiny->verneed = (tiny->versym + 4 + 7) & ~(size_t)7;
    tiny_16(tiny, tiny->verneed, 1);
    tiny_16(tiny, tiny->verneed + 2, 1);
    tiny_32(tiny, tiny->verneed + 4, tiny->needed);
    tiny_32(tiny, tiny->verneed + 8, 16);
    tiny_32(tiny, tiny->verneed + 16, 0x0da7a701);
    tiny_16(tiny, tiny->verneed + 22, 2);
    tiny_32(tiny, tiny->verneed + 24, version);
    tiny->hash = tiny->verneed + 32;
    at = tiny->hash;
    tiny_32(tiny, at, 1); /* one bucket, two chains */
    tiny_32(tiny, at + 4, 2);
    tiny_32(tiny, at + 8, 1);
}

static inline void tiny_sections(struct tiny *tiny, size_t dynamic_size)
{
    size_t symbol = tiny->is64 ? 24 : 16;

    tiny->shdrs = 0x1800;
    tiny->shnum = 0;
    tiny_shdr(tiny, SHT_NULL, 0, 0, 0, 0, 0, 0, 0, 0);
    tiny_shdr(tiny, SHT_STRTAB, SHF_ALLOC, tiny->dynstr, tiny->dynstr, tiny->dynstr_size, 0, 0, 1, 0);
    tiny_shdr(tiny, SHT_DYNSYM, SHF_ALLOC, tiny->dynsym, tiny->dynsym, 2 * symbol, 1, 1, 8, symbol);
    tiny_shdr(tiny, SHT_GNU_versym, SHF_ALLOC, tiny->versym, tiny->versym, 4, 2, 0, 2, 2);
    tiny_shdr(tiny, SHT_GNU_verneed, SHF_ALLOC, tiny->verneed, tiny->verneed, 32, 1, 1, 8, 0);
    tiny_shdr(tiny, SHT_HASH, SHF_ALLOC, tiny->hash, tiny->hash, 20, 2, 0, 4, 4);
    tiny_shdr(tiny, SHT_DYNAMIC, SHF_ALLOC | SHF_WRITE, tiny->dynamic, tiny->dynamic, dynamic_size, 1, 0, 8,
              2 * tiny_word(tiny));
    tiny->size = tiny->shdrs + tiny->shnum * (tiny->is64 ? 64 : 40);
}

/* Fills in everything but the fields in the struct's first two lines. */
static inline void tiny_build(struct tiny *tiny)
{
    size_t word = tiny_word(tiny), at, dynamic_size;

    memset(tiny->bytes, 0, sizeof tiny->bytes);
    tiny->phnum = tiny->shnum = 0;
    tiny->phdrs = tiny->is64 ? 64 : 52;
    tiny_tables(tiny);
    tiny->dynamic = at = TINY_DYNAMIC;
    tiny_dyn(tiny, &at, DT_NEEDED, tiny->needed);
    tiny_dyn(tiny, &at, DT_SONAME, tiny->soname);
    tiny_dyn(tiny, &at, DT_RUNPATH, tiny->rpath);
    tiny_dyn(tiny, &at, DT_HASH, tiny->hash);
    tiny_dyn(tiny, &at, DT_STRTAB, tiny->dynstr);
    tiny_dyn(tiny, &at, DT_STRSZ, tiny->dynstr_size);
    tiny_dyn(tiny, &at, DT_SYMTAB, tiny->dynsym);
    tiny_dyn(tiny, &at, DT_SYMENT, tiny->is64 ? 24 : 16);
    tiny_dyn(tiny, &at, DT_VERSYM, tiny->versym);
    tiny_dyn(tiny, &at, DT_VERNEED, tiny->verneed);
    tiny_dyn(tiny, &at, DT_VERNEEDNUM, 1);
    at += (1 + tiny->spare) * 2 * word;
    dynamic_size = at - tiny->dynamic;
    tiny->size = at;
    tiny_phdr(tiny, PT_LOAD, PF_R, 0, 0, tiny->hash + 20, 0x1000);
    tiny_phdr(tiny, PT_LOAD, PF_R | PF_W, TINY_DYNAMIC, TINY_DYNAMIC, dynamic_size, 0x1000);
    tiny_phdr(tiny, PT_DYNAMIC, PF_R | PF_W, TINY_DYNAMIC, TINY_DYNAMIC, dynamic_size, 8);
    tiny_phdr(tiny, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 16);
    if (!tiny->no_sections)
        tiny_sections(tiny, dynamic_size);
    memcpy(tiny->bytes, ELFMAG, SELFMAG);
    tiny->bytes[EI_CLASS] = tiny->is64 ? ELFCLASS64 : ELFCLASS32;
    tiny->bytes[EI_DATA] = tiny->big_endian ? ELFDATA2MSB : ELFDATA2LSB;
    tiny->bytes[EI_VERSION] = EV_CURRENT;
    tiny_16(tiny, 16, ET_DYN);
    tiny_16(tiny, 18, tiny->machine ? tiny->machine : EM_X86_64);
    tiny_32(tiny, 20, EV_CURRENT);
    tiny_put(tiny, 24 + word, tiny->phdrs);
    tiny_put(tiny, 24 + 2 * word, tiny->shnum ? tiny->shdrs : 0);
    at = 24 + 3 * word + 4;
    tiny_16(tiny, at, tiny->phdrs);
    tiny_16(tiny, at + 2, tiny->is64 ? 56 : 32);
    tiny_16(tiny, at + 4, tiny->phnum);
    tiny_16(tiny, at + 6, tiny->shnum ? (tiny->is64 ? 64 : 40) : 0);
    tiny_16(tiny, at + 8, tiny->shnum);
}

#endif
