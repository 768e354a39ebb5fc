#include "patcher/image.h"

#include <string.h>

#define LEAST_PAGE ((uint64_t)4096) /* of any machine: what a larger one maps besides is not counted on */

int em_image_peek(struct em_image *image, uint64_t offset, size_t length, const char *what, const uint8_t **at,
                  struct em_error *error)
{
    if (length > EM_WINDOW || offset > image->size || length > image->size - offset)
        return em_fail_at(error, EM_BAD_ELF, image->name, offset, "%s leads beyond the end of the file, which has %llu bytes",
                          what, (unsigned long long)image->size);
    if (offset < image->window_offset || offset + length > image->window_offset + image->window_size) {
        uint64_t rest = image->size - offset;
        size_t want = rest < EM_WINDOW ? (size_t)rest : EM_WINDOW;
        int r = em_read_at(image->reader, image->window, want, offset, error);

        image->window_offset = offset;
        image->window_size = r < 0 ? 0 : want;
        if (r < 0)
            return r;
    }
    *at = image->window + (offset - image->window_offset);
    return EM_OK;
}

/* e_ident and what follows it: gABI chapter 4, ELF Header. */
static int read_header(struct em_image *image, struct em_error *error)
{
    const uint8_t *at;
    size_t word;
    int r;

    if (image->size < SELFMAG)
        return em_fail(error, EM_NOT_ELF, image->name, "is no ELF object: it has %llu bytes", (unsigned long long)image->size);
    r = em_image_peek(image, 0, SELFMAG, "the magic number", &at, error);
    if (r < 0)
        return r;
    if (memcmp(at, ELFMAG, SELFMAG) != 0)
        return em_fail(error, EM_NOT_ELF, image->name, "is no ELF object: it does not start with the ELF magic number");
    if (image->size < EI_NIDENT)
        return em_fail(error, EM_BAD_ELF, image->name, "is %llu bytes long, shorter than an ELF header",
                       (unsigned long long)image->size);
    r = em_image_peek(image, 0, EI_NIDENT, "the ELF header", &at, error);
    if (r < 0)
        return r;
    if (at[EI_CLASS] != ELFCLASS32 && at[EI_CLASS] != ELFCLASS64)
        return em_fail_at(error, EM_BAD_ELF, image->name, EI_CLASS, "has class %u, which is neither ELF32 nor ELF64",
                          at[EI_CLASS]);
    if (at[EI_DATA] != ELFDATA2LSB && at[EI_DATA] != ELFDATA2MSB)
        return em_fail_at(error, EM_BAD_ELF, image->name, EI_DATA, "has byte order %u, which is neither little nor big endian",
                          at[EI_DATA]);
    if (at[EI_VERSION] != EV_CURRENT)
        return em_fail_at(error, EM_BAD_ELF, image->name, EI_VERSION, "has ELF version %u; only 1 exists", at[EI_VERSION]);
    image->is64 = at[EI_CLASS] == ELFCLASS64;
    image->big_endian = at[EI_DATA] == ELFDATA2MSB;
    image->osabi = at[EI_OSABI];
    image->abi_version = at[EI_ABIVERSION];
    if (image->size < em_ehdr_size(image))
        return em_fail(error, EM_BAD_ELF, image->name, "is %llu bytes long, shorter than an ELF header",
                       (unsigned long long)image->size);
    r = em_image_peek(image, 0, em_ehdr_size(image), "the ELF header", &at, error);
    if (r < 0)
        return r;
    word = em_word_size(image);
    image->type = em_get16(image, at + 16);
    image->machine = em_get16(image, at + 18);
    image->phoff = em_get_word(image, at + 24 + word);
    image->shoff = em_get_word(image, at + 24 + 2 * word);
    at += 24 + 3 * word;
    image->flags = em_get32(image, at);
    image->phentsize = em_get16(image, at + 6);
    image->phnum = em_get16(image, at + 8);
    image->shentsize = em_get16(image, at + 10);
    image->shnum = em_get16(image, at + 12);
    image->shstrndx = em_get16(image, at + 14);
    return EM_OK;
}

