/* names.c: names that an object may hand to dlopen.
 *
 * They stand as NUL-bounded strings in data that is neither written nor executed: "libfoo.so", "libfoo.so.12", "libGLX_%s.so.0",
 * "/usr/lib/libfoo.so.1", and in lists with colons. Dynamic strings are what the linker resolved, not what the code asks for, so
 * .dynstr is left out. A name is accepted by its shape alone; whether it matters is for others to say.
 */
#include "patcher/patcher.h"

#include "patcher/spans.h"

#include <string.h>

#define PIECE ((size_t)256 * 1024)
#define LONGEST (EM_CONSTANTS_SEAM / 2 - 1) /* NAME_MAX; a path may be longer: nobody composed such a one for dlopen */

/* Sections that hold no strings: tables of the unwinder, and device code, which can be the greater part of a file. A name in them
 * would be an accident. */
static const char *const barren[] = { ".eh_frame",      ".eh_frame_hdr", ".gcc_except_table", ".nv_fatbin",
                                      "__nv_relfatbin", ".hip_fatbin",   ".hipFatBinSegment", ".cask_resource" };

struct scan {
    struct em_strings *names;
    struct em_map seen;
    struct em_arena *arena;
};

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("_+-./%${}@", c));
}

/* text is one run of name bytes. Accepts [path/]lib...so[.digits]* with something between "lib" and ".so"; "%d" may stand for
 * digits. */
static bool is_library_name(const char *text, size_t length)
{
    const char *base = memrchr(text, '/', length), *so = NULL, *end = text + length;

    base = base ? base + 1 : text;
    if (end - base < 7 || memcmp(base, "lib", 3) != 0)
        return false;
    for (const char *at = base + 4; at + 3 <= end; at++)
        if (memcmp(at, ".so", 3) == 0 && (at + 3 == end || at[3] == '.' || at[3] == '%'))
            so = at;
    if (!so)
        return false;
    for (const char *at = so + 3; at < end; at++)
        if (!strchr(".0123456789%dsuil", *at))
            return false;
    return end[-1] != '.' || end == so + 4; /* "libnvrtc.so." waits for a version */
}

static int add_name(struct scan *scan, const char *text, size_t length)
{
    char *copy;
    int r;

    if (length > LONGEST || !is_library_name(text, length))
        return EM_OK;
    copy = em_arena_strndup(scan->arena, text, length);
    if (!copy)
        return EM_NO_MEMORY;
    if (em_map_get(&scan->seen, copy))
        return EM_OK;
    r = em_map_put(&scan->seen, copy, copy);
    return r < 0 ? r : em_vec_push(scan->arena, scan->names, copy);
}

/* Every ".so" in the piece, widened to the run of name bytes around it. at_end: nothing follows the piece. */
static int scan_piece(void *context, const uint8_t *bytes, size_t size, bool at_end)
{
    struct scan *scan = context;
    const uint8_t *end = bytes + size;

    for (const uint8_t *hit = bytes; (hit = em_find_pairs(hit, end, ".s", ".s")) != NULL;) {
        const uint8_t *from = hit, *to = hit + 3;
        int r;

        if (end - hit < 3 || hit[2] != 'o') {
            hit += 2;
            continue;
        }
        while (from > bytes && hit - from <= LONGEST && is_name_byte(from[-1]))
            from--;
        while (to < end && to - hit <= LONGEST && is_name_byte(*to))
            to++;
        hit += 3;
        if (to == end && !at_end)
            continue;
        r = add_name(scan, (const char *)from, (size_t)(to - from));
        if (r < 0)
            return r;
        if (to > hit)
            hit = to;
    }
    return EM_OK;
}

/* ---- the sections ---- */

struct constants {
    em_constants_visit *visit;
    void *context;
    struct em_error *error;
};

static int scan_span(const struct constants *constants, struct em_image *image, struct em_span span)
{
    uint64_t offset = span.start, size = span.end - span.start;
    em_cleanup_free uint8_t *buffer = malloc(size < PIECE ? (size_t)size : PIECE);

    if (!buffer)
        return EM_NO_MEMORY;
    for (;;) {
        size_t piece = size < PIECE ? (size_t)size : PIECE;
        int r = em_read_at(image->reader, buffer, piece, offset, constants->error);

        if (r == EM_OK)
            r = constants->visit(constants->context, buffer, piece, piece == size);
        if (r != EM_OK || piece == size)
            return r;
        offset += piece - EM_CONSTANTS_SEAM;
        size -= piece - EM_CONSTANTS_SEAM;
    }
}

