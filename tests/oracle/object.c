/* object.c: a valid shared object in some hundred bytes, written directly: no compiler, no linker, a case in microseconds. */
#include "tests/oracle/recipe.h"

#include <elf.h>
#include <string.h>

#define SIZE 8192
#define DYNAMIC 0x240
#define HASH 0x700
#define SYMTAB 0x720
#define VERSYM 0x740
#define VERNEED 0x760
#define VERDEF 0x9c0
#define STRTAB 0xb00

struct making {
    struct em_arena *arena;
    uint8_t *bytes;
    size_t string_end, dynamic_end;
};

static size_t add_string(struct making *m, const char *text)
{
    size_t at = m->string_end, length = strlen(text) + 1;

    if (at + length > SIZE)
        abort();
    memcpy(m->bytes + at, text, length);
    m->string_end += length;
    return at - STRTAB;
}

static void add_tag(struct making *m, int64_t tag, uint64_t value)
{
    em_store_u64(m->bytes + m->dynamic_end, false, (uint64_t)tag);
    em_store_u64(m->bytes + m->dynamic_end + 8, false, value);
    m->dynamic_end += 16;
    if (m->dynamic_end + 16 > HASH)
        abort();
}

/* One tag for each of the names in a list. */
static void add_names(struct making *m, int64_t tag, const char *list, char separator)
{
    while (list && *list) {
        size_t length = strcspn(list, (char[]){ separator, '\0' });

        add_tag(m, tag, add_string(m, em_arena_strndup(m->arena, list, length)));
        list += length;
        list += *list != '\0';
    }
}

static uint32_t elf_hash(const char *name)
{
    uint32_t h = 0;

    for (; *name; name++) {
        uint32_t high;

        h = (h << 4) + (uint8_t)*name;
        high = h & 0xf0000000;
        h ^= high >> 24;
        h &= ~high;
    }
    return h;
}

/* "libx.so/V1/V2?,liby.so/V1": a record for each file, with the versions that it must have. */
static void add_verneed(struct making *m, const char *list)
{
    size_t at = VERNEED, index = 2, last = 0, count = 0;

    while (list && *list) {
        size_t length = strcspn(list, ",");
        char *record = em_arena_strndup(m->arena, list, length), *save, *file = record, *part;
        size_t first = at, aux = at + 16, n = 0;

        /* The file may be a path: versions begin behind the last "/V". */
        part = strstr(record, "/V");
        if (!part)
            abort();
        *part++ = '\0';
        em_store_u16(m->bytes + at, false, 1);
        em_store_u32(m->bytes + at + 4, false, (uint32_t)add_string(m, file));
        em_store_u32(m->bytes + at + 8, false, 16);
        for (part = strtok_r(part, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
            size_t size = strlen(part);
            bool weak = part[size - 1] == '?';

            if (weak)
                part[size - 1] = '\0';
            em_store_u32(m->bytes + aux, false, elf_hash(part));
            em_store_u16(m->bytes + aux + 4, false, weak ? VER_FLG_WEAK : 0);
            em_store_u16(m->bytes + aux + 6, false, (uint16_t)index++);
            em_store_u32(m->bytes + aux + 8, false, (uint32_t)add_string(m, part));
            if (n++ > 0)
                em_store_u32(m->bytes + aux - 16 + 12, false, 16);
            aux += 16;
        }
        em_store_u16(m->bytes + at + 2, false, (uint16_t)n);
        if (last)
            em_store_u32(m->bytes + last + 12, false, (uint32_t)(first - last));
        last = first;
        at = aux;
        count++;
        list += length;
        list += *list != '\0';
        if (at + 64 > VERDEF)
            abort();
    }
    if (count > 0) {
        add_tag(m, DT_VERNEED, VERNEED);
        add_tag(m, DT_VERNEEDNUM, count);
    }
}

static void add_verdef(struct making *m, const char *list, const char *soname)
{
    size_t at = VERDEF, count = 0;

    if (!list)
        return;
    while (count == 0 || *list) {
        size_t length = count == 0 ? 0 : strcspn(list, ",");
        const char *name = count == 0 ? (soname ? soname : "base") : em_arena_strndup(m->arena, list, length);

        em_store_u16(m->bytes + at, false, 1);
        em_store_u16(m->bytes + at + 2, false, count == 0 ? VER_FLG_BASE : 0);
        em_store_u16(m->bytes + at + 4, false, (uint16_t)(count + 1));
        em_store_u16(m->bytes + at + 6, false, 1);
        em_store_u32(m->bytes + at + 8, false, elf_hash(name));
        em_store_u32(m->bytes + at + 12, false, 20);
        em_store_u32(m->bytes + at + 20, false, (uint32_t)add_string(m, name));
        if (count++ > 0) {
            list += length;
            list += *list != '\0';
        }
        if (*list)
            em_store_u32(m->bytes + at + 16, false, 28);
        at += 28;
        if (at + 28 > STRTAB)
            abort();
    }
    add_tag(m, DT_VERDEF, VERDEF);
    add_tag(m, DT_VERDEFNUM, count);
}

static void put_phdr(struct making *m, size_t index, uint32_t type, uint32_t flags, uint64_t offset, uint64_t size)
{
    uint8_t *at = m->bytes + 64 + index * 56;

    em_store_u32(at, false, type);
    em_store_u32(at + 4, false, flags);
    em_store_u64(at + 8, false, offset);
    em_store_u64(at + 16, false, offset);
    em_store_u64(at + 24, false, offset);
    em_store_u64(at + 32, false, size);
    em_store_u64(at + 40, false, size);
    em_store_u64(at + 48, false, type == PT_LOAD ? 4096 : 8);
}

static bool is_kind(const struct line *line, const char *kind)
{
    const char *value = line_field(line, "kind");

    return value && strcmp(value, kind) == 0;
}

static void put_headers(struct making *m, const struct line *line)
{
    static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_SYSV };
    /* mov rax,rdi; mov rdi,rsi; mov esi,edx; sub rsp,8; call rax; add rsp,8; ret */
    static const uint8_t code[] = { 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x89, 0xd6, 0x48, 0x83,
                                    0xec, 0x08, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3 };
    const char *stack = line_field(line, "stack");
    uint16_t count = stack && strcmp(stack, "absent") == 0 ? 2 : 3;

    memcpy(m->bytes, ident, sizeof ident);
    if (is_kind(line, "class32"))
        m->bytes[EI_CLASS] = ELFCLASS32;
    if (is_kind(line, "bigendian"))
        m->bytes[EI_DATA] = ELFDATA2MSB;
    if (is_kind(line, "osabi"))
        m->bytes[EI_OSABI] = ELFOSABI_FREEBSD;
    if (is_kind(line, "gnuabi"))
        m->bytes[EI_OSABI] = ELFOSABI_GNU;
    if (is_kind(line, "abiversion"))
        m->bytes[EI_ABIVERSION] = 1;
    if (is_kind(line, "padding"))
        m->bytes[EI_PAD + 3] = 1;
    em_store_u16(m->bytes + 16, false, is_kind(line, "rel") ? ET_REL : is_kind(line, "exec") ? ET_EXEC : ET_DYN);
    em_store_u16(m->bytes + 18, false, is_kind(line, "machine") ? EM_AARCH64 : EM_X86_64);
    em_store_u32(m->bytes + 20, false, EV_CURRENT);
    em_store_u64(m->bytes + 32, false, 64);
    em_store_u16(m->bytes + 52, false, 64);
    em_store_u16(m->bytes + 54, false, 56);
    em_store_u16(m->bytes + 56, false, count);
    put_phdr(m, 0, is_kind(line, "noload") ? PT_NULL : PT_LOAD, PF_R | PF_W | PF_X, 0, SIZE);
    put_phdr(m, 1, is_kind(line, "nodynamic") ? PT_NULL : PT_DYNAMIC, PF_R | PF_W, DYNAMIC, m->dynamic_end + 16 - DYNAMIC);
    if (count > 2)
        put_phdr(m, 2, PT_GNU_STACK, PF_R | PF_W | (stack && strcmp(stack, "exec") == 0 ? PF_X : 0), 0, 0);
    memcpy(m->bytes + OBJECT_CODE, code, sizeof code);
    /* One bucket, one chain entry: the null symbol. */
    em_store_u32(m->bytes + HASH, false, 1);
    em_store_u32(m->bytes + HASH + 4, false, 1);
}