/* Counts that do not fit into the header's 16 bits stand in section header 0 (gABI chapter 4, "Extended numbering"). */
static int read_large_counts(struct em_image *image, struct em_error *error)
{
    bool wanted = image->phnum == PN_XNUM || (image->shoff != 0 && (image->shnum == 0 || image->shstrndx == SHN_XINDEX));
    const uint8_t *at;
    struct em_shdr zero;
    uint64_t size;
    int r;

    if (!wanted)
        return EM_OK;
    if (image->shoff == 0 || image->shentsize != em_shdr_size(image) || image->shoff > image->size ||
        image->size - image->shoff < image->shentsize) {
        if (image->phnum == PN_XNUM)
            return em_fail_at(error, EM_BAD_ELF, image->name, 0,
                              "keeps its number of program headers in a section that is absent");
        image->sections_beyond_end = image->shoff != 0;
        image->shoff = 0;
        return EM_OK;
    }
    r = em_image_peek(image, image->shoff, em_shdr_size(image), "the first section header", &at, error);
    if (r < 0)
        return r;
    zero = em_get_shdr(image, at);
    if (image->phnum == PN_XNUM)
        image->phnum = zero.info;
    if (image->shnum == 0) {
        size = zero.size;
        if (size > EM_MAX_SECTIONS)
            return em_fail_at(error, EM_LIMIT, image->name, image->shoff,
                              "claims %llu sections, more than the %u that it may have", (unsigned long long)size,
                              EM_MAX_SECTIONS);
        image->shnum = (uint32_t)size;
    }
    /* Without a number in section 0 it is that of no section: whoever edits will say so. */
    if (image->shstrndx == SHN_XINDEX)
        image->shstrndx = zero.link != 0 ? zero.link : UINT32_MAX;
    return EM_OK;
}

static int read_phdrs(struct em_image *image, struct em_error *error)
{
    size_t size = em_phdr_size(image);

    if (image->phnum == 0)
        return EM_OK;
    if (image->phentsize != size)
        return em_fail_at(error, EM_BAD_ELF, image->name, 0, "has program headers of %u bytes; its class has %zu",
                          image->phentsize, size);
    if (image->phnum > EM_MAX_PHDRS)
        return em_fail_at(error, EM_LIMIT, image->name, 0, "claims %u program headers, more than the %u that it may have",
                          image->phnum, EM_MAX_PHDRS);
    if (image->phoff > image->size || image->phnum * size > image->size - image->phoff)
        return em_fail_at(error, EM_BAD_ELF, image->name, image->phoff,
                          "is cut off: its %u program headers lead beyond its end at %llu", image->phnum,
                          (unsigned long long)image->size);
    image->phdrs = em_arena_array(image->arena, image->phnum, sizeof *image->phdrs);
    if (!image->phdrs)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < image->phnum; i++) {
        const uint8_t *at;
        int r = em_image_peek(image, image->phoff + i * size, size, "a program header", &at, error);

        if (r < 0)
            return r;
        image->phdrs[i] = em_get_phdr(image, at);
    }
    return EM_OK;
}

/* What a loader would refuse, or read garbage from: nothing behind these checks has to ask again. */
static int check_loads(struct em_image *image, struct em_error *error)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];
        uint64_t at = image->phoff + i * em_phdr_size(image), end;

        if (phdr->type != PT_LOAD)
            continue;
        if (__builtin_add_overflow(phdr->vaddr, phdr->memsz, &end) || (!image->is64 && end > (uint64_t)UINT32_MAX + 1))
            return em_fail_at(error, EM_BAD_ELF, image->name, at, "has a PT_LOAD that wraps around the address space");
        if (phdr->filesz > phdr->memsz)
            return em_fail_at(error, EM_BAD_ELF, image->name, at, "has a PT_LOAD with more bytes in the file than in memory");
        if (phdr->filesz > 0 && (phdr->offset > image->size || phdr->filesz > image->size - phdr->offset))
            return em_fail_at(
                error, EM_BAD_ELF, image->name, at, "is cut off: a PT_LOAD wants %llu bytes at %llu, and the file ends at %llu",
                (unsigned long long)phdr->filesz, (unsigned long long)phdr->offset, (unsigned long long)image->size);
        if (!image->load)
            image->load = phdr;
        image->load_count++;
    }
    return EM_OK;
}

/* How many bytes of a PT_LOAD come from the file once it is mapped. Pages are mapped whole: what the file has behind the last byte, up
 * to the end of its page, comes along where nothing is zeroed there and no other PT_LOAD has that page. */