static int find_sections(struct em_spans *spans, struct em_image *image, struct em_error *error)
{
    for (uint32_t i = 0; i < image->shnum; i++) {
        const struct em_shdr *section = &image->shdrs[i];
        const char *name;
        bool skip = section->type != SHT_PROGBITS && section->type != SHT_NOTE;
        int r;

        if (skip || (section->flags & SHF_ALLOC) == 0 || (section->flags & (SHF_WRITE | SHF_EXECINSTR | SHF_COMPRESSED)) != 0)
            continue;
        r = em_image_section_name(image, section, &name, error);
        if (r < 0)
            return r;
        for (size_t j = 0; j < sizeof barren / sizeof *barren; j++)
            skip = skip || strcmp(name, barren[j]) == 0;
        r = skip ? EM_OK : em_spans_add(spans, image, section->offset, section->size);
        if (r < 0)
            return r;
    }
    return EM_OK;
}

/* No sections: the read-only segments, around .dynstr. */
static int find_segments(struct em_spans *spans, const struct em_image *image)
{
    for (uint32_t i = 0; i < image->phnum; i++) {
        const struct em_phdr *phdr = &image->phdrs[i];
        uint64_t end = phdr->offset + phdr->filesz, strtab = image->strtab_offset;
        int r;

        if (phdr->type != PT_LOAD || (phdr->flags & PF_W) != 0 || phdr->filesz == 0)
            continue;
        if (image->has_strtab && strtab >= phdr->offset && strtab < end) {
            r = em_spans_add(spans, image, phdr->offset, strtab - phdr->offset);
            strtab += image->strtab_size;
            if (r == EM_OK && strtab < end)
                r = em_spans_add(spans, image, strtab, end - strtab);
        } else {
            r = em_spans_add(spans, image, phdr->offset, phdr->filesz);
        }
        if (r < 0)
            return r;
    }
    return EM_OK;
}

int em_constants_each(struct em_arena *arena, struct em_reader *reader, em_constants_visit *visit, void *context,
                      struct em_error *error)
{
    const struct constants constants = { visit, context, error };
    struct em_spans spans = { 0 };
    struct em_image image;
    int r = em_image_open(&image, arena, reader, error);

    if (r < 0)
        return r;
    /* Broken section headers are no reason to give up: the segments are there. */
    if (image.sections_beyond_end || em_image_read_sections(&image, NULL) < 0 || !image.shdrs)
        r = find_segments(&spans, &image);
    else
        r = find_sections(&spans, &image, error);
    em_spans_settle(&spans);
    if (r == EM_OK)
        r = em_spans_check(&spans, &image, error);
    for (size_t i = 0; r == EM_OK && i < spans.count; i++)
        r = scan_span(&constants, &image, spans.items[i]);
    return r < 0 ? r : EM_OK;
}

int em_names_scan(struct em_strings *names, struct em_arena *arena, struct em_reader *reader, struct em_error *error)
{
    struct scan scan = { .names = names, .seen = { .arena = arena }, .arena = arena };

    *names = (struct em_strings){ 0 };
    return em_constants_each(arena, reader, scan_piece, &scan, error);
}

const char *em_rung_name(enum em_rung rung)
{
    switch (rung) {
    case EM_RUNG_NONE: return "none";
    case EM_RUNG_REUSE: return "reuse";
    case EM_RUNG_OVERWRITE: return "overwrite";
    case EM_RUNG_SLIDE: return "slide";
    case EM_RUNG_EVICT: return "evict";
    case EM_RUNG_COPY_DYNSTR: return "copy-dynstr";
    case EM_RUNG_APPEND_LOAD: return "append-load";
    case EM_RUNG_DYNAMIC_SLOT: return "dynamic-slot";
    case EM_RUNG_GROW_HEADERS: return "grow-headers";
    case EM_RUNG_MOVE_HEADERS: return "move-headers";
    }
    return "unknown";
}
