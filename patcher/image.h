/* image.h: an ELF object as its own headers describe it, class and byte order taken away. For this room only.
 *
 * An image knows the file header, the program headers, the dynamic section and, when asked, the section headers; everything else is
 * looked up on demand. What the loader goes by comes first: an address is turned into a file offset through the PT_LOADs, and the
 * dynamic section is PT_DYNAMIC's. Section headers are a second opinion that an edit must keep in step, and may be absent.
 *
 *     struct em_image image;
 *     r = em_image_open(&image, arena, &reader, error);      header, program headers, dynamic section
 *     r = em_image_read_sections(&image, error);             section headers, if there are any
 *
 * Small reads go through a window, one pread for neighbours; em_image_peek's pointer lives until the next peek.
 * Errors: EM_NOT_ELF, EM_BAD_ELF, EM_LIMIT, EM_IO, EM_CHANGED, EM_NO_MEMORY. Memory: the arena's.
 */
#ifndef EM_PATCHER_IMAGE_H
#define EM_PATCHER_IMAGE_H

#include "base/base.h"

#include <elf.h>

#define EM_WINDOW 8192u

struct em_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct em_shdr {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t align, entsize;
};

struct em_dyn {
    uint64_t tag, value;
};

struct em_image {
    struct em_reader *reader;
    struct em_arena *arena;
    struct em_arena *strings; /* where strings go: the same arena, unless who opened the image keeps them longer */
    const char *name;         /* of the file, for messages */
    uint64_t size;            /* of the file */

    bool is64, big_endian;
    uint8_t osabi, abi_version;
    uint16_t type, machine;
    uint32_t flags;
    uint64_t phoff, shoff;
    uint32_t phnum, shnum, shstrndx;
    uint16_t phentsize, shentsize;

    struct em_phdr *phdrs;
    struct em_shdr *shdrs;      /* NULL until em_image_read_sections, and where there are none */
    bool sections_beyond_end;   /* the section header table is promised and not there: a truncated file */
    size_t load_count;          /* PT_LOADs */
    const struct em_phdr *load; /* the first of them, or NULL */

    const struct em_phdr *dynamic; /* PT_DYNAMIC with content, or NULL */
    uint64_t dynamic_offset;       /* by its address, as the loader sees it */
    struct em_dyn *dyns;
    size_t dyn_count; /* entries before the first DT_NULL */
    size_t dyn_slots; /* all that fit, DT_NULLs included */
    bool
        unannounced; /* the dynamic section or its strings lie behind what any PT_LOAD has, and come along in the rest of its page */

    bool has_strtab;
    uint64_t strtab_addr, strtab_offset, strtab_size;
    /* Copied so far, and at most: overlapping strings must not multiply a small file into a large arena. Who wants the names of
     * symbols raises it to EM_MAX_DYNSTR. */
    uint64_t string_bytes, string_most;
    uint8_t *long_string; /* EM_MAX_PATH_LIST bytes, where one was looked at that the window cannot hold */

    uint64_t window_offset;
    size_t window_size;
    uint8_t window[EM_WINDOW];
};

int em_image_open(struct em_image *image, struct em_arena *arena, struct em_reader *reader, struct em_error *error);
int em_image_read_sections(struct em_image *image, struct em_error *error);
/* What sections and segments must agree on before an edit (sections.c): EM_BAD_ELF if it cannot be foretold what strip would do. */
int em_image_check_sections(struct em_image *image, struct em_error *error);
/* A dynamic section that no PT_DYNAMIC announces becomes the image's, if there is one: after em_image_read_sections, and only for who
 * has a header in mind to come. No loader looks at it. */
int em_image_adopt_dynamic(struct em_image *image, struct em_error *error);

/* length bytes at a file offset, at most EM_WINDOW. what names them in the error: "the dynamic section". */
int em_image_peek(struct em_image *image, uint64_t offset, size_t length, const char *what, const uint8_t **at,
                  struct em_error *error);

/* The file offset of size bytes at an address: all of them in what one PT_LOAD maps of the file, its last page as a whole. */
bool em_image_offset(const struct em_image *image, uint64_t addr, uint64_t size, uint64_t *offset);
/* How many bytes of the file follow addr in its PT_LOAD, itself included; 0 if it is in none. */
uint64_t em_image_room(const struct em_image *image, uint64_t addr);

/* A string of the dynamic string table, copied to image->strings. */
int em_image_string(struct em_image *image, uint64_t index, const char **string, struct em_error *error);
/* Whether it is text, which has less than EM_WINDOW bytes; nothing is copied. */
int em_image_string_is(struct em_image *image, uint64_t index, const char *text, bool *is, struct em_error *error);
/* The name of a section, copied; "" where there is none. */
int em_image_section_name(struct em_image *image, const struct em_shdr *section, const char **name, struct em_error *error);

/* The first entry with that tag, or NULL. */
const struct em_dyn *em_image_dyn(const struct em_image *image, uint64_t tag);

/* Sizes on disk by class. */
static inline size_t em_word_size(const struct em_image *image)
{
    return image->is64 ? 8 : 4;
}
static inline size_t em_ehdr_size(const struct em_image *image)
{
    return image->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
}
static inline size_t em_phdr_size(const struct em_image *image)
{
    return image->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
}
static inline size_t em_shdr_size(const struct em_image *image)
{
    return image->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
}
static inline size_t em_dyn_size(const struct em_image *image)
{
    return image->is64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
}
static inline size_t em_sym_size(const struct em_image *image)
{
    return image->is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
}

/* image_fields.c: fields in bytes that were bounds-checked when they were fetched, in the file's byte order. */
uint16_t em_get16(const struct em_image *image, const uint8_t *at);
uint32_t em_get32(const struct em_image *image, const uint8_t *at);
uint64_t em_get64(const struct em_image *image, const uint8_t *at);
uint64_t em_get_word(const struct em_image *image, const uint8_t *at); /* 4 or 8 bytes by class */
struct em_phdr em_get_phdr(const struct em_image *image, const uint8_t *at);
struct em_shdr em_get_shdr(const struct em_image *image, const uint8_t *at);

/* The other direction, into buffers of our own. */
void em_put16(const struct em_image *image, uint8_t *at, uint16_t value);
void em_put32(const struct em_image *image, uint8_t *at, uint32_t value);
void em_put64(const struct em_image *image, uint8_t *at, uint64_t value);
void em_put_word(const struct em_image *image, uint8_t *at, uint64_t value);
void em_put_phdr(const struct em_image *image, uint8_t *at, const struct em_phdr *phdr);
void em_put_shdr(const struct em_image *image, uint8_t *at, const struct em_shdr *shdr);
void em_put_dyn(const struct em_image *image, uint8_t *at, const struct em_dyn *dyn);

#endif