static uint64_t mapped_size(const struct em_image *image, const struct em_phdr *phdr)
{
    uint64_t end = phdr->vaddr + phdr->filesz, over = end % LEAST_PAGE, tail = over ? LEAST_PAGE - over : 0;

    if (tail == 0 || phdr->filesz == 0 || phdr->memsz != phdr->filesz || (phdr->vaddr - phdr->offset) % LEAST_PAGE != 0)
        return phdr->filesz;
    if (tail > image->size - (phdr->offset + phdr->filesz))
        tail = image->size - (phdr->offset + phdr->filesz);
    for (uint32_t i = 0; i < image->phnum; i++)
        if (image->phdrs[i].type == PT_LOAD && &image->phdrs[i] != phdr &&
            image->phdrs[i].vaddr / LEAST_PAGE == end / LEAST_PAGE)
            return phdr->filesz;
    return phdr->filesz + tail;
}

/* The PT_LOAD that brings the byte at addr from the file; NULL: none. */
static const struct em_phdr *load_of(const struct em_image *image, uint64_t addr)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_LOAD && addr >= phdr->vaddr && addr - phdr->vaddr < mapped_size(image, phdr))
            return phdr;
    }
    return NULL;
}

bool em_image_offset(const struct em_image *image, uint64_t addr, uint64_t size, uint64_t *offset)
{
    const struct em_phdr *load = load_of(image, addr);

    if (!load || size > mapped_size(image, load) - (addr - load->vaddr))
        return false;
    *offset = load->offset + (addr - load->vaddr);
    return true;
}

uint64_t em_image_room(const struct em_image *image, uint64_t addr)
{
    const struct em_phdr *load = load_of(image, addr);

    return load ? mapped_size(image, load) - (addr - load->vaddr) : 0;
}

/* Some PT_LOAD says itself that it has all of it. */
static bool is_announced(const struct em_image *image, uint64_t addr, uint64_t size)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];

        if (phdr->type == PT_LOAD && addr >= phdr->vaddr && addr - phdr->vaddr <= phdr->memsz &&
            size <= phdr->memsz - (addr - phdr->vaddr))
            return true;
    }
    return false;
}

/* PT_DYNAMIC counts by its address: that is what a loader goes by. The section may hold anything behind DT_NULL; only the zeroed
 * entries right behind it are slots that an edit may take. */
static int load_dynamic(struct em_image *image, struct em_error *error)
{
    size_t size = em_dyn_size(image);
    uint64_t count, room;
    bool ended = false;

    room = em_image_room(image, image->dynamic->vaddr);
    if (!em_image_offset(image, image->dynamic->vaddr, size, &image->dynamic_offset))
        return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic->offset,
                          "has a dynamic section at address 0x%llx, where no PT_LOAD has bytes of the file",
                          (unsigned long long)image->dynamic->vaddr);
    count = (image->dynamic->filesz < room ? image->dynamic->filesz : room) / size;
    if (count > EM_MAX_DYNAMIC)
        return em_fail_at(error, EM_LIMIT, image->name, image->dynamic_offset,
                          "claims %llu dynamic entries, more than the %u that it may have", (unsigned long long)count,
                          EM_MAX_DYNAMIC);
    image->dyns = em_arena_array(image->arena, (size_t)count, sizeof *image->dyns);
    if (!image->dyns)
        return EM_NO_MEMORY;
    for (image->dyn_slots = 0; image->dyn_slots < count; image->dyn_slots++) {
        struct em_dyn *dyn = &image->dyns[image->dyn_slots];
        const uint8_t *at;
        int r = em_image_peek(image, image->dynamic_offset + image->dyn_slots * size, size, "the dynamic section", &at, error);

        if (r < 0)
            return r;
        *dyn = (struct em_dyn){ em_get_word(image, at), em_get_word(image, at + size / 2) };
        if (ended && (dyn->tag != DT_NULL || dyn->value != 0))
            break;
        ended = ended || dyn->tag == DT_NULL;
        if (!ended)
            image->dyn_count++;
    }
    if (!ended)
        return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic_offset,
                          "has a dynamic section without an end (DT_NULL)");
    return EM_OK;
}

static int read_dynamic(struct em_image *image, struct em_error *error)
{
    for (uint32_t i = 0; i < image->phnum; i++)
        if (image->phdrs[i].type == PT_DYNAMIC && image->phdrs[i].filesz >= em_dyn_size(image))
            image->dynamic = &image->phdrs[i];
    if (!image->load)
        image->dynamic = NULL;
    return image->dynamic ? load_dynamic(image, error) : EM_OK;
}