static uint64_t flags_of(const struct line *line)
{
    const char *flags = line_field(line, "flags");
    uint64_t value = 0;

    if (flags && strstr(flags, "nodeflib"))
        value |= DF_1_NODEFLIB;
    if (flags && strstr(flags, "noopen"))
        value |= DF_1_NOOPEN;
    if (flags && strstr(flags, "pie"))
        value |= DF_1_PIE;
    return value;
}

struct em_bytes object_make(struct em_arena *arena, const struct line *line, const char *directory)
{
    struct recipe none = { .arena = arena };
    struct making m = {
        .arena = arena, .bytes = em_arena_alloc(arena, SIZE), .string_end = STRTAB + 1, .dynamic_end = DYNAMIC
    };
    const char *soname = line_field(line, "soname"), *rpath = line_field(line, "rpath"), *runpath = line_field(line, "runpath");
    const char *needed = line_field(line, "needed");
    const char *verneed = line_field(line, "verneed");

    if (needed)
        add_names(&m, DT_NEEDED, recipe_text(&none, needed, directory), ',');
    if (soname)
        add_tag(&m, DT_SONAME, add_string(&m, soname));
    if (rpath)
        add_tag(&m, DT_RPATH, add_string(&m, recipe_text(&none, rpath, directory)));
    if (runpath)
        add_tag(&m, DT_RUNPATH, add_string(&m, recipe_text(&none, runpath, directory)));
    if (flags_of(line))
        add_tag(&m, DT_FLAGS_1, flags_of(line));
    add_names(&m, (int64_t)DT_FILTER, line_field(line, "filter"), ',');
    add_names(&m, (int64_t)DT_AUXILIARY, line_field(line, "auxiliary"), ',');
    add_tag(&m, DT_HASH, HASH);
    add_tag(&m, DT_SYMTAB, SYMTAB);
    add_tag(&m, DT_SYMENT, 24);
    if (verneed)
        add_verneed(&m, recipe_text(&none, verneed, directory));
    add_verdef(&m, line_field(line, "verdef"), soname);
    if (verneed || line_field(line, "verdef"))
        add_tag(&m, DT_VERSYM, VERSYM);
    add_tag(&m, DT_STRTAB, STRTAB);
    add_tag(&m, DT_STRSZ, m.string_end - STRTAB);
    put_headers(&m, line);
    return (struct em_bytes){ m.bytes, SIZE };
}