const struct em_dyn *em_image_dyn(const struct em_image *image, uint64_t tag)
{
    for (size_t i = 0; i < image->dyn_count; i++)
        if (image->dyns[i].tag == tag)
            return &image->dyns[i];
    return NULL;
}

static int find_strtab(struct em_image *image, struct em_error *error)
{
    const struct em_dyn *strtab = em_image_dyn(image, DT_STRTAB), *strsz = em_image_dyn(image, DT_STRSZ);

    if (!strtab)
        return EM_OK;
    image->strtab_addr = strtab->value;
    image->strtab_size = strsz ? strsz->value : em_image_room(image, strtab->value);
    if (image->strtab_size > EM_MAX_DYNSTR)
        return em_fail_at(error, EM_LIMIT, image->name, image->dynamic_offset,
                          "claims a dynamic string table of %llu bytes, more than it may have",
                          (unsigned long long)image->strtab_size);
    if (!em_image_offset(image, image->strtab_addr, image->strtab_size, &image->strtab_offset))
        return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic_offset,
                          "has its dynamic string table at address 0x%llx with %llu bytes, which no PT_LOAD holds",
                          (unsigned long long)image->strtab_addr, (unsigned long long)image->strtab_size);
    image->has_strtab = image->strtab_size > 0;
    return EM_OK;
}

int em_image_open(struct em_image *image, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    int r;

    memset(image, 0, offsetof(struct em_image, window));
    image->reader = reader;
    image->arena = image->strings = arena;
    image->name = reader->name;
    image->size = reader->size;
    image->string_most = EM_MAX_NAMES;
    r = read_header(image, error);
    if (r == EM_OK)
        r = read_large_counts(image, error);
    if (r == EM_OK)
        r = read_phdrs(image, error);
    if (r == EM_OK)
        r = check_loads(image, error);
    if (r == EM_OK)
        r = read_dynamic(image, error);
    if (r == EM_OK)
        r = find_strtab(image, error);
    if (r < 0)
        return r;
    if (image->dynamic)
        image->unannounced = !is_announced(image, image->dynamic->vaddr, image->dyn_count * em_dyn_size(image)) ||
                             (image->has_strtab && !is_announced(image, image->strtab_addr, image->strtab_size));
    if (image->shoff != 0 &&
        (image->shoff > image->size || (uint64_t)image->shnum * image->shentsize > image->size - image->shoff))
        image->sections_beyond_end = true;
    return EM_OK;
}

int em_image_read_sections(struct em_image *image, struct em_error *error)
{
    size_t size = em_shdr_size(image);

    if (image->shdrs || image->shoff == 0 || image->shnum == 0)
        return EM_OK;
    if (image->shentsize != size)
        return em_fail_at(error, EM_BAD_ELF, image->name, 0, "has section headers of %u bytes; its class has %zu",
                          image->shentsize, size);
    if (image->shnum > EM_MAX_SECTIONS)
        return em_fail_at(error, EM_LIMIT, image->name, 0, "claims %u sections, more than the %u that it may have",
                          image->shnum, EM_MAX_SECTIONS);
    if (image->sections_beyond_end)
        return em_fail_at(error, EM_BAD_ELF, image->name, image->shoff,
                          "is cut off: its %u section headers lead beyond its end at %llu", image->shnum,
                          (unsigned long long)image->size);
    image->shdrs = em_arena_array(image->arena, image->shnum, sizeof *image->shdrs);
    if (!image->shdrs)
        return EM_NO_MEMORY;
    for (uint32_t i = 0; i < image->shnum; i++) {
        const uint8_t *at;
        int r = em_image_peek(image, image->shoff + i * size, size, "a section header", &at, error);

        if (r < 0)
            return r;
        image->shdrs[i] = em_get_shdr(image, at);
    }
    return EM_OK;
}

int em_image_adopt_dynamic(struct em_image *image, struct em_error *error)
{
    for (uint32_t i = 0; !image->dynamic && image->load && image->shdrs && i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];
        struct em_phdr *phdr;
        uint64_t offset;
        int r;

        if (section->type != SHT_DYNAMIC || !em_image_offset(image, section->addr, section->size, &offset) ||
            offset != section->offset || section->size < em_dyn_size(image))
            continue;
        phdr = em_new(image->arena, struct em_phdr);
        if (!phdr)
            return EM_NO_MEMORY;
        *phdr = (struct em_phdr){
            .type = PT_DYNAMIC, .offset = offset, .vaddr = section->addr, .filesz = section->size, .memsz = section->size
        };
        image->dynamic = phdr;
        r = load_dynamic(image, error);
        return r < 0 ? r : find_strtab(image, error);
    }
    return EM_OK;
}

static int read_long(struct em_image *image, uint64_t start, size_t size, const uint8_t **bytes, struct em_error *error)
{
    if (!image->long_string)
        image->long_string = em_arena_alloc(image->arena, EM_MAX_PATH_LIST);
    *bytes = image->long_string;
    return image->long_string ? em_read_at(image->reader, image->long_string, size, start, error) : EM_NO_MEMORY;
}

/* A NUL-terminated string in [start, start + size) of the file. Most are short: look a little ahead first. */
static int read_string(struct em_image *image, uint64_t start, uint64_t size, const char *what, const char **string,
                       struct em_error *error)
{
    size_t most = size < EM_MAX_PATH_LIST ? (size_t)size : EM_MAX_PATH_LIST;

    for (size_t ahead = 256;; ahead *= 8) {
        size_t want = ahead < most ? ahead : most;
        const uint8_t *bytes, *end;
        int r = want <= EM_WINDOW ? em_image_peek(image, start, want, what, &bytes, error)
                                  : read_long(image, start, want, &bytes, error);

        if (r < 0)
            return r;
        end = want > 0 ? memchr(bytes, '\0', want) : NULL;
        if (end) {
            image->string_bytes += (uint64_t)(end - bytes);
            if (image->string_bytes > image->string_most)
                return em_fail_at(error, EM_LIMIT, image->name, start, "refers to more than %llu bytes of strings",
                                  (unsigned long long)image->string_most);
            *string = em_arena_strndup(image->strings, (const char *)bytes, (size_t)(end - bytes));
            return *string ? EM_OK : EM_NO_MEMORY;
        }
        if (want == size)
            return em_fail_at(error, EM_BAD_ELF, image->name, start, "has %s that does not end within its table", what);
        if (want == most)
            return em_fail_at(error, EM_LIMIT, image->name, start, "has %s longer than %u bytes", what, EM_MAX_PATH_LIST);
    }
}

static int check_index(const struct em_image *image, uint64_t index, struct em_error *error)
{
    if (!image->has_strtab)
        return em_fail_at(error, EM_BAD_ELF, image->name, image->dynamic_offset,
                          "refers to its dynamic string table and has none (DT_STRTAB)");
    if (index >= image->strtab_size)
        return em_fail_at(error, EM_BAD_ELF, image->name, image->strtab_offset,
                          "refers to byte %llu of its dynamic string table, which has %llu", (unsigned long long)index,
                          (unsigned long long)image->strtab_size);
    return EM_OK;
}

int em_image_string(struct em_image *image, uint64_t index, const char **string, struct em_error *error)
{
    int r = check_index(image, index, error);

    return r < 0 ? r
                 : read_string(image, image->strtab_offset + index, image->strtab_size - index, "a dynamic string", string,
                               error);
}

int em_image_string_is(struct em_image *image, uint64_t index, const char *text, bool *is, struct em_error *error)
{
    size_t size = strlen(text) + 1;
    const uint8_t *bytes;
    int r = check_index(image, index, error);

    *is = false;
    if (r < 0 || size > image->strtab_size - index || size > EM_WINDOW)
        return r;
    r = em_image_peek(image, image->strtab_offset + index, size, "a dynamic string", &bytes, error);
    *is = r == EM_OK && memcmp(bytes, text, size) == 0;
    return r;
}

int em_image_section_name(struct em_image *image, const struct em_shdr *section, const char **name, struct em_error *error)
{
    const struct em_shdr *table;

    *name = "";
    if (!image->shdrs || image->shstrndx == 0 || image->shstrndx >= image->shnum)
        return EM_OK;
    table = &image->shdrs[image->shstrndx];
    if (table->type == SHT_NOBITS || section->name >= table->size || table->offset > image->size ||
        table->size > image->size - table->offset)
        return EM_OK;
    return read_string(image, table->offset + section->name, table->size - section->name, "a section name", name, error);
}
